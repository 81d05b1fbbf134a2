"""Calls from web pages of other origins."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from werkzeug.test import TestResponse

from simulator.server import Simulator
from tests.contract.expectations import ROUTES, assert_uncalled, body_for
from tests.support.gateway import Caller

MakeGateway = Callable[..., Caller]
APP, OTHER = "https://app.example", "http://localhost:3000"
READABLE = {
    "ETag",
    "Link",
    "Location",
    "Retry-After",
    "X-Request-Id",
    "Preference-Applied",
    "WWW-Authenticate",
    "Allow",
}


@pytest.fixture
def caller(make_gateway: MakeGateway) -> Caller:
    return make_gateway(gateway_cors_origins=f"{APP}, {OTHER}")


def cors(response: TestResponse) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("Access-Control-")}


@pytest.mark.parametrize("origin", [APP, OTHER])
@pytest.mark.parametrize("route", ROUTES, ids="".join)
def test_a_page_of_an_allowed_origin_may_read_the_answer(caller: Caller, route: tuple[str, str], origin: str) -> None:
    """With the headers that it needs, and without credentials of the browser's own."""
    response = caller.request(*route, headers={"Origin": origin}, **body_for(route[0]))
    assert response.status_code in (200, 201, 204)
    found = cors(response)
    assert found["Access-Control-Allow-Origin"] == origin
    assert set(found["Access-Control-Expose-Headers"].split(", ")) >= READABLE
    assert "Access-Control-Allow-Credentials" not in found
    assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize(
    "path, status",
    [("/clients/9", 404), ("/nothing", 404), ("/clients?page=0", 400), ("/clients/0", 404), ("/livez", 200)],
)
def test_errors_can_be_read_too(caller: Caller, path: str, status: int) -> None:
    """Otherwise a page would see nothing but a failed request."""
    response = caller.get(path, headers={"Origin": APP})
    assert response.status_code == status
    assert cors(response)["Access-Control-Allow-Origin"] == APP


def test_upstream_errors_and_refusals_can_be_read_too(make_gateway: MakeGateway, simulator: Simulator) -> None:
    """503 with its `Retry-After`, 401 with its challenge."""
    simulator.faults.add("maintenance")
    sick = make_gateway(gateway_cors_origins=APP)
    keyed = make_gateway(gateway_cors_origins=APP, gateway_auth="keys", gateway_api_keys="0" * 64)
    for caller, status in ((sick, 503), (keyed, 401)):
        response = caller.get("/clients/13", headers={"Origin": APP})
        assert response.status_code == status
        assert cors(response)["Access-Control-Allow-Origin"] == APP


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path, allowed", [("/clients", "GET POST"), ("/clients/13", "GET PUT PATCH DELETE")])
def test_a_preflight_is_answered_without_credentials(
    make_gateway: MakeGateway, simulator: Simulator, path: str, allowed: str, method: str
) -> None:
    """Browsers send none with it; it tells methods and headers, and how long to remember them."""
    caller = make_gateway(gateway_cors_origins=APP, gateway_auth="keys", gateway_api_keys="0" * 64)
    asked = {
        "Origin": APP,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,if-match",
    }
    response = caller.request("OPTIONS", path, headers=asked)
    assert response.status_code == 204
    found = cors(response)
    assert found["Access-Control-Allow-Origin"] == APP
    assert set(allowed.split()) <= set(found["Access-Control-Allow-Methods"].split(", "))
    headers = {name.strip().lower() for name in found["Access-Control-Allow-Headers"].split(",")}
    assert {"authorization", "content-type", "if-match", "if-none-match", "prefer", "x-request-id"} <= headers
    assert int(found["Access-Control-Max-Age"]) > 0
    assert_uncalled(simulator)


DISALLOWED = ["https://evil.example", "null", "", APP.upper(), APP + ".evil.example", "http://app.example", APP + "/"]
DISALLOWED += [APP + ":8443", "https://app.example.", f"{APP},{OTHER}", "*"]


@pytest.mark.parametrize("origin", DISALLOWED)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_a_page_of_another_origin_may_not(caller: Caller, method: str, origin: str) -> None:
    """No header that would let it, compared letter by letter."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
    response = caller.request(method, "/clients/13", headers=headers)
    assert cors(response) == {}
    assert "Origin" in response.headers["Vary"]


def test_without_an_origin_there_is_nothing_to_allow(caller: Caller) -> None:
    """But caches are told that it would matter."""
    response = caller.get("/clients/13")
    assert cors(response) == {}
    assert "Origin" in response.headers["Vary"]


def test_without_allowed_origins_there_is_no_cors(make_gateway: MakeGateway) -> None:
    """The default."""
    for method in ("GET", "OPTIONS"):
        headers = {"Origin": APP, "Access-Control-Request-Method": "GET"}
        response = make_gateway().request(method, "/clients/13", headers=headers)
        assert cors(response) == {}
        assert "Origin" not in response.headers.get("Vary", "")


def test_an_options_that_is_no_preflight_is_just_that(caller: Caller) -> None:
    """`Allow`, and the headers of an ordinary answer."""
    response = caller.request("OPTIONS", "/clients", headers={"Origin": APP})
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert "Access-Control-Allow-Methods" not in cors(response)
    assert cors(response)["Access-Control-Allow-Origin"] == APP
