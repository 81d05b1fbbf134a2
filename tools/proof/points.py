"""Faults at the points of a call, for every method: what callers must be told, and what must have happened. Data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

METHODS = ("list", "get", "create", "update", "delete")


class Strikes(Enum):
    """What a fault of the simulator strikes: its listener, each connection, calls, or connections that lie idle."""

    LISTENER = "listener"
    CONNECTIONS = "connections"
    CALLS = "calls"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Point:
    """Where in a call something breaks, and the simulator's fault that breaks it there.

    `committed` says that the upstream does the work before it breaks.
    """

    name: str
    about: str
    fault: str
    strikes: Strikes = Strikes.CALLS
    params: dict[str, Any] = field(default_factory=dict)
    committed: bool = False


CONNECT = Point("before connect", "the connection is refused", "refuse", Strikes.LISTENER)
SEND = Point("before send", "the connection breaks in the TLS handshake", "accept_close", Strikes.CONNECTIONS)
IDLE = Point("before send, idle", "the upstream has closed the idle connection", "close_idle", Strikes.IDLE)
SENT = Point("after send", "read, nothing done, connection reset", "reset_before")
COMMIT = Point("after commit", "done, connection reset", "commit_then_drop", committed=True)
HEADERS = Point("in the headers", "done, connection reset within the headers", "reset_in_headers", committed=True)
BODY = Point("in the body", "done, connection ended within the body", "cut_body", committed=True)

POINTS = (CONNECT, SEND, IDLE, SENT, COMMIT, HEADERS, BODY)


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of it.

    `status`, `code` and `outcome` are what the caller is told; `code` is None for a success, `outcome` also for reads.
    `attempts` is how often the gateway tried the method, `received` how many of these calls reached the upstream's API,
    `applied` how many of them changed something there, `stands` whether the change is there in the end.
    """

    status: int
    code: str | None = None
    outcome: str | None = None
    attempts: int = 1
    received: int = 1
    applied: int = 0
    stands: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One method under a fault that strikes once, or for as long as it lasts."""

    point: Point
    method: str
    lasting: bool
    expected: Expected

    @property
    def name(self) -> str:
        return f"{self.method}-{self.point.name.replace(',', '').replace(' ', '_')}-{self.lasts}"

    @property
    def lasts(self) -> str:
        return "lasting" if self.lasting else "once"


SUCCESS = {"list": 200, "get": 200, "create": 201, "update": 200, "delete": 204}


def writes(method: str) -> bool:
    return method in ("create", "update", "delete")


def _success(method: str, *, attempts: int = 1, received: int = 1, applied: int = 1) -> Expected:
    changes = applied if writes(method) else 0
    return Expected(SUCCESS[method], None, None, attempts, received, changes, stands=writes(method))


def _failure(
    method: str, status: int, code: str, outcome: str, *, attempts: int, received: int, applied: int = 0
) -> Expected:
    told = outcome if writes(method) else None
    return Expected(status, code, told, attempts, received, applied, stands=applied > 0)


def _unreachable(point: Point, method: str, *, lasting: bool) -> Case:
    """Nothing can have been sent, so every method is tried again."""
    if lasting:
        gone = _failure(method, 503, "upstream_unreachable", "not_applied", attempts=3, received=0)
        return Case(point, method, lasting, gone)
    return Case(point, method, lasting, _success(method, attempts=2))


def _idle(method: str, *, lasting: bool) -> Case:
    """An idle connection that was closed is no failure at all."""
    return Case(IDLE, method, lasting, _success(method))


def _lost(point: Point, method: str, *, lasting: bool) -> Case:
    """The answer is lost after the request was sent whole.

    A read is tried again, and so are a delete and an update of plain values, which a second time change nothing more.
    A create is never sent again: it is looked for.
    """
    if method == "create":
        return Case(point, method, lasting, _lost_create(point))
    if not lasting:
        applied = {"update": 2, "delete": 1}.get(method, 0) if point.committed else 1
        return Case(point, method, lasting, _success(method, attempts=2, received=2, applied=applied))
    applied = {"update": 3, "delete": 1}.get(method, 0) if point.committed else 0
    lost = _failure(method, 502, "upstream_answer_lost", "unknown", attempts=3, received=3, applied=applied)
    return Case(point, method, lasting, lost)


def _lost_create(point: Point) -> Expected:
    if point.committed:
        return _success("create")
    return _failure("create", 504, "write_in_doubt", "unknown", attempts=1, received=1)


def _case(point: Point, method: str, *, lasting: bool) -> Case:
    if point in (CONNECT, SEND):
        return _unreachable(point, method, lasting=lasting)
    if point is IDLE:
        return _idle(method, lasting=lasting)
    return _lost(point, method, lasting=lasting)


CASES = tuple(
    _case(point, method, lasting=lasting) for point in POINTS for method in METHODS for lasting in (False, True)
)
