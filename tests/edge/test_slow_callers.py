"""Slow callers wait for themselves alone, and not for ever."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from simulator.server import Simulator
from tests.edge.callers import Caller, ask, callers_total, get, post
from tests.edge.conftest import few_threads
from tests.edge.twins import settings
from tests.edge.workers import CRAMPED, CRAMPED_BYTES, HASTY
from tests.operations.watching import until, workers
from tests.support.server import GatewayProcess

CALLERS_TOTAL = 12
"""Three times as many as there are threads."""
BIG = get("/clients?per_page=100")
HALVES = {
    "nothing": b"",
    "half a line": b"GET /clie",
    "half a head": get("/clients/13")[:-2],
    "half of a long head": get("/clients/13", *[f"X-{n}: {'x' * 7000}" for n in range(5)])[:-2],
    "half a body": post(b"{}")[:-1],
    "no body": post(b"{}")[:-2],
    "half of a long body": post(b" " * 900_000)[:500_000],
    "half a chunk": post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"5\r\n{",
    "a body that leave is asked for": post(b"{}", "Expect: 100-continue")[:-2],
    "half an answer": BIG * 100,
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_slow_callers_do_not_keep_others_waiting(gateway: GatewayProcess, half: bytes) -> None:
    """There are more of them than threads, and none is given up yet: whoever asks is answered, by the cache, by the
    upstream and by the application."""
    ask(gateway, get("/clients/13"))
    with ExitStack() as stack:
        for _ in range(CALLERS_TOTAL):
            stack.enter_context(Caller(gateway, takes_bytes=4096)).send(half)
        for number in range(3):
            assert ask(gateway, get("/clients/13")).status == 200
            assert ask(gateway, get(f"/clients/{5000 + number}")).status == 404
            assert ask(gateway, post(b"{")).status == 400
        assert callers_total(gateway) >= CALLERS_TOTAL
    until(lambda: callers_total(gateway) == 0, gateway)


def test_a_body_that_is_refused_unread_holds_no_thread(gateway: GatewayProcess) -> None:
    """The refusal comes at once, and nothing that follows is taken for a request."""
    with ExitStack() as stack:
        for target in (b"/clients", b"/nothing", b"/livez"):
            for _ in range(CALLERS_TOTAL):
                caller = stack.enter_context(Caller(gateway))
                caller.send(post(b"").replace(b"Length: 0", b"Length: 99999999").replace(b"/clients", target) + b"{")
                assert caller.reply("POST").status in (404, 405, 413)
        assert ask(gateway, get("/clients/5000")).status == 404


@pytest.fixture(scope="module")
def hasty_gateway(shared_simulator: Simulator) -> Iterator[GatewayProcess]:
    """It has a place for each of those that it gives up in one moment: none is told that it is overloaded instead."""
    env = settings(shared_simulator, GATEWAY_THREADS=str(2 * len(HALVES)), GUNICORN_CMD_ARGS=HASTY)
    with GatewayProcess(env) as running:
        yield running


@pytest.fixture
def hasty(hasty_gateway: GatewayProcess, simulator: Simulator) -> GatewayProcess:
    return hasty_gateway


def test_slow_callers_are_given_up(hasty: GatewayProcess) -> None:
    """Their connections end, whatever they were slow with; who has sent half a body is told."""
    ask(hasty, get("/clients/13"))
    with ExitStack() as stack:
        callers = []
        for half in HALVES.values():
            caller = stack.enter_context(Caller(hasty, takes_bytes=4096))
            caller.send(half)
            callers.append((half, caller))
        until(lambda: callers_total(hasty) == 0, hasty)
        for half, caller in callers:
            stream = caller.rest()
            assert (b'"malformed_body"' in stream) is half.startswith(b"POST")
            assert stream or not half.startswith(b"POST")
        assert 0 < len(stream) < len(ask(hasty, BIG).body) * 100
    assert ask(hasty, get("/clients/13")).status == 200
    assert [line for line in hasty.log() if line["level"] == "error"] == []


def test_who_was_told_that_the_connection_ends_and_leaves_it_open_is_given_up(hasty: GatewayProcess) -> None:
    """Nobody else can end it."""
    ask(hasty, get("/clients/13"))
    with ExitStack() as stack:
        for data in (get("/clients/13", "Connection: close"), b"GARBAGE\r\n\r\n", get("/livez", "Connection: close")):
            caller = stack.enter_context(Caller(hasty))
            caller.send(data)
            assert caller.reply().header("Connection") == "close"
        until(lambda: callers_total(hasty) == 0, hasty)


@pytest.mark.parametrize("target", [b"/clients", b"/nothing", b"/livez"])
def test_what_comes_after_the_gateway_gave_up_is_no_request(hasty: GatewayProcess, target: bytes) -> None:
    """A balancer may be sending the body of somebody else's: it must not be answered as requests."""
    head = post(b"x" * 900).replace(b"/clients", target).removesuffix(b"x" * 900)
    with Caller(hasty) as caller:
        caller.send(head + b"{")
        assert caller.reply("POST").header("Connection") in ("close", "keep-alive")
        try:
            caller.send(get("/clients/13", "X-Request-Id: smuggled") * 3)
        except ConnectionError:
            pass
        assert b"smuggled" not in caller.rest()


def test_bodies_that_are_still_arriving_have_a_bound_in_memory(simulator: Simulator) -> None:
    """Beyond it the one that grows is told that its body broke off, or that the few threads have their hands full with
    telling so; who comes anew is served."""
    half = post(b" " * 200_000)[: CRAMPED_BYTES // 4]
    with GatewayProcess(few_threads(simulator, GUNICORN_CMD_ARGS=CRAMPED)) as gateway, ExitStack() as stack:
        callers = [stack.enter_context(Caller(gateway)) for _ in range(CALLERS_TOTAL)]
        for caller in callers:
            caller.send(half)
            ask(gateway, get("/clients/13"))
        until(lambda: sum(caller.has_more() for caller in callers) >= CALLERS_TOTAL - 4, gateway)
        told = [caller for caller in callers if caller.has_more()]
        codes = {json.loads(caller.reply("POST").body)["code"] for caller in told}
        assert "malformed_body" in codes
        assert codes <= {"malformed_body", "overloaded"}
        assert ask(gateway, get("/clients/5000")).status == 404


def test_when_all_places_for_connections_are_taken_others_get_one(simulator: Simulator) -> None:
    """Those that ask nothing make room, first those that have waited longest."""
    with (
        GatewayProcess(few_threads(simulator, GUNICORN_CMD_ARGS="--worker-connections 20")) as gateway,
        ExitStack() as stack,
    ):
        for half in (b"", b"", b"GET /clie", post(b"{}")[:-1]) * 8:
            caller = stack.enter_context(Caller(gateway))
            caller.send(half)
        for number in range(5):
            assert ask(gateway, get(f"/clients/{5000 + number}")).status == 404
            assert callers_total(gateway) <= 20


def test_a_worker_without_descriptors_goes_on(simulator: Simulator) -> None:
    """It lets go of those that ask nothing, and takes the next when it can; nobody restarts it."""
    with GatewayProcess(few_threads(simulator)) as gateway, ExitStack() as stack:
        ask(gateway, get("/clients/13"))
        (pid,) = workers(gateway)
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors_total(pid) + 5, limits[1]))
        for _ in range(10):
            stack.enter_context(Caller(gateway)).send(b"GET ")
        assert ask(gateway, get("/clients/13")).status == 200
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert workers(gateway) == [pid]
        told = [line for line in gateway.log() if line["event"] == "gunicorn"]
        assert any("descriptors" in str(line["message"]) for line in told), told


def descriptors_total(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
