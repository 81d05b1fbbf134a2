"""The circuit as workers share it through the store, with a clock that the test moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from gateway.deadline import Deadline
from gateway.errors import (
    AnswerLost,
    CircuitOpen,
    DeadlinePassed,
    Fault,
    FieldsRejected,
    NotSent,
    Overloaded,
    RecordNotFound,
    UpstreamError,
    UpstreamFailed,
)
from gateway.policy.circuit import SharedCircuit
from gateway.secret import Secret
from gateway.store.embedded import EmbeddedStore
from gateway.store.interface import Put, Store
from gateway.store.open import open_store
from gateway.telemetry import Metrics
from gateway.upstream.breaker import CLOSED, OPEN_FIRST_S, SCORE_MAX
from gateway.upstream.decoding import Node
from gateway.upstream.protocol import Answer, read_answer
from gateway.upstream.transport import Call, Repeat
from simulator.server import Simulator
from tests.contract.expectations import ROUTES, body_for, problem
from tests.support.gateway import Caller

OK = read_answer(Answer(200, {}, b'<response status="ok"/>'))
ACCOUNT = b"account"


class Upstream:
    """A fake remote procedure call: fails with `error`, or succeeds when that is None. Counts its calls."""

    def __init__(self) -> None:
        self.error: UpstreamError | Exception | None = None
        self.calls_total = 0

    def __call__(self, _call: Call) -> Node:
        self.calls_total += 1
        if self.error is not None:
            raise self.error
        return OK


class Held(Upstream):
    """One whose calls wait: `arrived` tells that one is in, `release` lets all of them end."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = threading.Event()
        self.release = threading.Event()

    def __call__(self, one: Call) -> Node:
        self.arrived.set()
        assert self.release.wait(30)
        return super().__call__(one)


class Clock:
    """Seconds that only the test lets pass."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, duration_s: float) -> None:
        self.now_s += duration_s


def call(allowed_s: float = 10.0) -> Call:
    return Call("client.get", b"-", Secret("demo-admin"), Deadline.after(allowed_s), Repeat.READ)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The embedded store, as all threads of a worker share it; `test_circuit_processes.py` has several workers."""
    store = EmbeddedStore(str(tmp_path / "store"), 2**22, durable=False, evict=True, lock_timeout_s=10)
    yield store
    store.close()


def worker(store: Store, clock: Clock, account: bytes = ACCOUNT) -> SharedCircuit:
    return SharedCircuit(store, account, Metrics(multiprocess=False), clock)


def fail(circuit: SharedCircuit, error: Exception, times: int = 1, allowed_s: float = 10.0) -> None:
    """So many calls that fail with this error. Raises whatever else they meet."""
    upstream = Upstream()
    upstream.error = error
    guarded = circuit.around(upstream)
    for _ in range(times):
        with pytest.raises(type(error)):
            guarded(call(allowed_s))
    assert upstream.calls_total == times


def refused(circuit: SharedCircuit) -> CircuitOpen:
    """The refusal of a call, after checking that nothing was sent."""
    upstream = Upstream()
    with pytest.raises(CircuitOpen) as caught:
        circuit.around(upstream)(call())
    assert upstream.calls_total == 0
    return caught.value


def succeed(circuit: SharedCircuit) -> None:
    assert circuit.around(Upstream())(call()) is OK


def test_failures_open_it_for_all_who_share_it(store: Store, clock: Clock) -> None:
    """What one suffered spares the others; another account is not concerned."""
    one, other = worker(store, clock), worker(store, clock)
    fail(one, AnswerLost("-"), times=3)
    fail(other, NotSent("-"), times=2)
    assert refused(one).retry_after_s == 1
    assert refused(other).retry_after_s == 1
    succeed(worker(store, clock, b"another"))


def test_a_refusal_is_a_call_that_was_not_sent(store: Store, clock: Clock) -> None:
    """And it is final: the retry policy leaves it alone."""
    circuit = worker(store, clock)
    fail(circuit, AnswerLost("-"), times=5)
    refusal = refused(circuit)
    assert (refusal.outcome.value, refusal.written.value, refusal.final) == ("not_sent", "not_applied", True)


def test_a_healthy_upstream_costs_no_write(store: Store, clock: Clock) -> None:
    """While all is well nothing is kept, so nothing contends."""
    circuit = worker(store, clock)
    succeed(circuit)
    fail(circuit, RecordNotFound("-"))
    used = store.status()
    assert used.entries == 0
    assert circuit.state() == CLOSED


@pytest.mark.parametrize(
    "error",
    [
        FieldsRejected("-", fault=Fault(40060, "Invalid value.")),
        RecordNotFound("-", fault=Fault(50010, "Client not found.")),
        UpstreamFailed("-", fault=Fault(99999, "Something unusual happened.")),
        UpstreamFailed("-", fault=Fault(None, "Nobody knows.")),
    ],
    ids=["validation", "not found", "unknown fault", "fault without a code"],
)
def test_a_thousand_faults_never_open_it(error: UpstreamError, store: Store, clock: Clock) -> None:
    """Its own words show that it is well. They even make up for failures."""
    circuit = worker(store, clock)
    fail(circuit, AnswerLost("-"), times=SCORE_MAX - 1)
    fail(circuit, error, times=1000)
    assert circuit.state() == CLOSED


@pytest.mark.parametrize(
    "error",
    [DeadlinePassed("-", sent=True), DeadlinePassed("-", sent=False), Overloaded("-")],
    ids=["sent", "not", "full"],
)
def test_what_shows_nothing_never_opens_it(error: UpstreamError, store: Store, clock: Clock) -> None:
    """A caller in too much of a hurry, or our own bound on calls in flight."""
    circuit = worker(store, clock)
    fail(circuit, error, times=100, allowed_s=0.5)
    assert circuit.state() == CLOSED


def test_deadlines_that_were_fair_open_it(store: Store, clock: Clock) -> None:
    """An upstream that never answers is sick."""
    circuit = worker(store, clock)
    fail(circuit, DeadlinePassed("-", sent=True), times=5, allowed_s=10.0)
    refused(circuit)


def test_a_success_of_the_trial_closes_it(store: Store, clock: Clock) -> None:
    """For everybody, and with nothing held against it."""
    circuit = worker(store, clock)
    fail(circuit, AnswerLost("-"), times=5)
    clock.advance(OPEN_FIRST_S)
    succeed(circuit)
    assert circuit.state() == CLOSED
    fail(circuit, AnswerLost("-"), times=4)
    succeed(circuit)


def test_each_failed_trial_doubles_the_wait(store: Store, clock: Clock) -> None:
    """One call after each wait, up to half a minute between them; `Retry-After` says so."""
    circuit = worker(store, clock)
    fail(circuit, AnswerLost("-"), times=5)
    told_s = []
    for _ in range(7):
        wait_s = refused(circuit).retry_after_s or 0
        told_s.append(wait_s)
        clock.advance(wait_s)
        fail(circuit, AnswerLost("-"))
    assert told_s == [1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize(
    "error", [DeadlinePassed("-", sent=True), Overloaded("-"), ValueError("-")], ids=["hurry", "full", "defect"]
)
def test_a_trial_that_shows_nothing_leaves_its_place(error: Exception, store: Store, clock: Clock) -> None:
    """It closes nothing and lengthens nothing: the next call tries at once."""
    circuit = worker(store, clock)
    fail(circuit, AnswerLost("-"), times=5)
    clock.advance(OPEN_FIRST_S)
    fail(circuit, error, allowed_s=0.5)
    assert circuit.state().open_s == OPEN_FIRST_S
    assert circuit.state().opened_at_s is not None
    succeed(circuit)
    assert circuit.state() == CLOSED


def test_exactly_one_of_many_threads_tries(store: Store, clock: Clock) -> None:
    """Of thirty-two that come at once, through four circuits, one is sent and the others are refused."""
    workers = [worker(store, clock) for _ in range(4)]
    fail(workers[0], AnswerLost("-"), times=5)
    clock.advance(OPEN_FIRST_S)
    upstream, line = Held(), threading.Barrier(32)

    def come(number: int) -> str:
        guarded = workers[number % 4].around(upstream)
        line.wait(30)
        try:
            guarded(call())
        except CircuitOpen:
            return "refused"
        return "sent"

    with ThreadPoolExecutor(32) as threads:
        answers = [threads.submit(come, number) for number in range(32)]
        assert upstream.arrived.wait(30)
        refusals = as_completed(answers, timeout=30)
        assert [next(refusals).result() for _ in range(31)] == ["refused"] * 31
        upstream.release.set()
    assert sorted(answer.result() for answer in answers) == ["refused"] * 31 + ["sent"]
    assert upstream.calls_total == 1
    assert workers[3].state() == CLOSED


def test_a_trial_whose_holder_is_gone_is_replaced(store: Store, clock: Clock) -> None:
    """Not before its time; and should the holder come back later, its failure does not disturb the one that tries."""
    first, second = worker(store, clock), worker(store, clock)
    fail(first, AnswerLost("-"), times=5)
    clock.advance(OPEN_FIRST_S)
    lost, current = Held(), Held()
    lost.error = AnswerLost("-")
    with ThreadPoolExecutor(2) as threads:
        gone = threads.submit(first.around(lost), call(allowed_s=10.0))
        assert lost.arrived.wait(30)
        clock.advance(10.0)
        refused(second)
        clock.advance(1.1)
        trying = threads.submit(second.around(current), call(allowed_s=10.0))
        assert current.arrived.wait(30)
        lost.release.set()
        assert isinstance(gone.exception(30), AnswerLost)
        refused(first)
        assert second.state().open_s == OPEN_FIRST_S
        current.release.set()
        assert trying.result(30) is OK
    assert first.state() == CLOSED


def test_calls_under_way_when_it_opens_change_nothing(store: Store, clock: Clock) -> None:
    """A success that began before it opened does not close it."""
    circuit = worker(store, clock)
    upstream = Held()
    with ThreadPoolExecutor(1) as threads:
        under_way = threads.submit(circuit.around(upstream), call())
        assert upstream.arrived.wait(30)
        fail(circuit, AnswerLost("-"), times=5)
        upstream.release.set()
        assert under_way.result(30) is OK
    refused(circuit)


def test_a_store_that_is_away_leaves_it_closed(clock: Clock) -> None:
    """A lost memory must not keep callers from a healthy upstream: it fails open."""
    store = open_store("redis://127.0.0.1:1", "coordination", 0, durable=False, evict=True)
    circuit = worker(store, clock)
    fail(circuit, AnswerLost("-"), times=20)
    succeed(circuit)
    assert circuit.state() == CLOSED
    store.close()


def test_an_entry_that_cannot_be_read_counts_as_closed(store: Store, clock: Clock) -> None:
    """Such as one of another version; it is written over."""
    store.apply([], [Put(b"circuit:" + ACCOUNT, b"\x00not this version", 60.0)])
    circuit = worker(store, clock)
    succeed(circuit)
    fail(circuit, AnswerLost("-"), times=5)
    refused(circuit)


# --- as callers meet it ---------------------------------------------------------------------------


class Tripped:
    """A gateway whose circuit is open. It is open for a second only, so it is opened anew when that was too short."""

    def __init__(self, caller: Caller, simulator: Simulator) -> None:
        self.caller = caller
        self._simulator = simulator
        self._trip()

    def refusal(self, method: str, path: str) -> TestResponse:
        """The answer to a request while the circuit is open; the ledger then holds what the request called upstream."""
        for _ in range(10):
            self._simulator.ledger.clear()
            response = self.caller.request(method, path, **body_for(method))
            if response.get_json(force=True).get("code") == "circuit_open":
                return response
            self._trip()
        raise AssertionError("the circuit does not open")

    def _trip(self) -> None:
        self._simulator.faults.add("reset_before")
        for _ in range(SCORE_MAX):
            assert self.caller.get("/clients/13").status_code in (502, 503)
        self._simulator.faults.clear()


@pytest.fixture
def tripped(make_gateway: Callable[..., Caller], simulator: Simulator) -> Tripped:
    return Tripped(make_gateway(cache_ttl_s=0), simulator)


@pytest.mark.parametrize("method, path", ROUTES, ids=[f"{method} {path}" for method, path in ROUTES])
def test_every_operation_while_it_is_open(method: str, path: str, tripped: Tripped, simulator: Simulator) -> None:
    """503 with the code, `Retry-After`, and for writes that nothing was applied. The upstream is not called."""
    response = tripped.refusal(method, path)
    body = problem(response, 503, "circuit_open")
    assert int(response.headers["Retry-After"]) >= 1
    assert body.get("outcome", "not_applied") == "not_applied"
    assert body["retryable"] is True
    assert simulator.ledger.summary()["total"] == 0


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json"])
def test_what_needs_no_upstream_while_it_is_open(path: str, tripped: Tripped) -> None:
    """It is there: a sick upstream is no reason to take the gateway out of service."""
    assert tripped.caller.get(path).status_code == 200


def test_it_recovers_by_itself(tripped: Tripped, simulator: Simulator) -> None:
    """The upstream is well again: once the wait is over one call tries, and then all are answered as before."""
    tripped.refusal("GET", "/clients/13")
    give_up_at = time.monotonic() + 30
    while (response := tripped.caller.get("/clients/13")).status_code == 503 and time.monotonic() < give_up_at:
        problem(response, 503, "circuit_open")
        time.sleep(0.05)
    assert response.status_code == 200
    assert simulator.ledger.summary()["total"] == 1
    assert tripped.caller.get("/clients/13").status_code == 200


def test_refusals_are_counted(tripped: Tripped) -> None:
    """So that an operator can tell them from the upstream's own failures."""

    def count() -> float:
        rows = tripped.caller.get("/metrics").get_data(as_text=True).splitlines()
        return next(float(row.split()[-1]) for row in rows if row.startswith("gateway_circuit_refusals_total "))

    before = count()
    tripped.refusal("GET", "/clients/13")
    assert count() > before
