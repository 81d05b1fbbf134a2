"""While the upstream is sick: what is still answered, with what, for how long, and how often the upstream is asked."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest

from simulator.server import Simulator
from tests.cache.ground import asked, body, cache_status, events
from tests.support.gateway import Caller
from tests.support.ground import Ground, ahead, gateway_on, refusal
from tests.support.watched_store import SAFETY_S

RECORD, PAGE = "/clients/13", "/clients?folder=active"
READS = ["client.get", "client.list"]
MINIMAL = {"Prefer": "return=minimal"}
SICKNESSES: dict[str, dict[str, Any]] = {
    "broken": {"fault": "server_error"},
    "fault nobody knows": {"fault": "unknown_fault"},
    "maintenance": {"fault": "maintenance"},
    "throttled": {"fault": "throttle"},
    "answer lost": {"fault": "reset_in_headers"},
    "refused": {"fault": "refuse"},
}
every_sickness = pytest.mark.parametrize("sickness", SICKNESSES.values(), ids=SICKNESSES.keys())


def fall_ill(simulator: Simulator, sickness: dict[str, Any]) -> None:
    """From now on every call fails so."""
    parameters = {name: value for name, value in sickness.items() if name != "fault"}
    simulator.faults.add(sickness["fault"], **parameters)


def attempts(caller: Caller) -> int:
    """How often the gateway has tried to call the upstream, whether anything arrived or not."""
    text = caller.get("/metrics", check=False).get_data(as_text=True)
    found = re.findall(r"^gateway_upstream_calls_total\{.*\} ([0-9.]+)$", text, re.MULTILINE)
    return int(sum(map(float, found)))


@every_sickness
@pytest.mark.parametrize("path", [RECORD, PAGE], ids=["record", "list"])
def test_the_last_good_copy_is_shown_and_says_so(
    simulator: Simulator, ground: Ground, caller: Caller, sickness: dict[str, Any], path: str
) -> None:
    """Its time is over, which `ttl` says, and how long, which `Age` says."""
    good = caller.get(path)
    fall_ill(simulator, sickness)
    ground.pass_time(100)
    old = caller.get(path)
    assert old.status_code == 200
    assert old.get_data() == good.get_data()
    assert old.headers["ETag"] == good.headers["ETag"]
    assert old.headers["Age"] == "100"
    status = cache_status(old)
    assert (status["hit"], status["detail"]) == (True, "upstream-sick")
    assert -75 <= int(status["ttl"]) <= -70
    assert caller.get(path, headers={"If-None-Match": good.headers["ETag"]}).status_code == 304
    simulator.faults.clear()
    ground.pass_time(31)
    assert cache_status(caller.get(path)) == {"fwd": "stale", "stored": True}


@pytest.mark.parametrize("path", [RECORD, PAGE], ids=["record", "list"])
def test_an_open_circuit_is_no_reason_to_answer_nothing(
    simulator: Simulator, ground: Ground, caller: Caller, path: str
) -> None:
    """Reads of what was never read open it; what was read is shown, and nothing is sent for it."""
    caller.get(path)
    ground.pass_time(40)
    fall_ill(simulator, SICKNESSES["broken"])
    codes = [caller.get(f"/clients/{key}").get_json(force=True)["code"] for key in range(20, 30)]
    assert codes[-1] == "circuit_open"
    before = attempts(caller)
    assert [caller.get(path).status_code for _ in range(10)] == [200] * 10
    assert attempts(caller) == before


@pytest.mark.parametrize("sickness", [SICKNESSES["maintenance"], SICKNESSES["refused"]], ids=["maintenance", "refused"])
def test_warm_reads_keep_answering_while_the_upstream_is_gone_for_five_minutes(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], sickness: dict[str, Any]
) -> None:
    """Two gateways, records and a list, several times a second: all answered, and at most one call a second."""
    gateways = [make(cache_stale_s=400), make(cache_stale_s=400)]
    paths = [RECORD, "/clients/14", PAGE]
    for path in paths:
        gateways[0].get(path)
    fall_ill(simulator, sickness)
    ground.pass_time(31)
    assert gateways[0].get(RECORD).status_code == 200
    tried = [sum(map(attempts, gateways))]
    for _ in range(300):
        ground.pass_time(1)
        answers = [gateway.get(path, check=False) for gateway in gateways for path in paths[:2]]
        answers.append(gateways[1].get(PAGE, check=False))
        assert {answer.status_code for answer in answers} == {200}
        tried.append(sum(map(attempts, gateways)))
    in_each_second = [after - before for before, after in itertools.pairwise(tried)]
    assert max(in_each_second) <= 1
    assert sum(in_each_second) >= 5
    simulator.faults.clear()
    ground.pass_time(31)
    assert body(gateways[0].get(RECORD))["id"] == 13


def test_without_a_copy_the_sickness_is_told(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """Nothing was ever read, or only that it is not there."""
    refusal(caller.get("/clients/4711"), 404, "not_found")
    fall_ill(simulator, SICKNESSES["maintenance"])
    refusal(caller.get(RECORD), 503, "upstream_unavailable")
    ground.pass_time(6)
    refusal(caller.get("/clients/4711"), 503, "upstream_unavailable")


def test_a_copy_is_shown_up_to_its_age_and_not_beyond(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """CACHE_STALE_S seconds after it was read upstream."""
    caller.get(RECORD)
    fall_ill(simulator, SICKNESSES["maintenance"])
    ground.pass_time(299)
    assert caller.get(RECORD).headers["Age"] == "299"
    ground.pass_time(2)
    refusal(caller.get(RECORD), 503, "upstream_unavailable")


def test_a_copy_that_got_too_old_while_the_upstream_was_asked_is_not_shown(
    simulator: Simulator, ground: Ground, caller: Caller
) -> None:
    """Its age counts when it is shown."""
    caller.get(RECORD)
    ground.pass_time(290)
    simulator.faults.add("gate", gate="sick", methods=["client.get"], times=1)
    fall_ill(simulator, SICKNESSES["maintenance"])
    read = ahead(caller, "GET", RECORD)
    simulator.gates.wait("sick")
    ground.pass_time(20)
    simulator.gates.open("sick")
    refusal(read.result(SAFETY_S), 503, "upstream_unavailable")


def test_with_no_such_age_nothing_old_is_shown(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller]
) -> None:
    """CACHE_STALE_S=0."""
    caller = make(cache_stale_s=0)
    caller.get(RECORD)
    fall_ill(simulator, SICKNESSES["maintenance"])
    ground.pass_time(20)
    assert caller.get(RECORD).status_code == 200
    ground.pass_time(11)
    refusal(caller.get(RECORD), 503, "upstream_unavailable")


@pytest.mark.parametrize("directive", ["no-cache", "no-store", "max-age=10"])
def test_who_asks_for_something_new_gets_nothing_old(
    simulator: Simulator, ground: Ground, caller: Caller, directive: str
) -> None:
    """But the error."""
    caller.get(RECORD)
    fall_ill(simulator, SICKNESSES["maintenance"])
    ground.pass_time(40)
    refusal(caller.get(RECORD, headers={"Cache-Control": directive}), 503, "upstream_unavailable")


@pytest.mark.parametrize(
    "fault, status, code",
    [
        ({"fault": "unauthorized"}, 502, "upstream_credentials_rejected"),
        ({"fault": "unknown_fault", "code": 50010, "text": "Client is deleted."}, 404, "not_found"),
        ({"fault": "unknown_fault", "code": 40060}, 422, "fields_rejected"),
        ({"fault": "unknown_fault", "code": 50020}, 409, "action_refused"),
        ({"fault": "html_page"}, 502, "upstream_garbled"),
    ],
    ids=["credentials", "not found", "fields", "action", "web page"],
)
def test_what_the_upstream_really_says_is_told(
    simulator: Simulator, ground: Ground, caller: Caller, fault: dict[str, Any], status: int, code: str
) -> None:
    """An answer in its own words is no sickness, so no copy stands in for it."""
    caller.get(RECORD)
    ground.pass_time(40)
    fall_ill(simulator, fault)
    refusal(caller.get(RECORD), status, code)


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "unauthorized"},
        {"fault": "unknown_fault", "code": 50010, "text": "Client is deleted."},
        {"fault": "unknown_fault", "code": 50020},
    ],
    ids=["credentials", "not found", "action"],
)
def test_a_copy_that_was_contradicted_is_not_shown_later(
    simulator: Simulator, ground: Ground, caller: Caller, fault: dict[str, Any]
) -> None:
    """Once the upstream has said that it is gone, or not for this credential, sickness does not bring it back."""
    caller.get(RECORD)
    ground.pass_time(40)
    fall_ill(simulator, fault)
    assert caller.get(RECORD).status_code in (404, 409, 502)
    simulator.faults.clear()
    fall_ill(simulator, SICKNESSES["maintenance"])
    ground.pass_time(10)
    refusal(caller.get(RECORD), 503, "upstream_unavailable")


@pytest.mark.parametrize("path", [RECORD, "/clients?folder=active&per_page=100"], ids=["record", "list"])
@pytest.mark.parametrize("answer", ["answered", "lost"])
def test_what_was_just_written_is_never_shown_in_its_old_form(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], path: str, answer: str
) -> None:
    """Neither here nor on another gateway, for as long as a copy could be shown; rather the error is told."""
    writer, reader = make(), make()
    reader.get(path)
    if answer == "lost":
        simulator.faults.add("commit_then_drop", methods=["client.update"])
    written = writer.patch("/clients/13", json={"notes": "new", "contacts": []}, headers=MINIMAL)
    assert written.status_code == (204 if answer == "answered" else 502)
    simulator.faults.clear()
    fall_ill(simulator, SICKNESSES["maintenance"])
    for _ in range(10):
        assert {one.get(path).status_code for one in (reader, writer)} == {503}
        ground.pass_time(30)


def test_what_was_read_back_after_a_write_is_shown(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """It is the new form."""
    caller.get(RECORD)
    caller.patch(RECORD, json={"notes": "new"})
    fall_ill(simulator, SICKNESSES["maintenance"])
    ground.pass_time(100)
    assert body(caller.get(RECORD))["notes"] == "new"


@pytest.mark.parametrize("sickness", [SICKNESSES["refused"], SICKNESSES["throttled"]], ids=["refused", "throttled"])
def test_a_write_that_did_not_get_through_takes_no_copy_away(
    simulator: Simulator, ground: Ground, caller: Caller, sickness: dict[str, Any]
) -> None:
    """It changed nothing, so what was there is still true."""
    for path in (RECORD, PAGE):
        caller.get(path)
    fall_ill(simulator, sickness)
    assert caller.patch(RECORD, json={"notes": "new"}).get_json(force=True)["outcome"] == "not_applied"
    assert caller.post("/clients", json={"email": "a@example.com"}).get_json(force=True)["outcome"] == "not_applied"
    ground.pass_time(100)
    assert [caller.get(path).status_code for path in (RECORD, PAGE)] == [200, 200]


def test_one_caller_in_a_hurry_makes_nobody_ill(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """It gets the old copy; the others get a new one, from an upstream that is only slower than that."""
    caller.get(RECORD)
    ground.pass_time(40)
    hurried = caller.get(RECORD, headers={"Prefer": "wait=0"})
    assert cache_status(hurried)["detail"] == "upstream-sick"
    assert cache_status(caller.get(RECORD)) == {"fwd": "stale", "stored": True}


def test_soon_after_it_is_well_copies_are_new_again(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """The first who is let through finds out for all."""
    for path in (RECORD, "/clients/14"):
        caller.get(path)
    simulator.faults.add("maintenance")
    ground.pass_time(40)
    assert "hit" in cache_status(caller.get(RECORD))
    simulator.faults.clear()
    assert "hit" in cache_status(caller.get("/clients/14"))
    ground.pass_time(1)
    assert cache_status(caller.get(RECORD)) == {"fwd": "stale", "stored": True}
    assert cache_status(caller.get("/clients/14")) == {"fwd": "stale", "stored": True}


def test_near_its_end_a_copy_is_fetched_anew_by_one_caller(
    simulator: Simulator, ground: Ground, caller: Caller
) -> None:
    """While that one asks, the others get the copy, which is still fresh; then everybody gets the new one."""
    caller.get(RECORD)
    ttl_s = int(cache_status(caller.get(RECORD))["ttl"])
    ground.pass_time(ttl_s - 1)
    simulator.store.edit({"client_id": 13, "notes": "new"})
    simulator.faults.add("gate", gate="early", methods=["client.get"], times=1)
    early = ahead(caller, "GET", RECORD)
    simulator.gates.wait("early")
    others: list[Any] = []
    assert asked(simulator, lambda: others.extend(caller.get(RECORD) for _ in range(5))) == []
    assert all("hit" in cache_status(one) for one in others)
    simulator.gates.open("early")
    assert body(early.result(SAFETY_S))["notes"] == "new"
    assert asked(simulator, lambda: others.append(caller.get(RECORD))) == []
    assert body(others[-1])["notes"] == "new"


def test_a_fetch_ahead_of_time_that_fails_costs_its_caller_nothing(
    simulator: Simulator, ground: Ground, caller: Caller
) -> None:
    """The copy is fresh after all, and is called so."""
    caller.get(RECORD)
    ttl_s = int(cache_status(caller.get(RECORD))["ttl"])
    ground.pass_time(ttl_s - 1)
    fall_ill(simulator, SICKNESSES["maintenance"])
    status = cache_status(caller.get(RECORD))
    assert status in ({"hit": True, "ttl": 1}, {"hit": True, "ttl": 0})
    counted = events(caller)
    assert (counted["hit"], counted.get("stale", 0)) == (2, 0)


def test_who_only_wants_what_is_cached_fetches_nothing_ahead(
    simulator: Simulator, ground: Ground, caller: Caller
) -> None:
    """A fresh copy is shown however near its end it is."""
    caller.get(RECORD)
    ttl_s = int(cache_status(caller.get(RECORD))["ttl"])
    ground.pass_time(ttl_s - 1)
    answers: list[Any] = []
    only = {"Cache-Control": "only-if-cached"}
    assert asked(simulator, lambda: answers.append(caller.get(RECORD, headers=only))) == []
    assert answers[0].status_code == 200


def test_the_stale_copy_of_one_credential_is_not_anothers(simulator: Simulator, ground: Ground) -> None:
    """Sickness opens no door."""
    admin = gateway_on(ground, simulator)
    staff = gateway_on(ground, simulator, upstream_token="demo-staff")
    admin.get(RECORD)
    fall_ill(simulator, SICKNESSES["maintenance"])
    ground.pass_time(40)
    assert admin.get(RECORD).status_code == 200
    assert staff.get(RECORD).status_code == 503
