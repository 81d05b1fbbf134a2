"""HEAD, OPTIONS and the wrong methods."""

from __future__ import annotations

import pytest

from simulator.server import Simulator
from tests.contract.expectations import assert_uncalled, methods_called, problem, refused
from tests.support.gateway import Caller

ON_LIST = "GET, HEAD, OPTIONS, POST"
ON_RECORD = "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
READ_ONLY = "GET, HEAD, OPTIONS"
ALLOWED = {
    "/": READ_ONLY,
    "/clients": ON_LIST,
    "/clients/13": ON_RECORD,
    "/docs": READ_ONLY,
    "/docs/docs.js": READ_ONLY,
    "/livez": READ_ONLY,
    "/metrics": READ_ONLY,
    "/openapi.json": READ_ONLY,
    "/openapi.yaml": READ_ONLY,
    "/problems/not-found": READ_ONLY,
    "/readyz": READ_ONLY,
}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "LINK")
WRONG = [(m, path) for path, allowed in ALLOWED.items() for m in METHODS if m not in allowed.split(", ")]


@pytest.mark.parametrize("path", ["/clients", "/clients/13", "/clients?per_page=2&folder=active", "/livez", "/docs"])
def test_head_is_get_without_the_body(caller: Caller, path: str) -> None:
    """The same status and headers, `Content-Length` and `ETag` included; only the names of the two requests differ, and
    whether the cache had it."""
    get, head = caller.get(path), caller.request("HEAD", path)
    assert (head.status_code, head.get_data()) == (200, b"")
    own = {"X-Request-Id", "traceparent", "Cache-Status", "Age"}
    kept = [{name: value for name, value in one.headers.items() if name not in own} for one in (get, head)]
    assert kept[0] == kept[1]
    assert int(head.headers["Content-Length"]) == len(get.get_data())


def test_head_of_what_is_not_there_has_no_body_either(caller: Caller) -> None:
    """A problem in its headers alone."""
    response = caller.request("HEAD", "/clients/9")
    assert (response.status_code, response.get_data()) == (404, b"")
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize("path", ALLOWED)
def test_options_names_the_methods(caller: Caller, simulator: Simulator, path: str) -> None:
    """204 with `Allow`, in one order, no body, and nobody asks who is calling."""
    response = caller.request("OPTIONS", path)
    assert (response.status_code, response.get_data()) == (204, b"")
    assert response.headers["Allow"] == ALLOWED[path]
    assert "Content-Type" not in response.headers
    assert response.headers["X-Request-Id"]
    assert_uncalled(simulator)


@pytest.mark.parametrize("method, path", WRONG)
def test_a_wrong_method_is_405_and_says_which_are_right(
    caller: Caller, simulator: Simulator, method: str, path: str
) -> None:
    """On every route."""
    response = caller.request(method, path)
    refused(response, 405, "method_not_allowed", simulator)
    assert response.headers["Allow"] == ALLOWED[path]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"])
def test_an_unknown_route_is_404_for_every_method(caller: Caller, simulator: Simulator, method: str) -> None:
    """The path is looked at first."""
    body = refused(caller.request(method, "/nothing/here"), 404, "no_such_route", simulator)
    assert body["instance"] == "/nothing/here"


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_methods_cannot_be_overridden_by_a_header(caller: Caller, simulator: Simulator, header: str) -> None:
    """A GET stays a GET."""
    assert caller.get("/clients/13", headers={header: "DELETE"}).status_code == 200
    assert methods_called(simulator) == ["client.get"]
    problem(caller.request("TRACE", "/clients/13", headers={header: "GET"}), 405, "method_not_allowed")
