"""The log: one JSON line a request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from simulator.server import Simulator
from tests.contract.expectations import ROUTES, body_for
from tests.support.gateway import Caller

MakeGateway = Callable[..., Caller]
FACTS = {
    "time",
    "level",
    "event",
    "request_id",
    "trace_id",
    "account",
    "method",
    "path",
    "operation",
    "status",
    "code",
    "outcome",
    "cache",
    "upstream_calls",
    "upstream_ms",
    "duration_ms",
}
OPERATIONS = ["client.list", "client.create", "client.get", "client.patch", "client.replace", "client.delete"]


@pytest.mark.parametrize("route, operation", [*zip(ROUTES, OPERATIONS, strict=True)], ids=str)
def test_a_request_is_one_line(caller: Caller, route: tuple[str, str], operation: str) -> None:
    """With the same facts every time."""
    response = caller.request(*route, headers={"X-Request-Id": "rid-1"}, **body_for(route[0]))
    [line] = caller.log()
    assert set(line) == FACTS
    assert (line["event"], line["level"], line["request_id"]) == ("request", "info", "rid-1")
    assert (line["method"], line["path"], line["operation"]) == (*route, operation)
    assert (line["status"], line["code"], line["outcome"]) == (response.status_code, None, None)
    assert line["trace_id"] == response.headers["traceparent"][3:35]
    assert re.fullmatch("[0-9a-f]{16}", line["account"])
    assert line["cache"] == ("miss" if route[0] == "GET" else None)
    assert line["upstream_calls"] == (2 if route[0] in ("POST", "PATCH", "PUT") else 1)
    assert 0 < line["upstream_ms"] < line["duration_ms"] < 60_000
    assert datetime.fromisoformat(line["time"].replace("Z", "+00:00")).tzinfo is not None
    assert caller.log_stream.getvalue().count(b"\n") == 1


ENDS: list[tuple[str, str, dict[str, Any], int, str, str | None, str | None]] = [
    ("GET", "/clients/9", {}, 404, "not_found", "not_found", "client.get"),
    ("GET", "/clients/0", {}, 404, "no_such_route", None, None),
    ("GET", "/clients?page=0", {}, 400, "invalid_query", None, "client.list"),
    ("DELETE", "/clients", {}, 405, "method_not_allowed", None, None),
    (
        "POST",
        "/clients",
        {"data": b"{", "content_type": "application/json"},
        400,
        "malformed_body",
        None,
        "client.create",
    ),
    ("POST", "/clients", {"json": {}}, 422, "invalid_fields", None, "client.create"),
    ("PUT", "/clients/13", {"data": b"x"}, 415, "unsupported_media_type", None, "client.replace"),
]


@pytest.mark.parametrize("method, path, options, status, code, outcome, operation", ENDS)
def test_an_error_is_one_line_with_its_code(
    caller: Caller,
    method: str,
    path: str,
    options: dict[str, Any],
    status: int,
    code: str,
    outcome: str | None,
    operation: str | None,
) -> None:
    """And with how the call to the upstream ended, when there was one; the query is left out."""
    caller.request(method, path, **options)
    [line] = caller.log()
    assert (line["status"], line["code"], line["outcome"], line["operation"]) == (status, code, outcome, operation)
    assert line["path"] == path.partition("?")[0]


@pytest.mark.parametrize(
    "fault, outcome",
    [
        ({"fault": "html_page"}, "garbled"),
        ({"fault": "refuse"}, "not_sent"),
        ({"fault": "commit_then_drop"}, "unknown"),
        ({"fault": "unauthorized"}, "auth"),
        ({"fault": "throttle"}, "throttled"),
        ({"fault": "maintenance"}, "upstream_error"),
        ({"fault": "unknown_fault", "code": 40040}, "rejected"),
        ({"fault": "unknown_fault", "code": 50010}, "not_found"),
    ],
    ids=str,
)
def test_the_outcome_of_a_call_that_failed_is_logged(
    caller: Caller, simulator: Simulator, fault: dict[str, Any], outcome: str
) -> None:
    """By its name, whatever the status became."""
    simulator.faults.add(**fault)
    caller.get("/clients/13")
    assert caller.log()[-1]["outcome"] == outcome


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/problems/not-found"])
def test_probes_are_logged_too(caller: Caller, path: str) -> None:
    """One line, no operation."""
    caller.get(path)
    [line] = caller.log()
    assert (line["path"], line["operation"], line["status"]) == (path, None, 200)


@pytest.mark.parametrize(
    "path",
    ['/a\n{"event":"forged"}', "/a\r\nb", "/\x00\x1b[31m", "/\u2028\u2029\x85", "/\ufffe", '/"\\', "/" + "x" * 9000],
)
def test_a_path_cannot_forge_a_line(caller: Caller, path: str) -> None:
    """Whatever is in it, the line is one JSON object, and not for ever long."""
    caller.get("/x", environ_overrides={"PATH_INFO": path.encode().decode("latin-1")})
    [line] = caller.log_stream.getvalue().splitlines()
    assert line.startswith(b"{")
    assert len(line) < 3000
    assert json.loads(line)["event"] == "request"
    assert json.loads(line)["path"] == path[:300]


def test_a_hit_says_so_and_cost_no_call(caller: Caller) -> None:
    """A hit that finds nothing is a hit as well."""
    for path in ("/clients/13", "/clients/9") * 2:
        caller.get(path)
    told = [(line["status"], line["cache"], line["upstream_calls"]) for line in caller.log()]
    assert told == [(200, "miss", 1), (404, None, 1), (200, "hit", 0), (404, "hit", 0)]


def test_lines_of_hits_may_be_left_out(make_gateway: MakeGateway) -> None:
    """Those alone: a copy that is not there is an error, and a probe is no hit."""
    caller = make_gateway(log_hits_share=0)
    for path in ("/clients/13", "/clients/9", "/livez") * 2:
        caller.get(path)
    assert [line["path"] for line in caller.log()] == ["/clients/13", "/clients/9", "/livez", "/clients/9", "/livez"]


def test_a_method_cannot_fill_the_log(caller: Caller) -> None:
    """Methods may be anything of any length."""
    caller.request("X" * 5000, "/clients")
    assert len(caller.log()[0]["method"]) <= 20


def test_a_failed_read_back_has_the_request_id_too(caller: Caller, simulator: Simulator) -> None:
    """So that the two lines are found together."""
    simulator.faults.add("html_page", methods=["client.get"])
    caller.post("/clients", json={"email": "a@b.example"}, headers={"X-Request-Id": "both"})
    lines = caller.log()
    assert [line["event"] for line in lines] == ["read_back_failed", "request"]
    assert {line["request_id"] for line in lines} == {"both"}
    assert lines[0]["outcome"] == "garbled"


@pytest.mark.parametrize(
    "level, events",
    [("debug", ["upstream_call", "request"]), ("info", ["request"]), ("warning", []), ("error", [])],
)
def test_the_level_is_a_setting(make_gateway: MakeGateway, level: str, events: list[str]) -> None:
    """Calls to the upstream at debug, requests at info."""
    caller = make_gateway(log_level=level)
    caller.get("/clients/13")
    assert [line["event"] for line in caller.log()] == events
