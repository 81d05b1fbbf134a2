"""A worker dies between two steps: the next request with the key takes over where it stopped. Over both stores."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.server import Simulator
from tests.keys.ground import OWNER_LIFE_S, count, ids_of, json_of, take, with_key
from tests.support.gateway import Caller
from tests.support.ground import Ground, gateway_on, refusal

ADA = {"email": "ada@engines.example", "first_name": "Ada"}
JANE = "/clients/13"
SETTLE_S = 60


def post(caller: Caller) -> Any:
    return caller.post("/clients", json=ADA, headers=with_key("k"))


def test_it_died_before_it_sent_anything(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """While it may live the key is in flight; then the record is created, once."""
    take(ground, simulator, "POST", "/clients", "k", ADA)
    refusal(post(caller), 409, "key_in_flight")
    assert simulator.ledger.summary()["total"] == 0
    ground.pass_time(OWNER_LIFE_S)
    made = post(caller)
    assert made.status_code == 201
    assert ids_of(simulator, ADA["email"]) == [json_of(made)["id"]]
    assert post(caller).headers["Idempotency-Replayed"] == "true"


def test_it_died_after_the_upstream_had_done_it(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """The record is found and adopted; nothing is sent again."""
    take(ground, simulator, "POST", "/clients", "k", ADA).sent([], 0)
    made = simulator.store.edit(ADA)["client_id"]
    refusal(post(caller), 409, "key_in_flight")
    ground.pass_time(OWNER_LIFE_S)
    adopted = post(caller)
    assert (adopted.status_code, json_of(adopted)["id"]) == (201, made)
    assert adopted.headers["Location"] == f"/clients/{made}"
    assert count(simulator, "client.create") == 0
    assert post(caller).get_data() == adopted.get_data()


def test_it_died_and_nobody_knows_whether_it_had_sent(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """In doubt until a create on its way would have arrived; then it is sent again, once."""
    take(ground, simulator, "POST", "/clients", "k", ADA).sent([], 0)
    ground.pass_time(OWNER_LIFE_S)
    body = refusal(post(caller), 504, "write_in_doubt")
    assert (body["outcome"], body["retryable"], body["see"]) == (
        "unknown",
        True,
        "/clients?email=ada%40engines.example",
    )
    assert count(simulator, "client.create") == 0
    ground.pass_time(SETTLE_S)
    assert post(caller).status_code == 201
    assert len(ids_of(simulator, ADA["email"])) == 1
    assert count(simulator, "client.create") == 1


def test_it_died_with_the_record_made_and_not_yet_answered(
    caller: Caller, ground: Ground, simulator: Simulator
) -> None:
    """The answer is made from the record: nothing is in flight, and nothing is looked for."""
    made = simulator.store.edit(ADA)["client_id"]
    reservation = take(ground, simulator, "POST", "/clients", "k", ADA)
    reservation.sent([], 0)
    assert reservation.made(made)
    answer = post(caller)
    assert (answer.status_code, json_of(answer)["id"]) == (201, made)
    assert answer.headers["Idempotency-Replayed"] == "true"
    assert [one.method for one in simulator.ledger.calls()] == ["client.get"]


def test_the_records_that_were_there_before(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """Are left out by whoever takes over, just as by the one that died."""
    old = simulator.store.edit(ADA)["client_id"]
    take(ground, simulator, "POST", "/clients", "k", ADA).sent([old], 0)
    ground.pass_time(OWNER_LIFE_S)
    refusal(post(caller), 504, "write_in_doubt")
    new = simulator.store.edit(ADA)["client_id"]
    assert json_of(post(caller))["id"] == new


def test_the_dead_one_was_only_slow(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """Once another request has taken over, it may record nothing any more, and so send nothing."""
    slow = take(ground, simulator, "POST", "/clients", "k", ADA)
    ground.pass_time(OWNER_LIFE_S)
    made = post(caller)
    with pytest.raises(Exception, match="taken over"):
        slow.sent([], 0)
    assert not slow.made(99)
    slow.free()
    slow.unknown()
    assert post(caller).get_data() == made.get_data()


def test_a_request_that_asks_while_it_takes_over(ground: Ground, simulator: Simulator) -> None:
    """Only one takes over: for the others the key is in flight again."""
    take(ground, simulator, "POST", "/clients", "k", ADA).sent([], 0)
    ground.pass_time(OWNER_LIFE_S)
    take(ground, simulator, "POST", "/clients", "k", ADA)
    refusal(post(gateway_on(ground, simulator)), 409, "key_in_flight")


@pytest.mark.parametrize("was_sent", [False, True], ids=["before it sent", "after it sent"])
def test_a_patch_died(caller: Caller, ground: Ground, simulator: Simulator, was_sent: bool) -> None:
    """It is done by the next one: a second time changes nothing more."""
    dead = take(ground, simulator, "PATCH", JANE, "k", {"notes": "new"})
    if was_sent:
        dead.sent([], 0)
    refusal(caller.patch(JANE, json={"notes": "new"}, headers=with_key("k")), 409, "key_in_flight")
    ground.pass_time(OWNER_LIFE_S)
    assert json_of(caller.patch(JANE, json={"notes": "new"}, headers=with_key("k")))["notes"] == "new"


def test_a_patch_with_a_new_contact_died_before_it_sent(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """It is done by the next one, since nothing can have happened."""
    body = {"contacts": [{"email": "new@example.com"}]}
    take(ground, simulator, "PATCH", JANE, "k", body)
    ground.pass_time(OWNER_LIFE_S)
    assert caller.patch(JANE, json=body, headers=with_key("k")).status_code == 200


def test_a_patch_with_a_new_contact_died_after_it_sent(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """It stays in doubt."""
    body = {"contacts": [{"email": "new@example.com"}]}
    take(ground, simulator, "PATCH", JANE, "k", body).sent([], 0)
    ground.pass_time(OWNER_LIFE_S)
    refusal(caller.patch(JANE, json=body, headers=with_key("k")), 504, "write_in_doubt")
    assert count(simulator, "client.update") == 0


@pytest.mark.parametrize("is_gone", [False, True], ids=["still there", "gone"])
def test_a_deletion_died(caller: Caller, ground: Ground, simulator: Simulator, is_gone: bool) -> None:
    """The next one brings it to its end; a record that is gone by then is what was wanted."""
    take(ground, simulator, "DELETE", JANE, "k", None).sent([], 0)
    if is_gone:
        simulator.store.delete(13)
    ground.pass_time(OWNER_LIFE_S)
    assert caller.delete(JANE, headers=with_key("k")).status_code == 204
    assert caller.delete(JANE, headers=with_key("k")).headers["Idempotency-Replayed"] == "true"
    refusal(caller.delete(JANE), 404, "not_found")
