"""A create whose answer was lost, for a key: what the next look at the upstream's list decides."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from simulator.server import Simulator
from tests.keys.ground import another, count, ids_of, json_of, with_key
from tests.support.gateway import Caller, warm
from tests.support.ground import Ground, refusal

ADA: dict[str, Any] = {
    "email": "ada@engines.example",
    "first_name": "Ada",
    "password": "s3cret enough",
    "primary_address": {"city": "London"},
    "contacts": [{"email": "b@engines.example", "first_name": "B"}, {"email": "c@engines.example"}],
}
AS_STORED: dict[str, Any] = {
    "email": "ada@engines.example",
    "first_name": "Ada",
    "p_city": "London",
    "contacts": [{"email": "c@engines.example"}, {"email": "b@engines.example", "first_name": "B"}],
}
SEE = "/clients?email=ada%40engines.example"
SETTLE_S = 60


@pytest.fixture
def ground(folder_ground: Ground) -> Ground:
    """What is decided here does not depend on the store."""
    return folder_ground


def post(caller: Caller, key: str = "k", body: dict[str, Any] = ADA) -> Any:
    return caller.post("/clients", json=body, headers=with_key(key))


def lose(simulator: Simulator, fault: str = "reset_before", **params: Any) -> None:
    simulator.faults.add(fault, methods=["client.create"], times=1, **params)


def in_doubt(response: Any) -> None:
    """504, unknown, and the query that would tell."""
    body = refusal(response, 504, "write_in_doubt")
    assert (body["outcome"], body["retryable"], body["see"]) == ("unknown", True, SEE)


LOST_ANSWERS = ["commit_then_drop", "reset_in_headers", "cut_body", "html_page", "server_error", "empty"]
DIFFERENCES: list[dict[str, Any]] = [
    {"first_name": "Adah"},
    {"p_city": "Londres"},
    {"contacts": []},
    {"contacts": [{"email": "c@engines.example"}] * 2},
]


@pytest.mark.parametrize("fault", LOST_ANSWERS)
def test_the_answer_was_lost_after_the_commit(caller: Caller, simulator: Simulator, fault: str) -> None:
    """The record is found at once: 201 with the real id, and one client."""
    lose(simulator, fault, **({"commit": True} if fault in ("html_page", "server_error") else {}))
    made = post(caller)
    assert made.status_code == 201
    assert ids_of(simulator, ADA["email"]) == [json_of(made)["id"]]
    assert made.headers["Location"] == f"/clients/{json_of(made)['id']}"
    assert [one.method for one in simulator.ledger.calls()] == [
        "client.list",
        "client.create",
        "client.list",
        "client.get",
    ]
    again = post(caller)
    assert (again.get_data(), again.headers["Idempotency-Replayed"]) == (made.get_data(), "true")


def test_the_request_was_lost_before_the_commit(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """In doubt, and looked at again each time; sent anew only when what is on its way would have arrived."""
    lose(simulator)
    in_doubt(post(caller))
    in_doubt(post(caller))
    ground.pass_time(SETTLE_S - 1)
    in_doubt(post(caller))
    assert count(simulator, "client.create") == 1
    ground.pass_time(1)
    made = post(caller)
    assert made.status_code == 201
    assert count(simulator, "client.create") == 2
    assert ids_of(simulator, ADA["email"]) == [json_of(made)["id"]]


def test_the_settle_time_is_a_setting(make: Callable[..., Caller], ground: Ground, simulator: Simulator) -> None:
    """And begins anew when the second send is lost too."""
    caller = make(idempotency_settle_s=5)
    for _ in range(2):
        lose(simulator)
        in_doubt(post(caller))
        in_doubt(post(caller))
        ground.pass_time(5)
    assert post(caller).status_code == 201
    assert count(simulator, "client.create") == 3


def test_see_leads_to_the_record(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """A person who follows it finds the client, if there is one."""
    lose(simulator)
    see = json_of(post(caller))["see"]
    assert json_of(caller.get(see))["items"] == []
    made = simulator.store.edit(AS_STORED)["client_id"]
    assert [one["id"] for one in json_of(caller.get(see))["items"]] == [made]


def test_the_commit_comes_after_the_answer_was_given_up(
    make: Callable[..., Caller], ground: Ground, simulator: Simulator
) -> None:
    """During the settle time it is found and adopted; nothing is ever sent twice."""
    caller = warm(make(upstream_deadline_s=2))
    simulator.faults.add("gate", gate="g", methods=["client.create"])
    in_doubt(post(caller))
    ground.pass_time(SETTLE_S - 1)
    in_doubt(post(caller))
    simulator.gates.open("g")
    assert simulator.ledger.wait_idle()
    (made,) = ids_of(simulator, ADA["email"])
    ground.pass_time(SETTLE_S)
    adopted = post(caller)
    assert (adopted.status_code, json_of(adopted)["id"]) == (201, made)
    assert count(simulator, "client.create") == 1


@pytest.mark.parametrize("offset_s", [-6 * 3600, 6 * 3600])
def test_the_upstreams_clock_is_not_ours(caller: Caller, simulator: Simulator, offset_s: int) -> None:
    """The record is found all the same."""
    simulator.switches.set(clock_offset_s=offset_s)
    lose(simulator, "commit_then_drop")
    assert post(caller).status_code == 201


@pytest.mark.parametrize("bounds", ["both", "neither"])
def test_the_upstream_excludes_the_bounds_of_a_time(caller: Caller, simulator: Simulator, bounds: str) -> None:
    """The record is found all the same."""
    simulator.switches.set(updated_bounds=bounds)
    lose(simulator, "commit_then_drop")
    assert post(caller).status_code == 201


def test_an_identical_client_was_there_before(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """It is left out: the new one is found when there is one, and nothing is when there is none."""
    old = simulator.store.edit(AS_STORED)["client_id"]
    lose(simulator, "commit_then_drop")
    made = json_of(post(caller))["id"]
    assert ids_of(simulator, ADA["email"]) == [old, made]
    lose(simulator)
    in_doubt(post(caller, "another"))
    ground.pass_time(SETTLE_S)
    assert json_of(post(caller, "another"))["id"] not in (old, made)


def test_more_identical_clients_than_are_looked_at(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """All of them are left out: the oldest are known by their ids."""
    for _ in range(103):
        simulator.store.edit(AS_STORED)
    lose(simulator)
    in_doubt(post(caller))
    made = simulator.store.edit(AS_STORED)["client_id"]
    for old in ids_of(simulator, ADA["email"])[50:100]:
        simulator.store.delete(old)
    assert json_of(post(caller))["id"] == made


@pytest.mark.parametrize("other", ["keyed", "keyed and lost", "without a key", "without a key and lost"])
def test_somebody_elses_identical_client_came_meanwhile(
    caller: Caller, ground: Ground, simulator: Simulator, other: str
) -> None:
    """What another request has made or adopted is left out, and does not keep ours from being sent."""
    lose(simulator)
    in_doubt(post(caller))
    if "lost" in other:
        lose(simulator, "commit_then_drop")
    headers = with_key("another") if "keyed" in other else {}
    theirs = caller.post("/clients", json=ADA, headers=headers)
    assert theirs.status_code == 201
    in_doubt(post(caller))
    ground.pass_time(SETTLE_S)
    ours = post(caller)
    assert ours.status_code == 201
    assert ids_of(simulator, ADA["email"]) == [json_of(theirs)["id"], json_of(ours)["id"]]


def test_several_could_be_it(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """409 with the candidates, as often as it is asked; once only one is left it is adopted. Nothing is sent again."""
    lose(simulator)
    in_doubt(post(caller))
    made = [simulator.store.edit(AS_STORED)["client_id"] for _ in range(2)]
    for _ in range(2):
        body = refusal(post(caller), 409, "several_candidates")
        assert sorted(body["candidates"]) == made
        assert body["outcome"] == "unknown"
        ground.pass_time(SETTLE_S)
    simulator.store.delete(made[0])
    assert json_of(post(caller))["id"] == made[1]
    assert count(simulator, "client.create") == 1


@pytest.mark.parametrize("difference", DIFFERENCES, ids=str)
def test_a_newcomer_that_is_alike_and_not_equal(
    caller: Caller, ground: Ground, simulator: Simulator, difference: dict[str, Any]
) -> None:
    """Is not adopted, and while it is there nothing is sent: it may be ours, changed on the way."""
    lose(simulator)
    in_doubt(post(caller))
    newcomer = simulator.store.edit(AS_STORED | difference)["client_id"]
    ground.pass_time(SETTLE_S)
    in_doubt(post(caller))
    assert count(simulator, "client.create") == 1
    simulator.store.delete(newcomer)
    assert post(caller).status_code == 201


def test_the_upstream_changes_texts_in_passing(caller: Caller, simulator: Simulator) -> None:
    """Blanks around a text, line ends, the form of its accents and what it fills in itself make no difference."""
    body = {"email": "ada@engines.example", "first_name": " Ada ", "last_name": "Zoe\u0308", "notes": "a\r\nb\n"}
    lose(simulator)
    in_doubt(post(caller, body=body))
    stored = {"first_name": "Ada", "last_name": "Zo\u00eb", "notes": "a\nb", "username": "ada", "organization": "x"}
    made = simulator.store.edit({"email": "ada@engines.example", **stored})["client_id"]
    assert json_of(post(caller, body=body))["id"] == made


@pytest.mark.parametrize("fault", ["reset_before", "maintenance", "html_page", "unauthorized", "throttle"])
def test_looking_is_not_possible(caller: Caller, ground: Ground, simulator: Simulator, fault: str) -> None:
    """In doubt with the query to ask later; nothing is sent, however late it is; then the record is found."""
    lose(simulator, "commit_then_drop")
    simulator.faults.add(fault, methods=["client.list"], skip=1)
    in_doubt(post(caller))
    ground.pass_time(SETTLE_S)
    in_doubt(post(caller))
    assert count(simulator, "client.create") == 1
    simulator.faults.clear()
    ground.pass_time(SETTLE_S)
    assert [json_of(post(caller))["id"]] == ids_of(simulator, ADA["email"])
    assert count(simulator, "client.create") == 1


def test_the_second_send_fails_without_effect(caller: Caller, ground: Ground, simulator: Simulator) -> None:
    """Says unknown, because of the first; and does not make the caller wait for the settle time once more."""
    lose(simulator)
    in_doubt(post(caller))
    ground.pass_time(SETTLE_S)
    lose(simulator, "throttle")
    assert refusal(post(caller), 503, "upstream_throttled")["outcome"] == "unknown"
    assert post(caller).status_code == 201


def test_a_request_while_the_other_looks(caller: Caller, simulator: Simulator) -> None:
    """Is told to come back later: only one looks and decides."""
    lose(simulator)
    in_doubt(post(caller))
    simulator.store.edit(AS_STORED)
    simulator.faults.add("gate", gate="g", methods=["client.list"])
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(post, another(caller))
        simulator.gates.wait("g")
        early = post(caller)
        simulator.gates.open("g")
        assert looking.result(20).status_code == 201
    refusal(early, 409, "key_in_flight")
