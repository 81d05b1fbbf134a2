"""Creates that could be taken for each other, at the same time: never two answers 201 with one id."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from gateway.store.interface import Put, Store
from simulator.server import Simulator
from tests.keys.ground import another, ids_of, json_of
from tests.support.gateway import Caller
from tests.support.ground import Ground, gateway_on, refusal

ADA: dict[str, Any] = {"email": "ada@engines.example", "first_name": "Ada"}
RICHER = ADA | {"last_name": "Lovelace"}
SHOUTING = ADA | {"email": "ADA@engines.example"}
SETTLE_S = 60


@pytest.fixture
def ground(folder_ground: Ground) -> Ground:
    """What is decided here does not depend on the store."""
    return folder_ground


def post(caller: Caller, key: str | None, body: dict[str, Any] = ADA, token: str = "demo-admin") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return caller.post("/clients", json=body, headers=headers, auth=(token, "X"))


@contextmanager
def lost_while_the_other_is_unanswered(
    caller: Caller,
    simulator: Simulator,
    mine: dict[str, Any],
    theirs: dict[str, Any],
    meanwhile: Callable[[], object] = lambda: None,
) -> Iterator[tuple[Any, Future[Any]]]:
    """My create, which was lost before the commit, and theirs, which is committed and not answered meanwhile.

    `mine` and `theirs` are arguments for `post`.
    """
    simulator.faults.add("reset_before", methods=["client.create"], times=1)
    simulator.faults.add("gate", gate="mine", methods=["client.create"], times=1)
    with ThreadPoolExecutor(2) as pool:
        lost = pool.submit(post, another(caller), **mine)
        simulator.gates.wait("mine")
        simulator.faults.add("gate", gate="theirs", point="after_commit", methods=["client.create"], times=1)
        made = pool.submit(post, another(caller), **theirs)
        simulator.gates.wait("theirs")
        meanwhile()
        simulator.gates.open("mine")
        try:
            yield lost.result(20), made
        finally:
            simulator.gates.open("theirs")


@pytest.mark.parametrize("mine", ["a", None], ids=["mine has a key", "mine has none"])
@pytest.mark.parametrize("theirs", ["b", None], ids=["theirs has a key", "theirs has none"])
@pytest.mark.parametrize("body", [ADA, RICHER], ids=["equal", "with more fields"])
def test_mine_is_lost_while_theirs_has_no_answer_yet(
    make: Callable[..., Caller],
    ground: Ground,
    simulator: Simulator,
    mine: str | None,
    theirs: str | None,
    body: dict[str, Any],
) -> None:
    """Theirs is not taken for mine; later mine is created, if it has a key."""
    caller = make(gateway_auth="passthrough")
    with lost_while_the_other_is_unanswered(caller, simulator, {"key": mine}, {"key": theirs, "body": body}) as (
        lost,
        made,
    ):
        refusal(lost, 504, "write_in_doubt")
    their_id = json_of(made.result(20))["id"]
    assert ids_of(simulator, ADA["email"]) == [their_id]
    if mine:
        ground.pass_time(SETTLE_S)
        assert json_of(post(caller, mine))["id"] != their_id


def test_theirs_comes_with_another_credential(make: Callable[..., Caller], simulator: Simulator) -> None:
    """It is not taken for mine, although I can see it."""
    caller = make(gateway_auth="passthrough")
    theirs = {"key": "k", "token": "demo-staff"}
    with lost_while_the_other_is_unanswered(caller, simulator, {"key": "k"}, theirs) as (lost, made):
        refusal(lost, 504, "write_in_doubt")
    assert made.result(20).status_code == 201


def test_the_upstream_makes_the_two_alike(make: Callable[..., Caller], simulator: Simulator) -> None:
    """Theirs is not taken for mine, although mine was never written like it."""
    caller = make(gateway_auth="passthrough")

    def write_small() -> None:
        (their_id,) = ids_of(simulator, SHOUTING["email"])
        simulator.store.edit({"client_id": their_id, "email": ADA["email"]})

    theirs = {"key": None, "body": SHOUTING}
    with lost_while_the_other_is_unanswered(caller, simulator, {"key": "k"}, theirs, write_small) as (lost, made):
        refusal(lost, 504, "write_in_doubt")
    assert made.result(20).status_code == 201


def test_both_answers_are_lost(make: Callable[..., Caller], ground: Ground, simulator: Simulator) -> None:
    """Both records are there, and nobody can tell whose is whose: no 201 for one of them by guessing."""
    caller = make(gateway_auth="passthrough")
    simulator.faults.add("commit_then_drop", methods=["client.create"])
    simulator.faults.add("gate", gate="g", methods=["client.create"])
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(post, another(caller), key) for key in "ab"]
        simulator.gates.wait("g", arrived=2)
        simulator.gates.open("g")
        answers = [one.result(20) for one in both]
    made = [json_of(answer)["id"] for answer in answers if answer.status_code == 201]
    assert len(made) == len(set(made))
    simulator.faults.clear()
    ground.pass_time(SETTLE_S)
    later = [post(caller, key) for key in "ab"]
    made = [json_of(answer)["id"] for answer in later if answer.status_code == 201]
    assert len(made) == len(set(made))
    assert len(ids_of(simulator, ADA["email"])) == 2


class MarkedMeanwhile:
    """A store in which another request's mark on a record appears just after somebody looked for marks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        seen = self._store.get_many(keys)
        self._store.apply([], [Put(key, b"another request", 60) for key in keys])
        return seen


@pytest.mark.parametrize("key", ["k", None], ids=["with a key", "without"])
def test_another_request_marks_the_record_in_the_last_moment(
    ground: Ground, simulator: Simulator, key: str | None
) -> None:
    """It is theirs."""
    records: Any = MarkedMeanwhile(ground.stores.records)
    ground.stores = dataclasses.replace(ground.stores, records=records)
    simulator.faults.add("commit_then_drop", methods=["client.create"])
    refusal(post(gateway_on(ground, simulator, gateway_auth="passthrough"), key), 504, "write_in_doubt")


@pytest.mark.parametrize("seed", range(4))
def test_many_equal_creates_of_which_some_are_lost(
    make: Callable[..., Caller], ground: Ground, simulator: Simulator, seed: int
) -> None:
    """Each 201 has an id of its own, then and when all keys have come again; no client has two owners or is lost."""
    caller = make(gateway_auth="passthrough")
    fate = random.Random(seed)
    for skip in range(12):
        fault = fate.choice([None, None, "commit_then_drop", "reset_before"])
        if fault:
            simulator.faults.add(fault, methods=["client.create"], times=1, skip=skip // 2)
    keys: list[str | None] = [*"abcdefgh", None, None, None, None]
    made: dict[str, int] = {}

    def create(key: str | None) -> Any:
        return key, post(another(caller), key)

    def note(answers: Any) -> list[int]:
        ids = []
        for key, answer in answers:
            if answer.status_code == 201 and made.setdefault(key or f"none {len(made)}", json_of(answer)["id"]):
                ids.append(json_of(answer)["id"])
                assert key is None or made[key] == json_of(answer)["id"]
        return ids

    with ThreadPoolExecutor(4) as pool:
        note(pool.map(create, keys))
        assert len(set(made.values())) == len(made)
        simulator.faults.clear()
        for _ in range(2):
            ground.pass_time(SETTLE_S)
            note(pool.map(create, keys[:8]))
            assert len(set(made.values())) == len(made)
    assert set(made.values()) <= set(ids_of(simulator, ADA["email"]))
    creates = [one for one in simulator.ledger.calls("client.create") if one.applied]
    assert len(creates) == len(ids_of(simulator, ADA["email"]))
