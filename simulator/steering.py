"""Steers a simulator that runs in another process; mirrors its HTTP interface one method a route."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

_MARGIN_S = 10.0


class SteeringError(Exception):
    """The simulator refused; `status` is its HTTP status, `answer` its JSON: `error` and what is `allowed`."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        super().__init__(f"{status}: {answer.get('error')}; allowed: {answer.get('allowed')}")
        self.status = status
        self.answer = answer


class Steering:
    """`base_url`: that of the simulator, or of its address for steering alone, without a path.

    One connection is kept, so that steering goes on while the fault `refuse` holds. `context`: for https; None:
    certificates are not verified, as it only ever steers a simulator. Threads take turns.
    """

    def __init__(self, base_url: str, *, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(base_url)
        address = (parts.hostname or "", parts.port)
        if parts.scheme == "https":
            secured = context or _unverified()
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(*address, context=secured)
        else:
            self._connection = http.client.HTTPConnection(*address)
        self._lock = threading.Lock()
        self.call("GET", "/")

    def __enter__(self) -> Steering:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def call(
        self, method: str, path: str, body: object = None, /, *, timeout_s: float = 0, **query: object
    ) -> dict[str, Any]:
        """One exchange; raises SteeringError, TimeoutError when what was waited for did not come, or OSError."""
        given = {name: value for name, value in query.items() if value is not None}
        target = f"/_simulator{path}" + (f"?{urlencode(given)}" if given else "")
        data = None if body is None else json.dumps(body).encode()
        status, answer = self._exchange(method, target, data, timeout_s + _MARGIN_S)
        if status == http.client.REQUEST_TIMEOUT:
            raise TimeoutError(answer["error"])
        if status != http.client.OK:
            raise SteeringError(status, answer)
        return answer

    def ledger(self, *, method: str | None = None, since: int | None = None) -> list[dict[str, Any]]:
        """The kept calls, oldest first."""
        calls: list[dict[str, Any]] = self.call("GET", "/ledger", method=method, since=since)["calls"]
        return calls

    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = self.call("GET", "/ledger", since=10**14)["summary"]
        return summary

    def wait_for_calls(self, total: int, timeout_s: float = 10) -> None:
        """Wait until so many calls have come in since the ledger was cleared; raises TimeoutError."""
        self._wait(timeout_s, total=total)

    def wait_idle(self, timeout_s: float = 10) -> None:
        """Wait until no call is in flight; raises TimeoutError."""
        self._wait(timeout_s, idle=1)

    def clear_ledger(self) -> None:
        self.call("DELETE", "/ledger")

    def add_fault(
        self,
        fault: str,
        *,
        methods: Iterable[str] | None = None,
        times: int | None = None,
        skip: int = 0,
        **params: object,
    ) -> dict[str, Any]:
        names = None if methods is None else list(methods)
        return self.call("POST", "/faults", {"fault": fault, "methods": names, "times": times, "skip": skip, **params})

    def faults(self) -> list[dict[str, Any]]:
        faults: list[dict[str, Any]] = self.call("GET", "/faults")["faults"]
        return faults

    def clear_faults(self) -> None:
        """Forget every fault, release everything held, open every gate."""
        self.call("DELETE", "/faults")

    def gates(self) -> list[dict[str, Any]]:
        gates: list[dict[str, Any]] = self.call("GET", "/gates")["gates"]
        return gates

    def wait_gate(self, gate: str, arrived: int = 1, timeout_s: float = 10) -> dict[str, Any]:
        """Wait until so many calls have arrived in all; raises TimeoutError."""
        query = {"arrived": arrived, "timeout_s": timeout_s}
        return self.call("GET", f"/gates/{quote(gate, safe='')}?{urlencode(query)}", timeout_s=timeout_s)

    def open_gate(self, gate: str, count: int | None = None) -> dict[str, Any]:
        """Let so many calls pass; None: all, from now on."""
        return self.call("POST", f"/gates/{quote(gate, safe='')}/open", {"count": count})

    def switches(self) -> dict[str, Any]:
        return self.call("GET", "/switches")

    def set_switches(self, **changes: object) -> dict[str, Any]:
        return self.call("PUT", "/switches", changes)

    def reset_switches(self) -> dict[str, Any]:
        return self.call("DELETE", "/switches")

    def clients(self) -> list[dict[str, Any]]:
        """Every client, deleted ones too."""
        clients: list[dict[str, Any]] = self.call("GET", "/clients")["clients"]
        return clients

    def create_client(self, **given: object) -> dict[str, Any]:
        """As in the vendor's own web pages, past the API."""
        return self.call("POST", "/clients", given)

    def edit_client(self, client_id: int, **changes: object) -> dict[str, Any]:
        return self.call("POST", "/clients", {"client_id": client_id, **changes})

    def delete_client(self, client_id: int) -> dict[str, Any]:
        return self.call("DELETE", f"/clients/{client_id}")

    def reset(self) -> None:
        """Back to the records it began with; faults, gates, switches and ledger too."""
        self.call("POST", "/reset")

    def _wait(self, timeout_s: float, **what: int) -> None:
        query = {**what, "timeout_s": timeout_s, "since": 10**14}
        self.call("GET", f"/ledger?{urlencode(query)}", timeout_s=timeout_s)

    def _exchange(self, method: str, target: str, data: bytes | None, timeout_s: float) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self._connection.timeout = timeout_s
            if self._connection.sock is not None:
                self._connection.sock.settimeout(timeout_s)
            try:
                return self._once(method, target, data)
            except ConnectionError:
                self._connection.close()
                return self._once(method, target, data)

    def _once(self, method: str, target: str, data: bytes | None) -> tuple[int, dict[str, Any]]:
        self._connection.request(method, target, data, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
