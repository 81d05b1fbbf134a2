"""Puts a case on the stage, a gateway in front of the simulator, and sees what comes of it."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from simulator.server import Simulator
from tools.proof.points import Case, Expected, Point, Strikes

_NUMBERS = itertools.count(1)
_FIRST_NAME = "Grace"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the gateway answered. `body` is None when it is empty or no JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str


class Gateway(Protocol):
    """A gateway in front of the simulator, in this process or in its own."""

    def ask(self, http_method: str, path: str, body: Any = None) -> Reply:
        """One request; a body goes as JSON."""

    def after_first_failure(self, then: Callable[[], None]) -> AbstractContextManager[None]:
        """While entered: `then` is called once, when the first call to the upstream has failed."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What came of a case, in the words of `Expected`; `records` is how many clients have the case's address."""

    status: int
    code: str | None
    outcome: str | None
    attempts: int
    received: int
    applied: int
    stands: bool
    records: int

    def deviations(self, expected: Expected) -> list[str]:
        """What is not as expected, a few words each."""
        seen = asdict(self)
        wrong = [f"{name} {seen[name]}, not {want}" for name, want in asdict(expected).items() if seen[name] != want]
        return wrong + ([f"{self.records} records: a duplicate"] if self.records > 1 else [])


def perform(case: Case, simulator: Simulator, gateway: Gateway) -> Observed:
    """Makes one request under the case's fault. The gateway must have no connection open and its circuit closed."""
    email = f"proof-{next(_NUMBERS)}-{secrets.token_hex(4)}@example.com"
    key = None if case.method == "create" else simulator.store.edit({"email": email, "first_name": "Ada"})["client_id"]
    if case.point.strikes is Strikes.IDLE:
        _leave_a_dead_connection(simulator, gateway)
    simulator.ledger.clear()
    attempts = attempts_total(gateway, case.method)
    with _fault(case, simulator, gateway):
        reply = gateway.ask(*request_for(case.method, email, key))
    simulator.faults.clear()
    simulator.ledger.wait_idle()
    calls = simulator.ledger.calls(f"client.{case.method}")
    problem = reply.body if reply.status >= 400 and isinstance(reply.body, dict) else {}
    return Observed(
        status=reply.status,
        code=problem.get("code"),
        outcome=problem.get("outcome"),
        attempts=attempts_total(gateway, case.method) - attempts,
        received=len(calls),
        applied=sum(call.applied for call in calls),
        stands=_stands(case.method, simulator, email),
        records=len(_records(simulator, email)),
    )


def attempts_total(gateway: Gateway, method: str | None = None) -> int:
    """How many calls of a method, or of all, the gateway says it has made to the upstream."""
    wanted = f'method="client.{method}"' if method else ""
    rows = re.findall(r"^gateway_upstream_calls_total\{(.*)\} ([0-9.e+]+)$", gateway.ask("GET", "/metrics").text, re.M)
    return sum(int(float(value)) for labels, value in rows if wanted in labels)


def _leave_a_dead_connection(simulator: Simulator, gateway: Gateway) -> None:
    """The restart severs every connection, as a service that ends idle ones without notice."""
    gateway.ask("GET", "/clients?per_page=1")
    simulator.restart()


def _fault(case: Case, simulator: Simulator, gateway: Gateway) -> AbstractContextManager[None]:
    """Sets the fault up. A closed listener counts nothing, so "once" means: until the first call has failed."""
    point = case.point
    if point.strikes is Strikes.IDLE and not case.lasting:
        return nullcontext()
    _add_fault(point, case, simulator)
    if point.strikes is Strikes.LISTENER and not case.lasting:
        return gateway.after_first_failure(simulator.faults.clear)
    return nullcontext()


def _add_fault(point: Point, case: Case, simulator: Simulator) -> None:
    if point.strikes is Strikes.LISTENER:
        simulator.faults.add(point.fault)
        return
    methods = [f"client.{case.method}"] if point.strikes is Strikes.CALLS else None
    simulator.faults.add(point.fault, methods=methods, times=None if case.lasting else 1, **point.params)


def request_for(method: str, email: str, key: int | None) -> tuple[str, str, Any]:
    """The request that makes the gateway call a method: HTTP method, path, body. `key` is for all but create."""
    match method:
        case "list":
            return "GET", f"/clients?email={email}", None
        case "get":
            return "GET", f"/clients/{key}", None
        case "create":
            return "POST", "/clients", {"email": email, "first_name": _FIRST_NAME}
        case "update":
            return "PATCH", f"/clients/{key}", {"first_name": _FIRST_NAME}
    return "DELETE", f"/clients/{key}", None


def _records(simulator: Simulator, email: str) -> list[dict[str, Any]]:
    return [client for client in simulator.store.dump() if client["email"] == email]


def _stands(method: str, simulator: Simulator, email: str) -> bool:
    """Whether the change that the case asked for is there."""
    records = _records(simulator, email)
    if method == "delete":
        return [record["folder"] for record in records] == ["deleted"]
    return any(record["first_name"] == _FIRST_NAME for record in records)
