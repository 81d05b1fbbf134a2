"""A create whose answer was lost, without a key: looked for once, within the deadline, and never sent again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from simulator.server import Simulator
from tests.keys.ground import count, ids_of, json_of
from tests.support.gateway import Caller
from tests.support.ground import Ground, refusal

ADA: dict[str, Any] = {"email": "ada@engines.example", "first_name": "Ada"}
SEE = "/clients?email=ada%40engines.example"
OLD = "2009-08-12 09:00:00"


@pytest.fixture
def ground(folder_ground: Ground) -> Ground:
    """What is decided here does not depend on the store."""
    return folder_ground


def lose(simulator: Simulator, fault: str) -> None:
    simulator.faults.add(fault, methods=["client.create"])


def in_doubt(response: Any) -> None:
    """504, unknown, not to be repeated blindly, and the query that would tell."""
    body = refusal(response, 504, "write_in_doubt")
    assert (body["outcome"], body["retryable"], body["see"]) == ("unknown", False, SEE)


@pytest.mark.parametrize("fault", ["commit_then_drop", "reset_in_headers", "cut_body", "empty"])
def test_the_answer_was_lost_after_the_commit(caller: Caller, simulator: Simulator, fault: str) -> None:
    """The record is found: 201 with the real id, and one client."""
    lose(simulator, fault)
    made = caller.post("/clients", json=ADA)
    assert made.status_code == 201
    assert [json_of(made)["id"]] == ids_of(simulator, ADA["email"])
    assert count(simulator, "client.create") == 1


def test_the_request_was_lost_before_the_commit(caller: Caller, simulator: Simulator) -> None:
    """In doubt after one look; sent once."""
    lose(simulator, "reset_before")
    in_doubt(caller.post("/clients", json=ADA))
    assert [one.method for one in simulator.ledger.calls()] == ["client.create", "client.list"]


def test_it_needs_one_call_when_all_goes_well(caller: Caller, simulator: Simulator) -> None:
    """Nothing is looked at beforehand."""
    caller.post("/clients", json=ADA, headers={"Prefer": "return=minimal"})
    assert [one.method for one in simulator.ledger.calls()] == ["client.create"]


@pytest.mark.parametrize("age_s", [2, 600])
def test_an_identical_client_was_there_before(
    caller: Caller, ground: Ground, simulator: Simulator, age_s: float
) -> None:
    """It is not taken for ours, be it only seconds old."""
    simulator.store.edit(ADA)
    ground.clock.now_s = time.time() + age_s
    lose(simulator, "reset_before")
    in_doubt(caller.post("/clients", json=ADA))


def test_an_old_and_a_new_one(caller: Caller, simulator: Simulator) -> None:
    """The new one is ours."""
    old = simulator.store.edit(ADA | {"updated": OLD})["client_id"]
    lose(simulator, "commit_then_drop")
    made = json_of(caller.post("/clients", json=ADA))["id"]
    assert ids_of(simulator, ADA["email"]) == [old, made]


def test_an_old_one_that_never_says_when_it_changed(caller: Caller, simulator: Simulator) -> None:
    """Is not taken for ours."""
    simulator.store.edit(ADA)
    simulator.switches.set(drop_elements=["updated"])
    lose(simulator, "reset_before")
    in_doubt(caller.post("/clients", json=ADA))


def test_an_identical_client_that_another_request_made(caller: Caller, simulator: Simulator) -> None:
    """Is not taken for ours, be it made in the same second."""
    assert caller.post("/clients", json=ADA).status_code == 201
    lose(simulator, "reset_before")
    in_doubt(caller.post("/clients", json=ADA))


def test_the_upstreams_clock_is_behind(caller: Caller, simulator: Simulator) -> None:
    """Nothing is surely newer, so it stays in doubt."""
    simulator.switches.set(clock_offset_s=-30)
    lose(simulator, "commit_then_drop")
    in_doubt(caller.post("/clients", json=ADA))


def test_several_could_be_it(caller: Caller, simulator: Simulator) -> None:
    """409 with the candidates."""
    later = "2099-01-01 00:00:00"
    made = [simulator.store.edit(ADA | {"updated": later})["client_id"] for _ in range(2)]
    lose(simulator, "reset_before")
    body = refusal(caller.post("/clients", json=ADA), 409, "several_candidates")
    assert (sorted(body["candidates"]), body["outcome"], body["retryable"]) == (made, "unknown", False)


def test_looking_is_not_possible(caller: Caller, simulator: Simulator) -> None:
    """The create's own error, unknown, with the query to ask later."""
    lose(simulator, "commit_then_drop")
    simulator.faults.add("maintenance", methods=["client.list"])
    body = refusal(caller.post("/clients", json=ADA), 502, "upstream_answer_lost")
    assert (body["outcome"], body["retryable"], body["see"]) == ("unknown", False, SEE)
    assert count(simulator, "client.create") == 1


def test_there_is_time_left_to_look(make: Callable[..., Caller], simulator: Simulator) -> None:
    """When the upstream commits and then hangs, the deadline allows for finding out: 201 with the real id."""
    simulator.faults.add("blackhole", commit=True, methods=["client.create"])
    made = make(upstream_deadline_s=4).post("/clients", json=ADA)
    assert [json_of(made)["id"]] == ids_of(simulator, ADA["email"])
