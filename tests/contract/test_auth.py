"""Who may call: keys, passthrough, open."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from gateway.settings import Settings, SettingsError
from simulator.server import Simulator
from tests.contract.expectations import ROUTES, assert_uncalled, body_for, json_of, problem, refused
from tests.support.gateway import Caller

MakeGateway = Callable[..., Caller]
KEYS = ("first-key", "second key with blanks", "drittes-Schlüsselwort", "x" * 4000)


def digests(*keys: str) -> str:
    return ",".join(hashlib.sha256(key.encode()).hexdigest() for key in keys)


@pytest.fixture
def keyed(make_gateway: MakeGateway) -> Caller:
    return make_gateway(gateway_auth="keys", gateway_api_keys=digests(*KEYS))


@pytest.fixture
def passthrough(make_gateway: MakeGateway) -> Caller:
    return make_gateway(gateway_auth="passthrough", upstream_token=None)


def basic(user: str, password: str = "X") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(key: str, scheme: str = "Bearer") -> dict[str, str]:
    """As it comes over the wire: bytes, one Latin-1 character each."""
    return {"Authorization": f"{scheme} {key}".encode().decode("latin-1")}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:20])
def test_any_of_the_keys_opens_every_operation(keyed: Caller, key: str) -> None:
    """Each digest stands for a key."""
    for route in ROUTES:
        assert keyed.request(*route, headers=bearer(key), **body_for(route[0])).status_code in (200, 201, 204)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_may_be_written_in_any_case(keyed: Caller, scheme: str) -> None:
    """RFC 9110 §11.1."""
    assert keyed.get("/clients/13", headers=bearer("first-key", scheme)).status_code == 200


def test_digests_may_be_written_in_capitals_with_blanks(make_gateway: MakeGateway) -> None:
    """As people paste them."""
    pasted = f" {digests('a').upper()} , {digests('b')} ,"
    caller = make_gateway(gateway_auth="keys", gateway_api_keys=pasted)
    assert [caller.get("/clients/13", headers=bearer(key)).status_code for key in "abc"] == [200, 200, 401]


BAD_AUTHORIZATION: dict[str, dict[str, str]] = {
    "none": {},
    "empty": {"Authorization": ""},
    "scheme alone": {"Authorization": "Bearer"},
    "scheme and blank": {"Authorization": "Bearer "},
    "wrong key": bearer("wrong"),
    "key in capitals": bearer("FIRST-KEY"),
    "a part of the key": bearer("first-ke"),
    "more than the key": bearer("first-key2"),
    "the digest itself": bearer(digests("first-key")),
    "key without scheme": {"Authorization": "first-key"},
    "another scheme": bearer("first-key", "Token"),
    "Basic": basic("first-key", ""),
    "key as Basic's text": bearer("first-key", "Basic"),
    "two keys": bearer("first-key, Bearer first-key"),
    "control characters": {"Authorization": "Bearer first-key\x00"},
    "not ASCII": bearer("schlüssel"),
    "very long": bearer("y" * 8000),
    "no blank": {"Authorization": "Bearerfirst-key"},
    "X-Api-Key": {"X-Api-Key": "first-key"},
}


@pytest.mark.parametrize("headers", BAD_AUTHORIZATION.values(), ids=BAD_AUTHORIZATION)
def test_without_a_key_nothing_is_done(keyed: Caller, simulator: Simulator, headers: dict[str, str]) -> None:
    """401 with the challenge, the same words for every reason."""
    for route in ROUTES:
        response = keyed.request(*route, headers=headers, **body_for(route[0]))
        body = refused(response, 401, "unauthenticated", simulator)
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="gateway"'
        assert body["detail"] == "An API key is required: Authorization: Bearer KEY."


def test_a_key_in_the_query_is_no_key(keyed: Caller, simulator: Simulator) -> None:
    """Addresses end up in logs."""
    response = keyed.get("/clients?access_token=first-key")
    refused(response, 401, "unauthenticated", simulator)


def test_who_calls_is_asked_before_anything_else(keyed: Caller, simulator: Simulator) -> None:
    """What else is wrong is nobody's business."""
    wrong = {"data": b"\xff", "content_type": "text/plain", "headers": {"Accept": "text/html", "If-Match": "x"}}
    refused(keyed.patch("/clients/13?x=1", **wrong), 401, "unauthenticated", simulator)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/problems/not-found"])
def test_probes_and_documents_ask_nobody(keyed: Caller, path: str) -> None:
    """An orchestrator has no key."""
    assert keyed.get(path).status_code == 200


def test_an_unknown_route_is_404_for_everybody(keyed: Caller, simulator: Simulator) -> None:
    """There is nothing to hide; and 405 likewise."""
    refused(keyed.get("/nothing"), 404, "no_such_route", simulator)
    refused(keyed.delete("/clients"), 405, "method_not_allowed", simulator)
    assert keyed.request("OPTIONS", "/clients").status_code == 204


@pytest.mark.parametrize("fault", [None, "custom_body"])
@pytest.mark.parametrize("route", ROUTES, ids="".join)
def test_a_gateways_own_token_that_is_refused_is_502(
    make_gateway: MakeGateway, simulator: Simulator, route: tuple[str, str], fault: str | None
) -> None:
    """It is the operators' affair: no 401, no challenge that would have a caller try other keys."""
    caller = make_gateway(gateway_auth="keys", gateway_api_keys=digests("k"), upstream_token="revoked-token")
    if fault:
        simulator.faults.add(fault, status=401, headers={"WWW-Authenticate": 'Basic realm="x"'}, text="<html/>")
    response = caller.request(*route, headers=bearer("k"), **body_for(route[0]))
    body = problem(response, 502, "upstream_credentials_rejected")
    assert "WWW-Authenticate" not in response.headers
    assert body.get("outcome", "not_applied") == "not_applied"
    assert body["retryable"] is False
    assert "revoked-token" not in response.get_data(as_text=True)


# passthrough


@pytest.mark.parametrize("password", ["X", "", "x", "p:q:r", "ünï"])
def test_the_callers_credentials_go_upstream(passthrough: Caller, simulator: Simulator, password: str) -> None:
    """The user name is the token, the password is ignored (vendor's documentation)."""
    assert passthrough.get("/clients/14", headers=basic("demo-admin", password)).status_code == 200
    assert [entry.token for entry in simulator.ledger.calls()] == ["admin"]


def test_each_caller_sees_what_its_token_sees(passthrough: Caller, simulator: Simulator) -> None:
    """Staff see the clients assigned to them, through one gateway and one set of connections."""
    staff, admin = basic("demo-staff"), basic("demo-admin")
    assert json_of(passthrough.get("/clients", headers=staff))["total"] == 15
    assert json_of(passthrough.get("/clients", headers=admin))["total"] == 57
    assert json_of(passthrough.get("/clients/13", headers=staff)) == json_of(
        passthrough.get("/clients/13", headers=admin)
    )
    problem(passthrough.get("/clients/14", headers=staff), 404, "not_found")
    problem(passthrough.delete("/clients/14", headers=staff), 404, "not_found")
    assert passthrough.get("/clients/14", headers=admin).status_code == 200
    assert {entry.token for entry in simulator.ledger.calls()} == {"staff", "admin"}


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_basic_scheme_may_be_written_in_any_case(passthrough: Caller, scheme: str) -> None:
    """RFC 9110 §11.1."""
    credentials = basic("demo-admin")["Authorization"].partition(" ")[2]
    assert passthrough.get("/clients/13", headers={"Authorization": f"{scheme} {credentials}"}).status_code == 200


BAD_BASIC: dict[str, dict[str, str]] = {
    "none": {},
    "empty": {"Authorization": ""},
    "scheme alone": {"Authorization": "Basic"},
    "no base64": {"Authorization": "Basic !!!"},
    "cut base64": {"Authorization": "Basic ZGVtb"},
    "no user name": basic(""),
    "not ASCII": basic("dëmo-admin"),
    "line break": basic("demo-admin\r\nX-Injected: 1"),
    "NUL": basic("demo-admin\0"),
    "not UTF-8": {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:X").decode()},
    "Bearer": bearer("demo-admin"),
    "Digest": {"Authorization": 'Digest username="demo-admin"'},
    "OAuth": {"Authorization": 'OAuth oauth_token="x"'},
}


@pytest.mark.parametrize("headers", BAD_BASIC.values(), ids=BAD_BASIC)
def test_without_basic_credentials_nothing_is_passed_through(
    passthrough: Caller, simulator: Simulator, headers: dict[str, str]
) -> None:
    """401 with the challenge, and no call."""
    for route in ROUTES:
        response = passthrough.request(*route, headers=headers, **body_for(route[0]))
        refused(response, 401, "unauthenticated", simulator)
        assert response.headers["WWW-Authenticate"] == 'Basic realm="FreshBooks", charset="UTF-8"'


@pytest.mark.parametrize("route", ROUTES, ids="".join)
def test_credentials_that_the_upstream_refuses_are_401(
    passthrough: Caller, simulator: Simulator, route: tuple[str, str]
) -> None:
    """They are the caller's own; nothing was applied, and they are not repeated."""
    response = passthrough.request(*route, headers=basic("not-a-token"), **body_for(route[0]))
    body = problem(response, 401, "unauthenticated")
    assert response.headers["WWW-Authenticate"].startswith("Basic ")
    assert body.get("outcome", "not_applied") == "not_applied"
    assert "not-a-token" not in response.get_data(as_text=True)
    assert [entry.token for entry in simulator.ledger.calls()] == ["other"]


def test_passthrough_needs_no_token_of_its_own_and_uses_none(make_gateway: MakeGateway, simulator: Simulator) -> None:
    """A token in the settings is not lent to callers."""
    caller = make_gateway(gateway_auth="passthrough", upstream_token="demo-admin")
    refused(caller.get("/clients"), 401, "unauthenticated", simulator)
    assert json_of(caller.get("/clients", headers=basic("demo-staff")))["total"] == 15


# open

LOOPBACK = [
    "localhost",
    "LOCALHOST",
    "localhost:8080",
    "127.0.0.1",
    "127.0.0.1:8080",
    "127.8.9.10",
    "[::1]",
    "[::1]:80",
]
ELSEWHERE = ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"]
ELSEWHERE += ["0.0.0.0", "[::]:8080", "[::ffff:10.0.0.1]", "192.168.1.10:8080", "my-laptop", "localhost.", "127.1"]


@pytest.mark.parametrize("host", LOOPBACK)
def test_open_answers_to_names_of_this_machine(caller: Caller, host: str) -> None:
    """By name or address, with a port or without."""
    assert caller.get("/clients/13", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ELSEWHERE)
def test_open_refuses_every_other_name(caller: Caller, simulator: Simulator, host: str) -> None:
    """A web page elsewhere whose name was rebound to this machine comes with its own name."""
    for route in ROUTES:
        response = caller.request(*route, headers={"Host": host}, **body_for(route[0]))
        refused(response, 403, "forbidden", simulator)


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-For", "Forwarded", "X-Original-Host"])
def test_forwarding_headers_change_nothing(caller: Caller, simulator: Simulator, header: str) -> None:
    """Anybody can send them."""
    response = caller.get("/clients/13", headers={"Host": "evil.example", header: "localhost"})
    refused(response, 403, "forbidden", simulator)
    assert caller.get("/clients/13", headers={header: "evil.example"}).status_code == 200


def test_credentials_are_not_looked_at_when_open(caller: Caller, simulator: Simulator) -> None:
    """The gateway's own token is used."""
    assert caller.get("/clients/14", headers=basic("demo-staff")).status_code == 200
    assert caller.get("/clients/14", headers=bearer("x")).status_code == 200
    assert {entry.token for entry in simulator.ledger.calls()} == {"admin"}


@pytest.mark.parametrize("bind", ["0.0.0.0:8080", "[::]:8080", "10.0.0.1:80", "gateway.example:80"])
def test_open_on_an_address_that_is_not_loopback_does_not_start(bind: str) -> None:
    """Refused by the settings."""
    env: dict[str, Any] = {"UPSTREAM_URL": "http://127.0.0.1/x", "UPSTREAM_TOKEN": "t", "GATEWAY_AUTH": "open"}
    with pytest.raises(SettingsError, match="GATEWAY_AUTH=open is refused"):
        Settings.from_env(env | {"GATEWAY_BIND": bind})


def test_a_refusal_names_no_key_and_no_token(keyed: Caller, simulator: Simulator) -> None:
    """Neither what was sent nor what is known."""
    response = keyed.get("/clients/13", headers=bearer("guessed-key"))
    shown = response.get_data(as_text=True) + str(response.headers)
    assert not [one for one in ("guessed-key", "first-key", digests("first-key"), "demo-admin") if one in shown]
    assert_uncalled(simulator)
