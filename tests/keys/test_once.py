"""Idempotency-Key on POST: one key, one record, one answer. Over both stores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from simulator.server import Simulator
from tests.keys.ground import DAY_S, another, count, ids_of, json_of, with_key
from tests.support.gateway import Caller
from tests.support.ground import Ground, refusal

ADA: dict[str, Any] = {
    "email": "ada@engines.example",
    "first_name": "Ada",
    "primary_address": {"city": "London", "country": "United Kingdom"},
}
EFFECTLESS: list[dict[str, Any]] = [
    {"fault": "unknown_fault", "code": 40060, "text": "Invalid value.", "methods": ["client.create"]},
    {"fault": "deny_action", "methods": ["client.create"]},
    {"fault": "unauthorized", "methods": ["client.create"]},
    {"fault": "throttle", "methods": ["client.create"]},
    {"fault": "maintenance", "methods": ["client.create"]},
    {"fault": "reset_before", "methods": ["client.list"]},
    {"fault": "server_error", "methods": ["client.list"]},
    {"fault": "refuse"},
]


def test_the_same_request_again(caller: Caller, simulator: Simulator) -> None:
    """Gets the same answer, and nothing at all is asked of the upstream for it."""
    first = caller.post("/clients", json=ADA, headers=with_key("k"))
    assert first.status_code == 201
    assert "Idempotency-Replayed" not in first.headers
    calls = simulator.ledger.summary()["total"]
    again = caller.post("/clients", json=ADA, headers=with_key("k"))
    assert (again.status_code, again.get_data()) == (201, first.get_data())
    for name in ("Location", "ETag", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert simulator.ledger.summary()["total"] == calls
    assert ids_of(simulator, ADA["email"]) == [json_of(first)["id"]]


def test_the_same_request_to_another_gateway_on_the_same_store(make: Callable[..., Caller]) -> None:
    """Gets the answer of the first."""
    first = make().post("/clients", json=ADA, headers=with_key("k"))
    again = make().post("/clients", json=ADA, headers=with_key("k"))
    assert (again.status_code, again.get_data()) == (201, first.get_data())
    assert again.headers["Idempotency-Replayed"] == "true"


def test_another_key(caller: Caller, simulator: Simulator) -> None:
    """Is another record, also when it is the same in everything."""
    first, second = (caller.post("/clients", json=ADA, headers=with_key(key)) for key in "ab")
    assert ids_of(simulator, ADA["email"]) == [json_of(first)["id"], json_of(second)["id"]]


def test_another_payload(caller: Caller, simulator: Simulator) -> None:
    """Is refused, and nothing is sent for it; the key still stands for the first one."""
    caller.post("/clients", json=ADA, headers=with_key("k"))
    calls = simulator.ledger.summary()["total"]
    body = refusal(caller.post("/clients", json=ADA | {"first_name": "Bob"}, headers=with_key("k")), 422, "key_reused")
    assert (body["outcome"], body["retryable"]) == ("not_applied", False)
    assert simulator.ledger.summary()["total"] == calls
    assert caller.post("/clients", json=ADA, headers=with_key("k")).headers["Idempotency-Replayed"] == "true"


def test_keys_of_the_body_in_another_order(caller: Caller) -> None:
    """Are the same payload, at every depth."""
    caller.post("/clients", json=ADA, headers=with_key("k"))
    turned = (
        '{"primary_address": {"country": "United Kingdom", "city": "London"}, '
        '"first_name": "Ada", "email": "ada@engines.example"}'
    )
    again = caller.post("/clients", data=turned, content_type="application/json", headers=with_key("k"))
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_longer_wait_the_second_time(caller: Caller) -> None:
    """Is the same request: how long its sender has patience changes nothing about what it asks for."""
    caller.post("/clients", json=ADA, headers=with_key("k", Prefer="wait=5"))
    again = caller.post("/clients", json=ADA, headers=with_key("k", Prefer="wait=9"))
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_minimal_answer(caller: Caller) -> None:
    """Is replayed as minimal, with its header; asking for the whole record is another payload."""
    wanted = with_key("k", Prefer="return=minimal")
    first, again = (caller.post("/clients", json=ADA, headers=wanted) for _ in "ab")
    assert list(json_of(again)) == ["id"]
    assert again.get_data() == first.get_data()
    assert again.headers["Preference-Applied"] == "return=minimal"
    refusal(caller.post("/clients", json=ADA, headers=with_key("k")), 422, "key_reused")


def test_the_same_key_on_other_routes(caller: Caller) -> None:
    """Is a key of its own on each."""
    made = caller.post("/clients", json=ADA, headers=with_key("k"))
    for path in (made.headers["Location"], "/clients/13"):
        changed = caller.patch(path, json={"notes": "n"}, headers=with_key("k"))
        assert changed.status_code == 200
        assert "Idempotency-Replayed" not in changed.headers
        removed = caller.delete(path, headers=with_key("k"))
        assert removed.status_code == 204
        assert "Idempotency-Replayed" not in removed.headers


def test_the_same_key_from_callers_with_api_keys_of_their_own(make: Callable[..., Caller]) -> None:
    """Is a key of its own for each, although the upstream sees one token."""
    digests = ",".join(hashlib.sha256(key.encode()).hexdigest() for key in ("anna", "otto"))
    gateway = make(gateway_auth="keys", gateway_api_keys=digests)
    answers = [
        gateway.post("/clients", json=ADA, headers=with_key("k", Authorization=f"Bearer {key}"))
        for key in ("anna", "otto", "anna")
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert json_of(answers[0])["id"] != json_of(answers[1])["id"]
    assert answers[2].get_data() == answers[0].get_data()
    assert "Idempotency-Replayed" not in answers[1].headers


def test_the_same_key_with_credentials_passed_through(make: Callable[..., Caller]) -> None:
    """Is a key of its own for each token."""
    gateway = make(gateway_auth="passthrough", upstream_token="")
    first, second = (
        gateway.post("/clients", json=ADA, headers=with_key("k"), auth=(token, "X"))
        for token in ("demo-admin", "demo-staff")
    )
    assert (first.status_code, second.status_code) == (201, 201)
    assert json_of(first)["id"] != json_of(second)["id"]


def test_a_request_while_the_first_is_in_flight(caller: Caller, simulator: Simulator) -> None:
    """Is told to come back later, and that nothing is decided yet; then it gets the answer of the first."""
    simulator.faults.add("gate", gate="g", methods=["client.create"])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(another(caller).post, "/clients", json=ADA, headers=with_key("k"))
        simulator.gates.wait("g")
        early = caller.post("/clients", json=ADA, headers=with_key("k"))
        other = caller.post("/clients", json=ADA | {"fax": "1"}, headers=with_key("k"))
        simulator.gates.open("g")
        made = first.result(20)
    body = refusal(early, 409, "key_in_flight")
    assert (body["outcome"], body["retryable"]) == ("unknown", True)
    assert 1 <= int(early.headers["Retry-After"]) <= 60
    refusal(other, 422, "key_reused")
    again = caller.post("/clients", json=ADA, headers=with_key("k"))
    assert (again.status_code, again.get_data()) == (201, made.get_data())
    assert count(simulator, "client.create") == 1


@pytest.mark.parametrize("fault", EFFECTLESS, ids=lambda fault: f"{fault['fault']} {fault.get('methods', '')}")
def test_a_request_that_failed_without_effect(caller: Caller, simulator: Simulator, fault: dict[str, Any]) -> None:
    """Leaves the key free, for the same request or another."""
    simulator.faults.add(**fault)
    failed = caller.post("/clients", json=ADA, headers=with_key("k"))
    assert failed.status_code >= 400
    assert json_of(failed)["outcome"] == "not_applied"
    simulator.faults.clear()
    made = caller.post("/clients", json=ADA | {"first_name": "Bob"}, headers=with_key("k"))
    assert made.status_code == 201
    assert "Idempotency-Replayed" not in made.headers
    assert ids_of(simulator, ADA["email"]) == [json_of(made)["id"]]


def test_a_request_that_the_gateway_itself_refused(caller: Caller) -> None:
    """Never touched the key."""
    refusal(caller.post("/clients", json=ADA | {"email": "none"}, headers=with_key("k")), 422, "invalid_fields")
    assert caller.post("/clients", json=ADA, headers=with_key("k")).status_code == 201


def test_a_record_that_could_not_be_read_back(caller: Caller, simulator: Simulator) -> None:
    """Is answered with the id alone, and so is the request when it comes again."""
    simulator.faults.add("html_page", methods=["client.get"])
    first = caller.post("/clients", json=ADA, headers=with_key("k"))
    assert (first.status_code, list(json_of(first))) == (201, ["id"])
    simulator.faults.clear()
    again = caller.post("/clients", json=ADA, headers=with_key("k"))
    assert (again.status_code, again.get_data()) == (201, first.get_data())


def test_an_answer_is_kept_for_a_day(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """Just before the key is known, just after it is new."""
    first = caller.post("/clients", json=ADA, headers=with_key("k"))
    ground.pass_time(DAY_S - 60)
    again = caller.post("/clients", json=ADA, headers=with_key("k"))
    assert again.headers["Idempotency-Replayed"] == "true"
    ground.pass_time(120)
    late = caller.post("/clients", json=ADA, headers=with_key("k"))
    assert late.status_code == 201
    assert "Idempotency-Replayed" not in late.headers
    assert ids_of(simulator, ADA["email"]) == [json_of(first)["id"], json_of(late)["id"]]


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("key", ["", "a b", "é", '"', '""', 'a"b', '"a', "x" * 256], ids=ascii)
def test_a_key_that_is_none(make_gateway: Callable[..., Caller], simulator: Simulator, method: str, key: str) -> None:
    """Is refused by name, and nothing is sent."""
    path = "/clients" if method == "POST" else "/clients/13"
    options: dict[str, Any] = {} if method == "DELETE" else {"json": ADA}
    response = make_gateway().request(method, path, headers=with_key(key), **options)
    body = refusal(response, 400, "invalid_header")
    assert body["errors"][0]["header"] == "Idempotency-Key"
    assert body["outcome"] == "not_applied"
    assert simulator.ledger.summary()["total"] == 0


@pytest.mark.parametrize("key", ["x", "x" * 255, "~!#$%&'()*+,-./:;<=>?@[]^_`{|}", "8e03978e-40d5-43dd"])
def test_a_key_in_quotes(make_gateway: Callable[..., Caller], key: str) -> None:
    """Is the key without them."""
    gateway = make_gateway()
    first = gateway.post("/clients", json=ADA, headers=with_key(key))
    again = gateway.post("/clients", json=ADA, headers=with_key(f'"{key}"'))
    assert (first.status_code, again.get_data()) == (201, first.get_data())
    assert again.headers["Idempotency-Replayed"] == "true"
