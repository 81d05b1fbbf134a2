"""The wire cases as data, and the outbound half of the gateway over an upstream that is a function."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.deadline import Deadline
from gateway.secret import Secret
from gateway.telemetry import Drift, Metrics, open_log
from gateway.upstream import remote
from gateway.upstream.freshbooks import Errand, FreshBooks, codecs_of
from gateway.upstream.markup import Markups
from gateway.upstream.protocol import Answer
from gateway.upstream.transport import Call, Repeat, Transport
from schemas import RESOURCES
from schemas.client import CLIENT

CASES = Path(__file__).resolve().parents[1] / "wire" / "cases"
ZONE = ZoneInfo("America/New_York")
SAFETY_S = 30.0
"""The deadline of calls that are not expected to need one."""


@dataclass(frozen=True)
class Case:
    """One row of `cases.toml`, which says what its fields mean."""

    name: str
    direction: str
    method: str
    source: str
    operation: str = ""
    key: int = 13
    query: Mapping[str, str] = field(default_factory=dict)
    vendor_sample: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    framed: bool = True
    retry_after_s: int | None = None
    unknown: tuple[str, ...] = ()

    @property
    def xml(self) -> bytes:
        return (CASES / f"{self.name}.xml").read_bytes()

    @property
    def json(self) -> Any:
        return json.loads((CASES / f"{self.name}.json").read_text(encoding="utf-8"))

    @property
    def answer(self) -> Answer:
        return Answer(self.status, self.headers, self.xml, self.framed)


def cases(direction: str) -> list[Case]:
    """The cases of one direction, in the order of the table."""
    rows = tomllib.loads((CASES / "cases.toml").read_text(encoding="utf-8"))["case"]
    made = [Case(**{**row, "unknown": tuple(row.get("unknown", ()))}) for row in rows]
    return [case for case in made if case.direction == direction]


class Outbound:
    """FreshBooks over a transport, with what it counts and logs."""

    def __init__(self, transport: Transport) -> None:
        self.log_stream = BytesIO()
        self.metrics = Metrics(multiprocess=False)
        self.log = open_log("debug", self.log_stream)
        codecs = codecs_of(RESOURCES, ZONE, Drift(self.metrics, self.log))
        known = Markups(RESOURCES, codecs).read
        calls = remote.measured(remote.over(transport, known), self.metrics, self.log)
        self.freshbooks = FreshBooks(calls, codecs, ZONE)

    def run(self, operation: str, body: Any, *, key: int = 13, query: Mapping[str, str] | None = None) -> Any:
        """One operation on clients from a caller's JSON (a query for `list`), its result as JSON has it."""
        act: dict[str, Callable[[], Any]] = {
            "create": lambda: {"id": self.freshbooks.create(CLIENT, CLIENT.load(body), errand())},
            "get": lambda: self.freshbooks.get(CLIENT, key, errand()),
            "patch": lambda: self.freshbooks.update(CLIENT, key, CLIENT.load_patch(body), errand()),
            "replace": lambda: self.freshbooks.update(CLIENT, key, CLIENT.load_replacement(body), errand()),
            "delete": lambda: self.freshbooks.delete(CLIENT, key, errand()),
            "list": lambda: self._list(query or {}),
        }
        return act[operation]()

    def _list(self, query: Mapping[str, str]) -> dict[str, Any]:
        page = self.freshbooks.list(CLIENT, CLIENT.load_filters(query), errand())
        return {"items": page.items, "pages": page.pages, "total": page.total}

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_stream.getvalue().splitlines()]

    def unknown_elements_total(self) -> float:
        return self._total("gateway_upstream_unknown_elements_total")

    def missing_elements_total(self) -> float:
        return self._total("gateway_upstream_missing_elements_total")

    def _total(self, counter: str) -> float:
        return self.metrics.registry.get_sample_value(counter, {"resource": "client"}) or 0.0


def errand(token: str = "demo-admin", duration_s: float = SAFETY_S) -> Errand:
    return Errand(Secret(token), Deadline.after(duration_s))


def call(
    body: bytes = b"<request/>",
    *,
    method: str = "client.get",
    repeatable: bool = True,
    duration_s: float = SAFETY_S,
    token: str = "demo-admin",
    headers: Mapping[str, str] | None = None,
) -> Call:
    """A call of the transport; `duration_s` is how far away its deadline is."""
    repeat = Repeat.READ if repeatable else Repeat.IF_UNSENT
    return Call(method, body, Secret(token), Deadline.after(duration_s), repeat, headers or {})


def answering(answers: Iterable[Answer]) -> tuple[Transport, list[Call]]:
    """A transport that gives these answers in turn, and the calls it was asked for."""
    calls: list[Call] = []
    left = iter(answers)

    def transport(call: Call) -> Answer:
        calls.append(call)
        return next(left)

    return transport, calls


OK = Answer(
    200, {}, b'<response xmlns="http://www.freshbooks.com/api/" status="ok"><client_id>13</client_id></response>'
)
