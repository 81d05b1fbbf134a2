"""Canaries: keys, tokens and passwords must come out nowhere."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from gateway.deadline import Deadline
from gateway.errors import CredentialsRejected, Fault
from gateway.secret import Secret
from gateway.settings import Settings
from gateway.upstream.freshbooks import Errand
from gateway.upstream.protocol import Answer
from gateway.upstream.transport import Call, Repeat
from simulator.server import Simulator
from tests.contract.expectations import json_of
from tests.support.gateway import Caller, warm

MakeGateway = Callable[..., Caller]
KEY = "canary-api-key-5b0d"
TOKEN = "canary-upstream-token-77aa"
PASSWORD = "canary-password-c3e1"
WRONG_KEY = "canary-wrong-key-19f2"
CALLERS_TOKEN = "canary-callers-token-e020"
BASIC = base64.b64encode(f"{TOKEN}:X".encode()).decode()
CALLERS_BASIC = base64.b64encode(f"{CALLERS_TOKEN}:X".encode()).decode()
CANARIES = ("canary", BASIC, CALLERS_BASIC, hashlib.sha256(KEY.encode()).hexdigest())
WRITES = (("POST", "/clients"), ("PATCH", "/clients/13"), ("PUT", "/clients/13"))


class Watched:
    """A caller that keeps all that the gateway shows."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.shown = b""

    def __call__(self, method: str, path: str, **options: Any) -> TestResponse:
        response = self.caller.request(method, path, **options)
        self.shown += str(response.status).encode() + str(response.headers).encode() + response.get_data()
        return response

    def assert_silent(self) -> None:
        metrics = self.caller.get("/metrics").get_data()
        for name, text in (("an answer", self.shown), ("the log", self.log()), ("the metrics", metrics)):
            for canary in CANARIES:
                assert canary.encode() not in text, f"{canary} stands in {name}"

    def log(self) -> bytes:
        return self.caller.log_stream.getvalue()


@pytest.fixture
def ask(make_gateway: MakeGateway, knowing: Simulator) -> Watched:
    """A caller with a key, of a gateway whose token the upstream knows, at the most talkative level."""
    keys = hashlib.sha256(KEY.encode()).hexdigest()
    caller = warm(
        make_gateway(
            upstream_url=knowing.url,
            gateway_auth="keys",
            gateway_api_keys=keys,
            upstream_token=TOKEN,
            log_level="debug",
            upstream_deadline_s=2,
        )
    )
    caller.headers = {"Authorization": f"Bearer {KEY}"}
    return Watched(caller)


@pytest.fixture(scope="module")
def one_that_knows() -> Iterator[Simulator]:
    with Simulator(tokens={TOKEN: "admin", CALLERS_TOKEN: "staff"}) as running:
        yield running


@pytest.fixture
def knowing(one_that_knows: Simulator) -> Simulator:
    """A simulator that knows the canary tokens."""
    one_that_knows.reset()
    return one_that_knows


def valid(**changes: Any) -> dict[str, Any]:
    return {"email": "a@b.example", "password": PASSWORD, **changes}


def test_what_is_accepted_is_shown_without_its_secrets(ask: Watched) -> None:
    """All operations in their plain course."""
    assert ask("POST", "/clients", json=valid()).status_code == 201
    assert ask("POST", "/clients", json=valid(), headers={"Prefer": "return=minimal"}).status_code == 201
    assert ask("PATCH", "/clients/13", json={"password": PASSWORD}).status_code == 200
    assert ask("PUT", "/clients/13", json=valid()).status_code == 200
    assert ask("GET", "/clients/13").status_code == 200
    assert ask("GET", "/clients?per_page=100").status_code == 200
    assert ask("DELETE", "/clients/13").status_code == 204
    ask.assert_silent()


REFUSED_BODIES: dict[str, Any] = {
    "unknown field": valid(emial="x"),
    "misspelt password": {"email": "a@b.example", "pasword": PASSWORD},
    "no text": valid(password=[PASSWORD]),
    "an object": valid(password={"value": PASSWORD}),
    "control character": valid(password=PASSWORD + "\0"),
    "in the e-mail": valid(email=PASSWORD),
    "in the language": valid(language=PASSWORD),
    "in an id": valid(contacts=[{"id": PASSWORD, "email": PASSWORD}]),
    "password in a contact": valid(contacts=[{"email": "a@b.example", "password": PASSWORD}]),
    "no object": [PASSWORD],
    "a text": PASSWORD,
}
REFUSED_TEXTS: dict[str, bytes] = {
    "cut": f'{{"email": "a@b.example", "password": "{PASSWORD}'.encode(),
    "trailing comma": f'{{"password": "{PASSWORD}",}}'.encode(),
    "twice": f'{{"password": "{PASSWORD}", "password": "{PASSWORD}2"}}'.encode(),
    "raw line break": f'{{"password": "{PASSWORD}\n"}}'.encode(),
    "bad escape": f'{{"password": "{PASSWORD}\\x"}}'.encode(),
    "not UTF-8": f'{{"password": "{PASSWORD}'.encode() + b'\xff"}',
    "bare": PASSWORD.encode(),
    "too long": f'{{"password": "{PASSWORD}"}}'.encode() + b" " * 1024 * 1024,
}


@pytest.mark.parametrize("body", REFUSED_BODIES.values(), ids=REFUSED_BODIES)
def test_what_is_refused_here_is_not_repeated(ask: Watched, body: object) -> None:
    """Whichever value is wrong."""
    for route in WRITES:
        assert ask(*route, json=body).status_code in (400, 422)
        ask.assert_silent()


@pytest.mark.parametrize("data", REFUSED_TEXTS.values(), ids=REFUSED_TEXTS)
def test_what_cannot_be_read_is_not_repeated(ask: Watched, data: bytes) -> None:
    """Where JSON breaks, often in the middle of a value."""
    for route in WRITES:
        assert ask(*route, data=data, content_type="application/json").status_code in (400, 413)
        assert ask(*route, data=data, content_type="text/plain").status_code == 415
        ask.assert_silent()


REPEATED = f"Wrong: {PASSWORD}, {TOKEN}! <{PASSWORD}> {TOKEN}{TOKEN} \u00ab{PASSWORD}\u00bb"


@pytest.mark.parametrize("route", WRITES, ids="".join)
@pytest.mark.parametrize("code", [20010, 40010, 40060, 50010, 50020, 99999, 10030, None])
def test_a_fault_that_repeats_secrets_is_shown_without_them(
    ask: Watched, knowing: Simulator, route: tuple[str, str], code: int | None
) -> None:
    """The upstream may say what it likes; the rest of its words stays."""
    knowing.faults.add("unknown_fault", code=code, text=REPEATED)
    response = ask(*route, json=valid())
    assert response.status_code >= 400
    assert json_of(response)["upstream"]["message"].startswith("Wrong: [secret], [secret]!")
    ask.assert_silent()


@pytest.mark.parametrize(
    "text",
    ["x" * (300 - cut) + PASSWORD for cut in range(1, len(PASSWORD))]
    + [f"Invalid value for field '{PASSWORD}'.", f"Invalid node: {PASSWORD}.", PASSWORD, f"{PASSWORD}\n\n{PASSWORD}"],
    ids=range(len(PASSWORD) + 3),
)
def test_a_fault_that_is_cut_within_a_secret_shows_no_part_of_it(ask: Watched, knowing: Simulator, text: str) -> None:
    """Long words of the upstream are cut; what is left of a secret is no less one."""
    knowing.faults.add("unknown_fault", code=40060, text=text)
    assert ask("POST", "/clients", json=valid()).status_code == 422
    ask.assert_silent()


@pytest.mark.parametrize(
    "password", ["canary  two  blanks", " canary ", "canary\ttab", "canary\r\nlines", "canary & <x>"]
)
def test_a_secret_is_found_in_words_whose_blanks_were_tidied(ask: Watched, knowing: Simulator, password: str) -> None:
    """Faults are shown on one line, so the secret in them is too."""
    knowing.faults.add("unknown_fault", code=40060, text=f"Wrong password {password}.")
    assert ask("POST", "/clients", json=valid(password=password)).status_code == 422
    ask.assert_silent()


@pytest.mark.parametrize("route", WRITES, ids="".join)
@pytest.mark.parametrize(
    "params",
    [
        {"status": 200, "text": REPEATED},
        {"status": 400, "text": REPEATED},
        {"status": 401, "text": REPEATED, "headers": {"WWW-Authenticate": f'Basic realm="{TOKEN}"'}},
        {"status": 302, "headers": {"Location": f"https://x.example/{TOKEN}/{PASSWORD}/deactivated"}},
        {"status": 429, "headers": {"Retry-After": PASSWORD}},
        {"status": 503, "headers": {"Retry-After": TOKEN}, "text": REPEATED},
        {"status": 500, "headers": {"X-Error": f"{TOKEN} {PASSWORD}", "Server": BASIC}, "text": REPEATED},
        {"text": f"<response status='ok'><{PASSWORD}/><client_id>{TOKEN}</client_id></response>"},
        {"text": f"<response status='{TOKEN}'/>"},
        {"text": f"<{TOKEN}/>"},
        {"text": f"<response status='fail'><code>{PASSWORD}</code><field>{PASSWORD}</field></response>"},
        {"text": f"<response status='fail'><code>{TOKEN}</code><error>{TOKEN}</error></response>"},
        {"text": f"<!DOCTYPE {TOKEN}><response/>"},
    ],
    ids=lambda params: str(params)[:60],
)
def test_an_answer_that_is_none_is_not_repeated(
    ask: Watched, knowing: Simulator, route: tuple[str, str], params: dict[str, Any]
) -> None:
    """Neither its body nor its headers."""
    knowing.faults.add("custom_body", **params)
    assert ask(*route, json=valid()).status_code != 500
    assert knowing.ledger.summary()["total"] > 0
    ask.assert_silent()


@pytest.mark.parametrize("route", WRITES, ids="".join)
@pytest.mark.parametrize(
    "fault", ["refuse", "reset_before", "commit_then_drop", "reset_in_headers", "cut_body", "blackhole", "html_page"]
)
def test_a_lost_call_takes_its_secrets_with_it(
    ask: Watched, knowing: Simulator, route: tuple[str, str], fault: str
) -> None:
    """The error knows what was lost, not what was in it."""
    knowing.faults.add(fault)
    assert ask(*route, json=valid()).status_code >= 500
    ask.assert_silent()


def test_a_read_back_that_repeats_secrets_is_not_repeated(ask: Watched, knowing: Simulator) -> None:
    """It is logged, without its words."""
    knowing.faults.add("unknown_fault", text=REPEATED, methods=["client.get"])
    assert ask("POST", "/clients", json=valid()).status_code == 201
    assert b"read_back_failed" in ask.log()
    ask.assert_silent()


def test_wrong_keys_are_not_repeated(ask: Watched) -> None:
    """In whatever scheme, header or place they come."""
    for value in (f"Bearer {WRONG_KEY}", WRONG_KEY, f"Basic {WRONG_KEY}", f"Bearer {KEY} {WRONG_KEY}"):
        assert ask("GET", "/clients/13", headers={"Authorization": value}).status_code == 401
    ask.assert_silent()


def test_the_credentials_of_callers_are_not_repeated(make_gateway: MakeGateway, knowing: Simulator) -> None:
    """Passed through, accepted or refused, also by a fault that repeats them."""
    caller = make_gateway(upstream_url=knowing.url, gateway_auth="passthrough", upstream_token=None, log_level="debug")
    caller.headers = {"Authorization": f"Basic {CALLERS_BASIC}"}
    ask = Watched(caller)
    assert ask("GET", "/clients/13").status_code == 200
    assert ask("POST", "/clients", json=valid()).status_code == 201
    wrong = base64.b64encode(f"{WRONG_KEY}:{PASSWORD}".encode()).decode()
    assert ask("GET", "/clients/13", headers={"Authorization": f"Basic {wrong}"}).status_code == 401
    for code in (20010, 99999):
        knowing.faults.add("unknown_fault", code=code, text=f"{CALLERS_TOKEN} is unknown")
        anew = {"Cache-Control": "no-cache"}
        assert ask("GET", "/clients/13", headers=anew).status_code in (401, 502)
        knowing.faults.clear()
    assert wrong.encode() not in ask.shown + ask.log()
    ask.assert_silent()


def test_nothing_that_holds_a_secret_prints_it() -> None:
    """repr, str and format of settings, secrets, calls, errands, answers and errors."""
    settings = Settings.from_env(
        {
            "UPSTREAM_URL": "http://127.0.0.1/x",
            "UPSTREAM_TOKEN": TOKEN,
            "GATEWAY_API_KEYS": hashlib.sha256(KEY.encode()).hexdigest(),
        }
    )
    token, deadline = Secret(TOKEN), Deadline.after(1)
    rejected = CredentialsRejected("Rejected.", fault=Fault(20010, f"{TOKEN} is unknown"))
    rejected.blot_out(TOKEN)
    held = (
        token,
        Errand(token, deadline),
        Call("client.create", f"<password>{PASSWORD}</password>".encode(), token, deadline, Repeat.IF_UNSENT),
        Answer(200, {}, PASSWORD.encode()),
        rejected,
        rejected.fault,
        settings.upstream_token,
    )
    for one in held:
        for text in (repr(one), str(one), f"{one}", repr([one]), repr(getattr(one, "args", ""))):
            assert not [canary for canary in CANARIES if canary in text], text


def test_the_settings_print_neither_token_nor_keys() -> None:
    """Not even the digests of the keys."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    env = {"UPSTREAM_URL": "http://127.0.0.1/x", "UPSTREAM_TOKEN": TOKEN, "GATEWAY_API_KEYS": digest}
    shown = repr(Settings.from_env(env)) + str(Settings.from_env(env))
    assert TOKEN not in shown
    assert digest not in shown
    assert repr(bytes.fromhex(digest)) not in shown


def test_what_is_sent_upstream_is_the_token_and_nothing_of_the_caller(ask: Watched, knowing: Simulator) -> None:
    """The caller's key stays here."""
    ask("GET", "/clients/13", headers={"Cookie": KEY, "X-Forwarded-For": KEY, "Traceparent": KEY, "User-Agent": KEY})
    [call] = knowing.ledger.calls()
    assert call.token == "admin"
    assert KEY not in str(call.headers)


def test_a_canary_would_be_seen(make_gateway: MakeGateway) -> None:
    """The watch itself works: what stands in an answer or the log is found."""
    ask = Watched(make_gateway())
    ask("GET", "/canary")
    assert b"canary" in ask.shown
    assert b"canary" in ask.log()
    with pytest.raises(AssertionError, match="canary stands in an answer"):
        ask.assert_silent()
    assert isinstance(ask.caller.log_stream, io.BytesIO)
