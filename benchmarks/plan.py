"""What is measured, with whom, and what must be reached: the tables that everything else here works through."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from benchmarks import record

GATEWAY = "gateway"


class Expected(Enum):
    """What a right answer is; `checks` knows how to tell."""

    RECORD = "the record of the asked id"
    PAGE = "the asked page of 100 clients"
    CREATED = "201 with Location and the record"
    NOT_MODIFIED = "304 with the entity tag and no body"
    XML = "the upstream's XML as it is"


@dataclass(frozen=True, slots=True)
class Request:
    """What wrk sends. `{n}` in target and body becomes a number that counts up; of 100 requests `hits` ask for one of
    `hot` numbers that come again. `conditional`: with the entity tag that the contestant gave before."""

    expected: Expected
    target: str
    method: str = "GET"
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    conditional: bool = False
    hits: int = 0
    hot: int = 1

    @property
    def counts_up(self) -> bool:
        return "{n}" in self.target + (self.body or "")


@dataclass(frozen=True, slots=True)
class Entry:
    """Who takes part, and with which request."""

    contestant: str
    request: Request


@dataclass(frozen=True, slots=True)
class Workload:
    """One comparison. `calls_min` and `calls_max` bound the calls upstream for each answer: a contestant outside does
    not do the work. No bound above holds where every request asks, because those under way when wrk ends ask too.
    `delay_ms` is the upstream's. `stretch` makes its rounds so many times longer."""

    name: str
    entries: Mapping[str, Entry]
    calls_min: float
    calls_max: float = math.inf
    connections: int = 16
    delay_ms: int = 0
    stretch: int = 1

    @property
    def calls_words(self) -> str:
        if self.calls_max == math.inf:
            return f"at least {self.calls_min:g}"
        return f"{self.calls_min:g} to {self.calls_max:g}"


@dataclass(frozen=True, slots=True)
class Threshold:
    """The gateway's rate over the other's must be at least `at_least`; `goal` is what would be better still."""

    workload: str
    against: str
    at_least: float
    goal: float | None = None


WORKER_MEMORY_MAX_MB = 95.0

THRESHOLDS = (
    Threshold("cached record", "nginx", 1.0),
    Threshold("cached record", "fastify", 2.0),
    Threshold("cached page of 100", "nginx", 0.9),
    Threshold("cached page of 100", "fastify", 1.2),
    Threshold("304", "fastify, full answer", 2.0),
    Threshold("uncached record", "fastify", 0.8, goal=1.0),
    Threshold("uncached record", "fastapi", 7.0, goal=9.0),
    Threshold("uncached page of 100", "fastify", 4.5),
    Threshold("uncached page of 100", "fastapi", 4.5),
    Threshold("128 callers at 50 ms", "fastify", 1.5),
)

_JSON_TYPE = {"Content-Type": "application/json"}
_TRANSLATING = (GATEWAY, "fastify", "fastapi", "flask")
_ALL = (GATEWAY, "nginx", "fastify", "fastapi", "flask")

CACHED = Request(Expected.RECORD, "/clients/13")
_CACHED_PAGE = Request(Expected.PAGE, "/clients?page=3&per_page=100")
UNCACHED = Request(Expected.RECORD, "/clients/{n}")
_UNCACHED_PAGE = Request(Expected.PAGE, "/clients?page={n}&per_page=100")
_CREATE = Request(Expected.CREATED, "/clients", "POST", json.dumps(record.CREATED), _JSON_TYPE)
_PATCH = Request(Expected.RECORD, "/clients/{n}", "PATCH", json.dumps(record.CHANGED), _JSON_TYPE)
_NOT_MODIFIED = replace(CACHED, expected=Expected.NOT_MODIFIED, conditional=True)
_MIX = replace(UNCACHED, hits=95, hot=100)


def _xml(body: str) -> Request:
    return Request(Expected.XML, "/api/2.1/xml-in", "POST", body, {"Content-Type": "application/xml"})


GET_XML = _xml('<request method="client.get"><client_id>{n}</client_id></request>')
LIST_XML = _xml('<request method="client.list"><page>{n}</page><per_page>100</per_page></request>')
PASSED_ON = "nginx, passing XML on"


def _among(names: tuple[str, ...], request: Request, **others: Entry) -> dict[str, Entry]:
    return {name: Entry(name, request) for name in names} | others


def _translating(request: Request, passed_on: Request | None = None) -> dict[str, Entry]:
    """Those who translate and, for orientation, what it costs not to."""
    passing = {} if passed_on is None else {PASSED_ON: Entry("nginx", passed_on)}
    return _among(_TRANSLATING, request) | passing


WORKLOADS = (
    Workload("cached record", _among(_ALL, CACHED), 0, 0.02),
    Workload("cached page of 100", _among(_ALL, _CACHED_PAGE), 0, 0.02),
    Workload("304", _among(_ALL, _NOT_MODIFIED) | {"fastify, full answer": Entry("fastify", CACHED)}, 0, 0.02),
    Workload("mix of 95 % hits", _among(_ALL, _MIX), 0.03, 0.2),
    Workload("uncached record", _translating(UNCACHED, GET_XML), 0.95),
    Workload("uncached page of 100", _translating(_UNCACHED_PAGE, LIST_XML), 0.95),
    Workload("create", _translating(_CREATE), 1.9),
    Workload("patch", _translating(_PATCH), 1.9),
    Workload("128 callers at 50 ms", _translating(UNCACHED), 0.95, connections=128, delay_ms=50, stretch=2),
)
