"""A gateway that ends while its callers keep their connections: nobody loses an answer, and each is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from simulator.server import Simulator
from tests.edge.callers import Caller, ask, get, post
from tests.edge.conftest import few_threads
from tests.edge.replies import all_of, exchange
from tests.edge.twins import settings
from tests.edge.workers import HASTY
from tests.operations.watching import get as fetch
from tests.operations.watching import until, workers
from tests.support.server import GatewayProcess
from tools.ports import HeldPort

BIG = get("/clients?per_page=100")
READ = get("/clients/13")
NOT_PLAIN = get("/clients/14", "Prefer: wait=9")


def hold(simulator: Simulator, calls_total: int) -> None:
    simulator.faults.add("gate", gate="held", point="before_commit", methods=["client.get"], times=calls_total)


def refuses(gateway: GatewayProcess) -> bool:
    try:
        with Caller(gateway):
            return False
    except ConnectionRefusedError:
        return True


def is_told(caller: Caller) -> bool:
    """Whether an answer says that it is the last one."""
    caller.send(READ)
    reply = caller.reply()
    assert reply.status == 200
    return reply.header("Connection") == "close"


def sleeps(gateway: GatewayProcess) -> bool:
    """Whether the loop of its only worker waits."""
    (pid,) = workers(gateway)
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2].startswith("S")


def test_what_is_in_hand_is_answered_and_what_waits_is_told(simulator: Simulator) -> None:
    """Reads that a thread is at, plain or not, with others behind them in the same segment; connections that idle."""
    with GatewayProcess(settings(simulator)) as gateway, ExitStack() as stack:
        idle = [stack.enter_context(Caller(gateway)) for _ in range(5)]
        for caller in idle:
            caller.send(READ)
            assert caller.reply().header("Connection") == "keep-alive"
        hold(simulator, 2)
        busy = [stack.enter_context(Caller(gateway)) for _ in range(2)]
        for caller, number in zip(busy, (21, 22), strict=True):
            caller.send(get(f"/clients/{number}", *(["Prefer: wait=9"] if number == 22 else [])) + READ)
        simulator.gates.wait("held", arrived=2)
        gateway.terminate()
        until(lambda: is_told(idle[0]), gateway)
        assert all(is_told(caller) for caller in idle[1:])
        assert refuses(gateway)
        simulator.gates.open("held")
        for caller in busy:
            assert caller.reply().status == 200
            last = caller.reply()
            assert (last.status, last.header("Connection")) == (200, "close")
            assert caller.rest() == b""


def test_while_it_drains_callers_are_told_with_every_answer(simulator: Simulator) -> None:
    """Plain reads and all others; a new connection still works."""
    with GatewayProcess(few_threads(simulator, GATEWAY_DRAIN_S="30")) as gateway, ExitStack() as stack:
        callers = [stack.enter_context(Caller(gateway)) for _ in range(4)]
        for caller in callers:
            caller.send(READ)
            caller.reply()
        gateway.terminate()
        until(lambda: fetch(gateway, "/readyz").status == 503, gateway)
        for caller, data in zip(callers, (READ, READ, NOT_PLAIN, post(b"{")), strict=True):
            caller.send(data)
            assert caller.reply().header("Connection") == "close"
        assert ask(gateway, READ).header("Connection") == "close"


def test_the_first_hit_after_the_notice_is_told(simulator: Simulator) -> None:
    """The loop was waiting when the gateway began to drain, and nothing but this read wakes it."""
    with GatewayProcess(few_threads(simulator, GATEWAY_DRAIN_S="30")) as gateway, Caller(gateway) as idle:
        idle.send(READ)
        assert idle.reply().header("Connection") == "keep-alive"
        until(lambda: sleeps(gateway), gateway)
        gateway.terminate()
        until(lambda: any(line["event"] == "draining" for line in gateway.log()), gateway)
        idle.send(READ)
        reply = idle.reply()
        assert reply.status == 200
        assert "; hit" in (reply.header("Cache-Status") or "")
        assert reply.header("Connection") == "close"


def test_an_answer_that_is_being_taken_is_taken_to_its_end(simulator: Simulator) -> None:
    """The caller is slow, and the gateway has been told to end meanwhile."""
    with GatewayProcess(few_threads(simulator)) as gateway, Caller(gateway, takes_bytes=4096) as caller:
        body = ask(gateway, BIG).body
        caller.send(BIG * 120)
        ask(gateway, READ)
        gateway.terminate()
        until(lambda: refuses(gateway), gateway)
        taken = [caller.reply()]
        while taken[-1].header("Connection") != "close":
            taken.append(caller.reply())
        assert {reply.body for reply in taken} == {body}
        assert caller.rest() == b""


def test_who_asks_nothing_does_not_hold_the_end_up(simulator: Simulator) -> None:
    """Idle connections and half requests are let go of; the exit code is 0."""
    with GatewayProcess(few_threads(simulator, GUNICORN_CMD_ARGS=HASTY)) as gateway, ExitStack() as stack:
        for half in (b"", b"GET /", post(b"{}")[:-1], READ):
            stack.enter_context(Caller(gateway)).send(half)
        ask(gateway, READ)
        gateway.terminate()
        assert gateway.wait(10.0) == 0


ASKING: dict[str, Callable[[int], bytes]] = {
    "the cache": lambda number: READ,
    "the application": lambda number: post(b"{"),
}


@pytest.mark.parametrize("read", ASKING.values(), ids=ASKING)
def test_a_worker_ends_after_as_many_requests_as_it_may_serve(
    simulator: Simulator, read: Callable[[int], bytes]
) -> None:
    """Whoever answered them; and its successor goes on."""
    env = few_threads(simulator, GUNICORN_CMD_ARGS="--max-requests 20")
    with GatewayProcess(env) as gateway:
        (before,) = workers(gateway)
        for number in range(22):
            try:
                ask(gateway, read(number))
            except ConnectionError:  # that instant in which the one goes and the other is not there yet
                break
        until(lambda: before not in workers(gateway), gateway)
        until(lambda: len(workers(gateway)) == 1 and ask(gateway, READ).status == 200, gateway)


@pytest.mark.parametrize(
    "arguments",
    ["--certfile tests/edge/none.pem --keyfile tests/edge/none.pem", "--proxy-protocol"],
)
def test_what_the_edge_has_not_is_refused_at_the_start(simulator: Simulator, arguments: str) -> None:
    """Not started and half ignored."""
    with pytest.raises(AssertionError) as failure:
        GatewayProcess(few_threads(simulator, GUNICORN_CMD_ARGS=arguments)).__enter__()
    assert "did not get ready" in str(failure.value)
    assert "exit code 2" in str(failure.value)
    assert "The gateway cannot start: " in str(failure.value)


def test_reads_at_the_address_for_metrics_are_for_metrics(simulator: Simulator) -> None:
    """The short cut is closed there."""
    spare = HeldPort()
    with GatewayProcess(few_threads(simulator, METRICS_BIND=f"127.0.0.1:{spare.number}")) as gateway:
        assert ask(gateway, READ).status == 200
        stream = exchange(("127.0.0.1", spare.number), READ, "GET", at_once=False)
        assert [reply.status for reply in all_of(stream, ["GET"])] == [404, 200]
