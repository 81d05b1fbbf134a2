"""The servers of a proof, on the loopback: the simulator in this process, the gateway under gunicorn in its own."""

from __future__ import annotations

import http.client
import json
import os
import queue
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from simulator.server import Simulator
from tools.children import Child, Events, stop, wait_until
from tools.ports import HeldPort
from tools.proof.staging import Reply

ROOT = Path(__file__).resolve().parents[2]
_ANSWER_S = 60.0
_POLL_S = 0.002
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


class ServedGateway:
    """Asks a gateway over HTTP, each thread on a connection of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._own = threading.local()

    def ask(self, http_method: str, path: str, body: Any = None) -> Reply:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        answer, text = self._exchange(http_method, path, data, headers)
        parsed = json.loads(text) if "json" in (answer.getheader("Content-Type") or "") else None
        return Reply(answer.status, dict(answer.getheaders()), parsed, text)

    def close(self) -> None:
        """Closes the connection of the thread that calls this."""
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()

    @contextmanager
    def after_first_failure(self, then: Callable[[], None]) -> Iterator[None]:
        """Learns it from the metrics, so `then` may come late, when the call has been tried again already."""
        before, over = _failures_total(self.ask("GET", "/metrics").text), threading.Event()

        def watch() -> None:
            while not over.wait(_POLL_S):
                if _failures_total(self.ask("GET", "/metrics").text) > before:
                    then()
                    break
            self.close()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _exchange(
        self, http_method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, str]:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = http.client.HTTPConnection(*self._address, timeout=_ANSWER_S)
        connection.request(http_method, path, data, dict(headers))
        answer = connection.getresponse()
        return answer, answer.read().decode()


def _failures_total(exposition: str) -> float:
    rows = re.findall(r'^gateway_upstream_calls_total\{.*outcome="(\w+)".*\} ([0-9.e+]+)$', exposition, re.M)
    return sum(float(value) for outcome, value in rows if outcome in ("not_sent", "unknown"))


@contextmanager
def simulators(folder: Path) -> Iterator[tuple[Simulator, Path]]:
    """A simulator that speaks TLS, and the file of the authority to trust."""
    authority = trustme.CA()
    authority_file, server_file = folder / "authority.pem", folder / "server.pem"
    authority.cert_pem.write_to_path(str(authority_file))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(server_file))
    with Simulator(tls_cert_file=server_file, tls_key_file=server_file) as simulator:
        yield simulator, authority_file


@contextmanager
def served(simulator: Simulator, authority_file: Path, **settings: object) -> Iterator[ServedGateway]:
    """The gateway as it runs in production, with a store of its own. Raises `ChildError` when it cannot start."""
    held = HeldPort()
    port = held.number
    with tempfile.TemporaryDirectory(prefix="gateway-proof-") as folder:
        environ = {name: os.environ[name] for name in _KEPT if name in os.environ} | {
            "UPSTREAM_URL": simulator.url,
            "UPSTREAM_CA_FILE": str(authority_file),
            "UPSTREAM_TOKEN": "demo-admin",
            "GATEWAY_AUTH": "open",
            "CACHE_TTL_S": "0",  # what is proven here is about calls
            "GATEWAY_BIND": f"127.0.0.1:{port}",
            "STORE_URL": folder,
            "LOG_LEVEL": "error",
            "GATEWAY_DRAIN_S": "0",
            **{name.upper(): str(value) for name, value in settings.items()},
        }
        events: Events = queue.SimpleQueue()
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"]
        child = Child("gateway", command, environ, ROOT, events)
        gateway = ServedGateway("127.0.0.1", port)
        try:
            wait_until(lambda: _is_ready(port), "gateway", events)
            yield gateway
        finally:
            gateway.close()
            stop([child], events)


def _is_ready(port: int) -> bool:
    gateway = ServedGateway("127.0.0.1", port)
    try:
        return gateway.ask("GET", "/readyz").status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        gateway.close()
