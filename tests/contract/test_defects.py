"""Defects of our own: a crash anywhere behind the routes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from gateway.upstream.decoding import Node
from gateway.upstream.transport import Call
from tests.contract.expectations import ROUTES, body_for, json_of, problem
from tests.support.gateway import Caller, start_gateway

CANARY = "canary-in-the-message-of-an-exception"
ENV = {"UPSTREAM_URL": "http://127.0.0.1:9/", "UPSTREAM_TOKEN": "token", "GATEWAY_AUTH": "open", "LOG_LEVEL": "debug"}


class Unforeseen(Exception):
    """What nobody expects."""


def gateway_over(remote: Callable[[Call], Node]) -> Caller:
    """The application in front of a callable instead of an upstream."""
    return start_gateway(ENV, calls=remote)


def crash(call: Call) -> Node:
    raise Unforeseen(f"{CANARY}: {call.body!r}")


@pytest.mark.parametrize("route", ROUTES, ids="".join)
@pytest.mark.parametrize("error", [Unforeseen, KeyError, ValueError, OSError, RecursionError, MemoryError, SystemError])
def test_a_crash_is_500_and_tells_nothing(route: tuple[str, str], error: type[Exception]) -> None:
    """A request id for the operators, and nothing of what happened."""

    def raising(call: Call) -> Node:
        raise error(CANARY)

    response = gateway_over(raising).request(*route, **body_for(route[0]))
    body = problem(response, 500, "internal_defect")
    assert body["detail"] == "The gateway met a defect of its own."
    assert set(body) - {"outcome"} == {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "code",
        "request_id",
        "retryable",
    }
    assert body.get("outcome", "unknown") == "unknown"
    assert body["retryable"] is False
    assert CANARY not in response.get_data(as_text=True)
    assert error.__name__ not in response.get_data(as_text=True)


def test_the_log_of_a_crash_says_where_and_not_what() -> None:
    """The places in the code; messages may hold what a caller sent."""
    caller = gateway_over(crash)
    response = caller.post("/clients", json={"email": "a@b.example", "password": "canary-password"})
    lines = [line for line in caller.log() if line["event"] != "upstream_call"]
    assert [line["event"] for line in lines] == ["defect", "request"]
    assert {line["request_id"] for line in lines} == {response.headers["X-Request-Id"]}
    assert lines[0]["level"] == "error"
    assert lines[0]["error"] == "Unforeseen"
    assert lines[0]["frames"][-1].endswith(" crash")
    assert (lines[1]["status"], lines[1]["code"]) == (500, "internal_defect")
    assert b"canary" not in caller.log_stream.getvalue()


def test_a_crash_in_the_read_back_leaves_the_write_a_success() -> None:
    """The write is done, and said to be done."""

    def create_only(call: Call) -> Node:
        if call.method == "client.create":
            return etree.fromstring('<response status="ok"><client_id>5</client_id></response>')
        raise Unforeseen(CANARY)

    caller = gateway_over(create_only)
    response = caller.post("/clients", json={"email": "a@b.example"})
    assert (response.status_code, json_of(response)) == (201, {"id": 5})
    assert [line["event"] for line in caller.log() if line["event"] != "upstream_call"] == ["defect", "request"]
    assert CANARY.encode() not in caller.log_stream.getvalue()


def test_after_a_crash_the_next_request_is_served() -> None:
    """Nothing is left behind."""
    caller = gateway_over(crash)
    caller.get("/clients/13")
    assert caller.get("/livez").status_code == 200
    problem(caller.get("/clients/0"), 404, "no_such_route")


@pytest.mark.parametrize(
    "answer",
    [
        "<response status='ok'/>",
        "<response status='ok'><client/></response>",
        "<response status='ok'><client><client_id/></client></response>",
        "<response status='ok'><client><client_id>x</client_id></client></response>",
        "<response status='ok'><clients/><client_id>0</client_id></response>",
        "<response status='ok'><clients total='x' pages='y' page='z'><client/></clients></response>",
        "<response status='ok'><client_id>-1</client_id></response>",
        "<response status='ok'><client_id>٣</client_id></response>",
        "<response status='ok'><client_id>²</client_id></response>",
        "<response status='ok'><client_id>" + "9" * 5000 + "</client_id></response>",
    ],
    ids=lambda answer: answer[22:60],
)
@pytest.mark.parametrize("route", ROUTES, ids="".join)
def test_success_in_an_odd_shape_is_no_crash(route: tuple[str, str], answer: str) -> None:
    """What the upstream may send is not a defect of ours."""
    response = gateway_over(lambda call: etree.fromstring(answer)).request(*route, **body_for(route[0]))
    assert response.status_code in (200, 201, 204, 502, 504), response.get_data(as_text=True)


def test_unknown_elements_are_logged_once_each() -> None:
    """Drift is told, not repeated."""
    xml = "<response status='ok'><client><client_id>5</client_id><new>1</new><newer>2</newer></client></response>"
    caller = gateway_over(lambda call: etree.fromstring(xml))
    for _ in range(3):
        assert caller.get("/clients/5").status_code == 200
    told: list[Any] = [line["element"] for line in caller.log() if line["event"] == "unknown_upstream_element"]
    assert told == ["new", "newer"]
