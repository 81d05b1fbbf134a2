"""Many who ask for the same at once: one call upstream for all of them."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from gateway.deadline import Deadline
from gateway.errors import AnswerLost, DeadlinePassed, Fault, RecordNotFound, UpstreamError
from gateway.policy.copies import Content, content_of
from gateway.policy.flights import Flights, lease_key
from gateway.store.interface import Batch, Delete, Put, Write
from simulator.server import Simulator
from tests.cache.ground import asked, body, cache_status
from tests.support.gateway import Caller
from tests.support.ground import ON_BOTH_STORES, Ground, ahead, refusal
from tests.support.server import GatewayProcess
from tests.support.watched_store import SAFETY_S

CALLERS = 8
MINIMAL = {"Prefer": "return=minimal"}


def hold_reads(simulator: Simulator, times: int | None = None) -> None:
    """Reads wait upstream at the gate "reads", before they are looked up."""
    simulator.faults.add("gate", gate="reads", methods=["client.get", "client.list"], times=times)


def all_wait(ground: Ground, callers: int) -> None:
    """Waits until all but the leader have looked whether it has landed."""
    ground.cache.wait_for(b"landed:", callers - 1)


@ON_BOTH_STORES
@pytest.mark.parametrize("path", ["/clients/13", "/clients?per_page=5"])
def test_those_who_ask_at_once_share_one_call(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], path: str
) -> None:
    """Over two gateways: one call, the same answer for all; one says it was kept, the others that they joined in."""
    hold_reads(simulator)
    gateways = [make(), make()]
    answers = [ahead(gateways[number % 2], "GET", path) for number in range(CALLERS)]
    all_wait(ground, CALLERS)
    simulator.gates.open("reads")
    shown = [answer.result(SAFETY_S) for answer in answers]
    assert len(simulator.ledger.calls()) == 1
    assert len({(one.status_code, one.headers["ETag"], one.get_data()) for one in shown}) == 1
    how = Counter(str(sorted(cache_status(one).items())) for one in shown)
    assert how == {
        "[('fwd', 'uri-miss'), ('stored', True)]": 1,
        "[('collapsed', True), ('fwd', 'uri-miss')]": CALLERS - 1,
    }


@ON_BOTH_STORES
@pytest.mark.parametrize(
    "fault, status, code",
    [
        ({"fault": "maintenance"}, 503, "upstream_unavailable"),
        ({"fault": "html_page"}, 502, "upstream_garbled"),
        (
            {"fault": "unknown_fault", "code": 50010, "text": "'client_id' not found. Client not found."},
            404,
            "not_found",
        ),
    ],
    ids=["maintenance", "web page", "not found"],
)
def test_failures_are_shared_too(
    simulator: Simulator,
    ground: Ground,
    caller: Caller,
    fault: dict[str, Any],
    status: int,
    code: str,
) -> None:
    """Whoever waited for the call gets what it failed with, and does not call again for that."""
    parameters = {name: value for name, value in fault.items() if name != "fault"}
    simulator.faults.add("gate", gate="reads", methods=["client.get"])
    simulator.faults.add(fault["fault"], methods=["client.get"], **parameters)
    answers = [ahead(caller, "GET", "/clients/13") for _ in range(CALLERS)]
    all_wait(ground, CALLERS)
    simulator.gates.open("reads")
    problems = [refusal(answer.result(SAFETY_S), status, code) for answer in answers]
    assert len({json.dumps({**one, "request_id": ""}, sort_keys=True) for one in problems}) == 1
    attempts_of_one = 3
    assert len(simulator.ledger.calls()) <= attempts_of_one


def test_a_caller_who_will_not_wait_long_does_not_fail_the_others(
    simulator: Simulator, ground: Ground, caller: Caller
) -> None:
    """The leader gives up after its three seconds; another takes its place, and the others get their answer."""
    hold_reads(simulator)
    hasty = ahead(caller, "GET", "/clients/13", headers={"Prefer": "wait=3"})
    simulator.gates.wait("reads")
    answers = [ahead(caller, "GET", "/clients/13") for _ in range(3)]
    all_wait(ground, 4)
    refusal(hasty.result(SAFETY_S), 504, "deadline_passed")
    simulator.gates.wait("reads", arrived=2)
    simulator.gates.open("reads")
    assert [answer.result(SAFETY_S).status_code for answer in answers] == [200] * 3
    assert len(simulator.ledger.calls()) == 2


def test_a_caller_who_will_not_wait_long_for_another_is_told_so(
    simulator: Simulator, ground: Ground, caller: Caller
) -> None:
    """Its own deadline counts, not the leader's, and the leader is not disturbed."""
    hold_reads(simulator)
    leader = ahead(caller, "GET", "/clients/13")
    simulator.gates.wait("reads")
    refusal(caller.get("/clients/13", headers={"Prefer": "wait=1"}), 504, "deadline_passed")
    simulator.gates.open("reads")
    assert leader.result(SAFETY_S).status_code == 200
    assert len(simulator.ledger.calls()) == 1


@ON_BOTH_STORES
@pytest.mark.parametrize("path", ["/clients/13", "/clients?per_page=100"])
def test_nobody_joins_a_call_that_began_before_an_answered_write(
    simulator: Simulator, make: Callable[..., Caller], path: str
) -> None:
    """Who asks after the write gets a call of its own, and the new form."""
    reader, writer = make(), make()
    simulator.faults.add("gate", gate="old", methods=["client.get", "client.list"], point="after_commit", times=1)
    old = ahead(reader, "GET", path)
    simulator.gates.wait("old")
    assert writer.patch("/clients/13", json={"notes": "new"}, headers=MINIMAL).status_code == 204
    assert b'"notes":"new"' in reader.get(path).get_data()
    simulator.gates.open("old")
    assert b'"notes":"new"' not in old.result(SAFETY_S).get_data()


@ON_BOTH_STORES
@pytest.mark.parametrize("path, status", [("/clients/13", 200), ("/clients?per_page=5", 200), ("/clients/4711", 404)])
def test_who_comes_just_after_the_landing_asks_no_more(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], path: str, status: int
) -> None:
    """It has looked before the answer was there, and would take off after it was: it looks again first."""
    late_gateway, other = make(), make()
    gate = ground.cache.hold_next(b"flight:")
    late = ahead(late_gateway, "GET", path)
    assert gate.reached.wait(SAFETY_S)
    assert other.get(path).status_code == status
    gate.opened.set()
    answer = late.result(SAFETY_S)
    assert answer.status_code == status
    assert len(simulator.ledger.calls()) == 1
    if status == 200:
        assert cache_status(answer) == {"fwd": "uri-miss", "collapsed": True}


def announces(write: Write) -> bool:
    """Whether it marks the lease of a flight: somebody waits."""
    return isinstance(write, Put) and write.key.startswith(b"flight:") and write.value[:1] == b"+"


def lands(write: Write) -> bool:
    """Whether it ends a flight."""
    return isinstance(write, Delete) and write.key.startswith(b"flight:")


@ON_BOTH_STORES
@pytest.mark.parametrize("path, status", [("/clients/13", 200), ("/clients?per_page=5", 200), ("/clients/4711", 404)])
def test_the_flight_lands_just_before_somebody_would_say_that_it_waits(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], path: str, status: int
) -> None:
    """It finds what was kept, at once, and does not ask upstream."""
    hold_reads(simulator, times=1)
    leader = ahead(make(), "GET", path)
    simulator.gates.wait("reads")
    gate = ground.cache.hold_next(b"flight:", announces)
    late = ahead(make(), "GET", path)
    assert gate.reached.wait(SAFETY_S)
    simulator.gates.open("reads")
    assert leader.result(SAFETY_S).status_code == status
    gate.opened.set()
    assert late.result(SAFETY_S).status_code == status
    assert len(simulator.ledger.calls()) == 1


@ON_BOTH_STORES
@pytest.mark.parametrize("path, status", [("/clients/13", 200), ("/clients?per_page=5", 200), ("/clients/4711", 404)])
def test_somebody_says_that_it_waits_just_before_the_flight_lands(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], path: str, status: int
) -> None:
    """The leader notices, keeps what it got all the same, and tells."""
    hold_reads(simulator, times=1)
    first, second = make(), make()
    leader = ahead(first, "GET", path)
    simulator.gates.wait("reads")
    gate = ground.cache.hold_next(b"flight:", lands)
    simulator.gates.open("reads")
    assert gate.reached.wait(SAFETY_S)
    ground.cache.watch_anew()
    follower = ahead(second, "GET", path)
    ground.cache.wait_for(b"landed:", 1)
    gate.opened.set()
    answers = [leader.result(SAFETY_S), follower.result(SAFETY_S)]
    assert [one.status_code for one in answers] == [status] * 2
    if status == 200:
        assert [sorted(cache_status(one)) for one in answers] == [["fwd", "stored"], ["collapsed", "fwd"]]
    assert make().get(path).status_code == status
    assert len(simulator.ledger.calls()) == 1


@ON_BOTH_STORES
def test_somebody_says_that_it_waits_just_before_a_flight_ends_with_nothing_to_keep(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller]
) -> None:
    """The leader notices that too, and tells what it ended with: nobody asks again for that."""
    simulator.faults.add("html_page", methods=["client.get"], times=1)
    gate = ground.cache.hold_next(b"flight:", lands)
    first, second = make(), make()
    leader = ahead(first, "GET", "/clients/13")
    assert gate.reached.wait(SAFETY_S)
    ground.cache.watch_anew()
    follower = ahead(second, "GET", "/clients/13")
    ground.cache.wait_for(b"landed:", 1)
    gate.opened.set()
    for answer in (leader, follower):
        refusal(answer.result(SAFETY_S), 502, "upstream_garbled")
    assert len(simulator.ledger.calls()) == 1


@ON_BOTH_STORES
def test_a_flight_that_fails_with_nobody_waiting_is_in_nobodys_way(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller]
) -> None:
    """Its lease is gone with it: the next to ask takes off at once."""
    simulator.faults.add("html_page", methods=["client.get"], times=1)
    ground.cache.watch_anew()
    assert make().get("/clients/13").status_code == 502
    leases = [key for key in ground.cache.keys_asked() if key.startswith(b"flight:")]
    assert ground.stores.cache.get_many(leases) == [None]
    assert cache_status(make().get("/clients/13")) == {"fwd": "uri-miss", "stored": True}


@ON_BOTH_STORES
@pytest.mark.parametrize("path", ["/clients/13", "/clients?per_page=100"])
def test_a_write_that_begins_between_the_look_and_the_take_off_sends_everybody_alone(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], path: str
) -> None:
    """The batch of the take-off fails, and what is fetched during the write is not kept."""
    reader, writer = make(), make()
    reader.get("/clients/14")
    ended = ground.cache.deletions_of(b"flight:")
    gate = ground.cache.hold_next(b"flight:")
    read = ahead(reader, "GET", path)
    assert gate.reached.wait(SAFETY_S)
    simulator.faults.add("gate", gate="write", methods=["client.update"], times=1)
    write = ahead(writer, "PATCH", "/clients/13", json={"notes": "new"}, headers=MINIMAL)
    simulator.gates.wait("write")
    gate.opened.set()
    assert "stored" not in cache_status(read.result(SAFETY_S))
    assert ground.cache.deletions_of(b"flight:") == ended, "there was a flight"
    simulator.gates.open("write")
    assert write.result(SAFETY_S).status_code == 204
    assert b'"notes":"new"' in reader.get(path).get_data()


@ON_BOTH_STORES
@pytest.mark.parametrize("path", ["/clients/13", "/clients?per_page=100"])
def test_a_miss_of_one_caller_costs_the_store_two_batches(ground: Ground, caller: Caller, path: str) -> None:
    """One to take off, with the stamps that were absent, and one that keeps the content and ends the flight."""
    before = ground.cache.batches_total()
    assert cache_status(caller.get(path)) == {"fwd": "uri-miss", "stored": True}
    assert ground.cache.batches_total() - before == 2


def test_those_who_want_it_anew_do_not_join(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """`no-cache` and `no-store` ask for themselves."""
    simulator.faults.add("gate", gate="old", methods=["client.get"], times=1)
    leader = ahead(caller, "GET", "/clients/13")
    simulator.gates.wait("old")
    for directive in ("no-cache", "no-store"):
        assert body(caller.get("/clients/13", headers={"Cache-Control": directive}))["id"] == 13
    simulator.gates.open("old")
    assert leader.result(SAFETY_S).status_code == 200


def test_without_a_store_everybody_asks(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """Slower, not broken."""
    ground.cache.is_down = True
    assert len(asked(simulator, lambda: [body(caller.get("/clients/13")) for _ in range(3)])) == 3
    assert cache_status(caller.get("/clients/13")) == {"fwd": "bypass", "detail": "store"}


class Fetching:
    """A trip whose fetch waits until it is let go on, and counts. Nothing of it is kept."""

    name = b"name"

    def __init__(self, outcome: Content | UpstreamError) -> None:
        self.began, self.may_end = threading.Semaphore(0), threading.Event()
        self.total = 0
        self._outcome = outcome

    def departure(self) -> Batch:
        return [], []

    def look_again(self) -> None:
        return None

    def arrival(self, end: Content | UpstreamError) -> None:
        return None

    def arrived(self, end: Content | UpstreamError, *, kept: bool) -> None:
        assert not kept

    def alone(self) -> Content:
        return self.fetch()

    def fetch(self) -> Content:
        self.total += 1
        self.began.release()
        assert self.may_end.wait(SAFETY_S)
        if isinstance(self._outcome, UpstreamError):
            raise self._outcome
        return self._outcome


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CALLERS) as pool:
        yield pool


def board(crowd: ThreadPoolExecutor, flights: Flights, fetch: Fetching) -> list[Future[tuple[Content, bool]]]:
    """A leader that has taken off, and the others who ask."""
    leader = crowd.submit(flights.share, fetch, Deadline.after(SAFETY_S))
    assert fetch.began.acquire(timeout=SAFETY_S)
    return [leader, *(crowd.submit(flights.share, fetch, Deadline.after(SAFETY_S)) for _ in range(3))]


@ON_BOTH_STORES
def test_a_failure_travels_whole(ground: Ground, crowd: ThreadPoolExecutor) -> None:
    """Its kind, its words, the upstream's words, and how long to wait."""
    fetch = Fetching(AnswerLost("Lost.", fault=Fault(7, "seven", "field"), retry_after_s=3))
    boarded = board(crowd, Flights(ground.stores.cache), fetch)
    all_wait(ground, 4)
    fetch.may_end.set()
    errors = [one.exception(SAFETY_S) for one in boarded]
    shown = {(type(e), e.detail, e.fault, e.retry_after_s) for e in errors if isinstance(e, UpstreamError)}
    assert shown == {(AnswerLost, "Lost.", Fault(7, "seven", "field"), 3)}
    assert fetch.total == 1


def test_a_deadline_of_the_leader_is_nobody_elses(ground: Ground, crowd: ThreadPoolExecutor) -> None:
    """Each of the others takes off in turn."""
    fetch = Fetching(DeadlinePassed("Too late.", sent=True))
    boarded = board(crowd, Flights(ground.stores.cache), fetch)
    all_wait(ground, 4)
    fetch.may_end.set()
    assert all(isinstance(one.exception(SAFETY_S), DeadlinePassed) for one in boarded)
    assert fetch.total == 4


def test_a_leader_that_lives_keeps_its_place_however_long_it_takes(ground: Ground, crowd: ThreadPoolExecutor) -> None:
    """Its lease is short and renewed: three lives of it pass, and nobody takes off beside it."""
    fetch = Fetching(content_of({"id": 1}))
    boarded = board(crowd, Flights(ground.stores.cache), fetch)
    all_wait(ground, 4)
    for _ in range(4):
        ground.cache.wait_for_write(b"flight:")
        ground.pass_time(1.5)
    fetch.may_end.set()
    assert sorted(one.result(SAFETY_S)[1] for one in boarded) == [False, True, True, True]
    assert fetch.total == 1


@ON_BOTH_STORES
def test_a_leader_that_died_is_replaced(ground: Ground, crowd: ThreadPoolExecutor) -> None:
    """A lease that nobody renews ends after two seconds, and one of those who wait takes off."""
    fetch = Fetching(content_of({"id": 1}))
    flights = Flights(ground.stores.cache)
    key = lease_key(fetch.name)
    ground.stores.cache.apply([], [Put(key, b"-dead", 2.0)])
    waiting = [crowd.submit(flights.share, fetch, Deadline.after(SAFETY_S)) for _ in range(3)]
    ground.cache.wait_for(b"landed:", 3)
    assert fetch.total == 0
    ground.pass_time(3)
    assert fetch.began.acquire(timeout=SAFETY_S)
    ground.cache.wait_for(b"landed:" + (ground.stores.cache.get(key) or b"??")[1:], 2)
    fetch.may_end.set()
    assert sorted(one.result(SAFETY_S)[1] for one in waiting) == [False, True, True]


def test_a_record_that_is_not_there_is_told_to_all(ground: Ground, crowd: ThreadPoolExecutor) -> None:
    """With the upstream's words."""
    fetch = Fetching(RecordNotFound("No.", fault=Fault(50010, "Client not found.")))
    boarded = board(crowd, Flights(ground.stores.cache), fetch)
    all_wait(ground, 4)
    fetch.may_end.set()
    faults = [error.fault for one in boarded if isinstance(error := one.exception(SAFETY_S), RecordNotFound)]
    assert faults == [Fault(50010, "Client not found.")] * 4


def ask(gateway: GatewayProcess, path: str) -> tuple[int, dict[str, str], bytes]:
    """Over a connection of its own."""
    connection = gateway.connect()
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, dict(response.headers.items()), response.read()
    finally:
        connection.close()


def process_env(simulator: Simulator, store: Path, workers: int) -> dict[str, str]:
    return {
        "UPSTREAM_URL": simulator.url,
        "UPSTREAM_TOKEN": "demo-admin",
        "GATEWAY_AUTH": "open",
        "GATEWAY_WORKERS": str(workers),
        "GATEWAY_THREADS": "64",
        "STORE_URL": str(store),
        "UPSTREAM_DEADLINE_S": "30",
    }


def test_fifty_cold_reads_over_four_workers_are_one_call(simulator: Simulator, tmp_path: Path) -> None:
    """All of them get the same answer; exactly one worker asked for it."""
    hold_reads(simulator)
    sent = threading.Semaphore(0)

    def read(gateway: GatewayProcess) -> tuple[int, str, str, bytes]:
        connection = gateway.connect()
        connection.request("GET", "/clients/13")
        sent.release()
        with connection.getresponse() as response:
            found = response.status, response.headers["ETag"], response.headers["Cache-Status"], response.read()
        connection.close()
        return found

    with GatewayProcess(process_env(simulator, tmp_path, workers=4)) as gateway, ThreadPoolExecutor(50) as pool:
        answers = [pool.submit(read, gateway) for _ in range(50)]
        for _ in range(50):
            assert sent.acquire(timeout=SAFETY_S)
        simulator.gates.wait("reads")
        simulator.gates.open("reads")
        found = [answer.result(SAFETY_S) for answer in answers]
    assert [call.method for call in simulator.ledger.calls()] == ["client.get"]
    assert {status for status, *_ in found} == {200}
    assert len({(etag, content) for _, etag, _, content in found}) == 1
    assert [how for _, _, how, _ in found].count("gateway; fwd=uri-miss; stored") == 1
    assert any("collapsed" in how for _, _, how, _ in found)


def test_a_worker_that_is_killed_while_it_leads_is_replaced(simulator: Simulator, tmp_path: Path) -> None:
    """Two gateways on one store: the leader's worker gets SIGKILL, and those who wait at the other are answered."""
    hold_reads(simulator)
    env = process_env(simulator, tmp_path, workers=1)
    with ExitStack() as stack:
        doomed, other = (stack.enter_context(GatewayProcess(env)) for _ in range(2))
        pool = stack.enter_context(ThreadPoolExecutor(4))
        lost = pool.submit(ask, doomed, "/clients/13")
        simulator.gates.wait("reads")
        waiting = [pool.submit(ask, other, "/clients/13") for _ in range(3)]
        for worker in psutil.Process(doomed.pid).children():
            worker.kill()
        simulator.gates.wait("reads", arrived=2, timeout_s=SAFETY_S)
        simulator.gates.open("reads")
        assert [answer.result(SAFETY_S)[0] for answer in waiting] == [200] * 3
        with pytest.raises((OSError, http.client.HTTPException)):
            lost.result(SAFETY_S)
    assert len(simulator.ledger.calls()) == 2
