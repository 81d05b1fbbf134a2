"""The steering side over HTTP: JSON in, JSON out, below /_simulator/."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from simulator.answers import Answer
from simulator.faults import FaultBook
from simulator.gates import Gates
from simulator.http_wire import Request
from simulator.ledger import Ledger
from simulator.refusal import Refused
from simulator.store import Store
from simulator.switches import SwitchBoard

PREFIX = "/_simulator"

Found = dict[str, str]
Handler = Callable[[Request, Found], object]


class Control:
    """Routes to handlers; a handler returns what is written as JSON, or raises Refused or TimeoutError."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        faults: FaultBook,
        gates: Gates,
        switches: SwitchBoard,
        reset: Callable[[], None],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._faults = faults
        self._gates = gates
        self._switches = switches
        self._reset_all = reset
        self._routes: dict[tuple[str, str], Handler] = {
            ("GET", "/"): self._index,
            ("GET", "/ledger"): self._get_ledger,
            ("DELETE", "/ledger"): self._clear_ledger,
            ("GET", "/faults"): self._get_faults,
            ("POST", "/faults"): self._add_fault,
            ("DELETE", "/faults"): self._clear_faults,
            ("GET", "/gates"): self._get_gates,
            ("GET", "/gates/{gate}"): self._wait_gate,
            ("POST", "/gates/{gate}/open"): self._open_gate,
            ("GET", "/switches"): self._get_switches,
            ("PUT", "/switches"): self._set_switches,
            ("DELETE", "/switches"): self._reset_switches,
            ("GET", "/clients"): self._get_clients,
            ("POST", "/clients"): self._edit_client,
            ("DELETE", "/clients/{client_id}"): self._delete_client,
            ("POST", "/reset"): self._reset,
        }

    @property
    def routes(self) -> list[str]:
        return [f"{method} {PREFIX}{path}" for method, path in self._routes]

    def answer(self, request: Request) -> Answer:
        handler, found = self._find(request)
        if handler is None:
            return _json(
                404, {"error": f"no such steering route: {request.method} {request.path}", "allowed": self.routes}
            )
        try:
            return _json(200, handler(request, found))
        except Refused as refused:
            return _json(400, {"error": refused.problem, "allowed": refused.allowed})
        except TimeoutError as late:
            return _json(408, {"error": str(late), "allowed": None})

    def _find(self, request: Request) -> tuple[Handler | None, Found]:
        path = request.path.removeprefix(PREFIX) or "/"
        for (method, template), handler in self._routes.items():
            match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template), path)
            if match and method == request.method:
                return handler, {name: unquote(text) for name, text in match.groupdict().items()}
        return None, {}

    def _index(self, _request: Request, _found: Found) -> object:
        return {"routes": self.routes}

    def _get_ledger(self, request: Request, _found: Found) -> object:
        query = _query(request, ("since", "method", "total", "idle", "timeout_s"))
        timeout_s = _number(query, "timeout_s", 10)
        if "total" in query and not self._ledger.wait_for(int(_number(query, "total", 0)), timeout_s):
            raise TimeoutError(f"{self._ledger.summary()['total']} of {query['total']} calls have come in")
        if "idle" in query and not self._ledger.wait_idle(timeout_s):
            raise TimeoutError(f"{self._ledger.summary()['in_flight']} calls are in flight")
        calls = self._ledger.calls(query.get("method"), int(_number(query, "since", 0)))
        return {"summary": self._ledger.summary(), "calls": [entry.as_json() for entry in calls]}

    def _clear_ledger(self, _request: Request, _found: Found) -> object:
        self._ledger.clear()
        return {"summary": self._ledger.summary()}

    def _get_faults(self, _request: Request, _found: Found) -> object:
        return {"faults": self._faults.listing()}

    def _add_fault(self, request: Request, _found: Found) -> object:
        return self._faults.add_json(_object(request))

    def _clear_faults(self, _request: Request, _found: Found) -> object:
        self._faults.clear()
        return {"faults": self._faults.listing()}

    def _get_gates(self, _request: Request, _found: Found) -> object:
        return {"gates": self._gates.states()}

    def _wait_gate(self, request: Request, found: Found) -> object:
        query = _query(request, ("arrived", "timeout_s"))
        return self._gates.wait(found["gate"], int(_number(query, "arrived", 0)), _number(query, "timeout_s", 10))

    def _open_gate(self, request: Request, found: Found) -> object:
        given = _object(request) if request.body else {}
        count = given.get("count")
        if set(given) - {"count"} or not (count is None or (isinstance(count, int) and count > 0)):
            raise Refused("bad body", '{"count": N} with N from 1 on, or none to open it for good')
        return self._gates.open(found["gate"], count)

    def _get_switches(self, _request: Request, _found: Found) -> object:
        return self._switches.as_json()

    def _set_switches(self, request: Request, _found: Found) -> object:
        self._switches.set(**_object(request))
        return self._switches.as_json()

    def _reset_switches(self, _request: Request, _found: Found) -> object:
        self._switches.reset()
        return self._switches.as_json()

    def _get_clients(self, _request: Request, _found: Found) -> object:
        return {"clients": self._store.dump()}

    def _edit_client(self, request: Request, _found: Found) -> object:
        return self._store.edit(_object(request))

    def _delete_client(self, _request: Request, found: Found) -> object:
        return self._store.delete(int(_number(found, "client_id", 0)))

    def _reset(self, _request: Request, _found: Found) -> object:
        self._reset_all()
        return {"clients": len(self._store.dump())}


def _json(status: int, value: object) -> Answer:
    body = json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"
    return Answer(status, body, (("Content-Type", "application/json"),))


def _object(request: Request) -> dict[str, Any]:
    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError):
        raise Refused("the body is not JSON", "a JSON object") from None
    if not isinstance(value, dict):
        raise Refused("the body is no JSON object", "a JSON object")
    return value


def _query(request: Request, allowed: tuple[str, ...]) -> dict[str, str]:
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    unknown = sorted(set(query) - set(allowed))
    if unknown:
        raise Refused(f"no such query parameter: {unknown[0]}", allowed)
    return query


def _number(given: Mapping[str, str], name: str, default: float) -> float:
    text = given.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text):
        raise Refused(f"{name} is {text!r}", "a number from 0 on")
    return float(text)
