"""A slow upstream takes neither every thread of the gateway nor more connections than allowed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from werkzeug.test import TestResponse

from gateway.deadline import Deadline
from gateway.errors import Overloaded
from gateway.upstream.bulkhead import Bulkhead
from simulator.server import Simulator
from tests.contract.expectations import ROUTES, body_for, problem
from tests.support.document import check_response
from tests.support.gateway import Caller
from tests.support.server import GatewayProcess
from tools.proof.servers import ServedGateway
from tools.proof.staging import Reply

SAFETY_S = 60.0
NEEDS_NO_UPSTREAM = ("/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/problems")


@pytest.fixture(autouse=True)
def nothing_is_held(simulator: Simulator) -> Iterator[None]:
    """Whatever a failing test left at a gate is let go."""
    yield
    simulator.faults.clear()


# --- the bulkhead itself --------------------------------------------------------------------------


def refused(bulkhead: Bulkhead, deadline: Deadline | None = None) -> bool:
    try:
        with bulkhead.place(deadline):
            return False
    except Overloaded as error:
        return error.retry_after_s == 1


def test_as_many_as_there_are_places() -> None:
    """The next one is refused, until one of them is given back."""
    bulkhead = Bulkhead(2, wait_s=0)
    with bulkhead.place():
        with bulkhead.place():
            assert refused(bulkhead)
        assert not refused(bulkhead)


def test_a_place_is_given_back_after_an_error() -> None:
    """Whatever it was."""
    bulkhead = Bulkhead(1, wait_s=0)
    for error in (ValueError, KeyboardInterrupt, Overloaded):
        with pytest.raises(error), bulkhead.place():
            raise error("-")
    assert not refused(bulkhead)


def test_who_waits_gets_the_next_free_place() -> None:
    """Waiting is better than refusing when it is short."""
    bulkhead, waits = Bulkhead(1, wait_s=SAFETY_S), threading.Event()

    def come() -> bool:
        waits.set()
        return refused(bulkhead)

    with ThreadPoolExecutor(1) as threads:
        with bulkhead.place():
            coming = threads.submit(come)
            assert waits.wait(SAFETY_S)
            assert not coming.done()
        assert coming.result(SAFETY_S) is False


def test_nobody_waits_past_the_deadline() -> None:
    """However long the bulkhead would let them wait."""
    bulkhead = Bulkhead(1, wait_s=10 * SAFETY_S)
    with bulkhead.place():
        assert refused(bulkhead, Deadline.after(0))
        assert refused(bulkhead, Deadline.after(0.05))


def test_nobody_waits_longer_than_the_bulkhead_allows() -> None:
    """However late the deadline is."""
    bulkhead = Bulkhead(1, wait_s=0.05)
    with bulkhead.place():
        assert refused(bulkhead, Deadline.after(10 * SAFETY_S))


# --- calls in flight ------------------------------------------------------------------------------


@contextmanager
def asked(caller: Caller, count: int) -> Iterator[list[Future[TestResponse]]]:
    """So many requests at a time, each for a client of its own."""

    def ask(key: int) -> TestResponse:
        response: TestResponse = caller.client.application.test_client().get(f"/clients/{key}")
        return response

    with ThreadPoolExecutor(count) as threads:
        yield [threads.submit(ask, key) for key in range(13, 13 + count)]


def test_more_calls_than_may_be_in_flight(make_gateway: Callable[..., Caller], simulator: Simulator) -> None:
    """Those that get no place in time are refused and not sent; those in flight are answered."""
    caller = make_gateway(upstream_in_flight_max=2, gateway_threads=32, cache_ttl_s=0)
    simulator.faults.add("gate", gate="all")
    with asked(caller, 2) as held:
        simulator.gates.wait("all", arrived=2, timeout_s=SAFETY_S)
        with asked(caller, 4) as excess:
            for one in excess:
                problem(one.result(SAFETY_S), 503, "overloaded")
        assert simulator.ledger.summary()["total"] == 2
        simulator.gates.open("all")
        assert [one.result(SAFETY_S).status_code for one in held] == [200, 200]


def test_refusals_of_our_own_do_not_open_the_circuit(make_gateway: Callable[..., Caller], simulator: Simulator) -> None:
    """The upstream has done nothing wrong: as soon as there is room, it is asked."""
    caller = make_gateway(upstream_in_flight_max=1, gateway_threads=32, cache_ttl_s=0)
    simulator.faults.add("gate", gate="all")
    with asked(caller, 1) as held:
        simulator.gates.wait("all", arrived=1, timeout_s=SAFETY_S)
        with asked(caller, 10) as excess:
            assert {one.result(SAFETY_S).get_json(force=True)["code"] for one in excess} == {"overloaded"}
        simulator.faults.clear()
        assert held[0].result(SAFETY_S).status_code == 200
    assert caller.get("/clients/13").status_code == 200


# --- requests in hand -----------------------------------------------------------------------------


@pytest.mark.parametrize("method, path", ROUTES, ids=[f"{method} {path}" for method, path in ROUTES])
def test_every_operation_while_all_places_are_taken(
    method: str, path: str, make_gateway: Callable[..., Caller], simulator: Simulator
) -> None:
    """503 at once with `Retry-After`; nothing is sent, so a write is not applied and may be sent again."""
    caller = make_gateway(gateway_threads=3)
    simulator.faults.add("gate", gate="all")
    with asked(caller, 1) as held:
        simulator.gates.wait("all", arrived=1, timeout_s=SAFETY_S)
        response = caller.request(method, path, **body_for(method))
        body = problem(response, 503, "overloaded")
        assert response.headers["Retry-After"] == "1"
        assert (body.get("outcome", "not_applied"), body["retryable"]) == ("not_applied", True)
        assert simulator.ledger.summary()["total"] == 1
        simulator.gates.open("all")
        assert held[0].result(SAFETY_S).status_code == 200


def test_places_are_given_back_after_errors(make_gateway: Callable[..., Caller], simulator: Simulator) -> None:
    """With a single place, one failure after the other, of every origin, and still there is room."""
    caller = make_gateway(gateway_threads=3)
    simulator.faults.add("html_page", methods=["client.list"])
    for _ in range(4):
        assert caller.get("/clients").status_code == 502
        assert caller.get("/clients/999999").status_code == 404
        assert caller.get("/clients?nonsense=1").status_code == 400
        assert caller.post("/clients", data=b"{", content_type="application/json").status_code == 400
        assert caller.post("/clients", json={"email": "no address"}).status_code == 422
        assert caller.get("/clients/13", headers={"Accept": "text/html"}).status_code == 406
        assert caller.get("/clients/13").status_code == 200


@pytest.fixture
def crowded(simulator: Simulator) -> Iterator[ServedGateway]:
    """A gateway under gunicorn with one worker of six threads, and four places for calls."""
    env = {
        "UPSTREAM_URL": simulator.url,
        "UPSTREAM_TOKEN": "demo-admin",
        "GATEWAY_AUTH": "open",
        "GATEWAY_WORKERS": "1",
        "GATEWAY_THREADS": "6",
        "UPSTREAM_IN_FLIGHT_MAX": "4",
        "UPSTREAM_DEADLINE_S": "60",
        "CACHE_TTL_S": "0",
        "LOG_LEVEL": "error",
    }
    with GatewayProcess(env) as process:
        served = ServedGateway(process.host, process.port)
        yield served
        simulator.faults.clear()
        served.close()


def test_a_stuck_upstream_under_gunicorn(crowded: ServedGateway, simulator: Simulator) -> None:
    """With every place held by calls that do not end: probes, metrics and pages answer, every further request is told
    to come back, the upstream sees none of them; and when it moves again, all is as before."""

    def ask(path: str) -> Reply:
        try:
            return crowded.ask("GET", path)
        finally:
            crowded.close()

    simulator.faults.add("gate", gate="all")
    with ThreadPoolExecutor(24) as callers:
        held = [callers.submit(ask, "/clients/13") for _ in range(4)]
        simulator.gates.wait("all", arrived=4, timeout_s=SAFETY_S)
        for path in NEEDS_NO_UPSTREAM:
            assert ask(path).status == 200, path
        for reply in callers.map(ask, ["/clients/13"] * 20):
            assert (reply.status, reply.body["code"], reply.headers["Retry-After"]) == (503, "overloaded", "1")
            check_response("GET", "/clients/13", reply.status, reply.headers, reply.text.encode())
        for path in NEEDS_NO_UPSTREAM:
            assert ask(path).status == 200, path
        assert simulator.ledger.summary()["total"] == 4
        simulator.gates.open("all")
        assert [one.result(SAFETY_S).status for one in held] == [200] * 4
        assert [reply.status for reply in callers.map(ask, ["/clients/13"] * 4)] == [200] * 4
