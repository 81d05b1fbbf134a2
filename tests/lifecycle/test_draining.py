"""How a gateway ends while others still use it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from simulator.server import Simulator
from tests.integration.conftest import settings
from tests.integration.wire import Answer, Line, ask, head
from tests.support.server import ROOT, GatewayProcess

LONG_S = "300"
"""Longer than any test: what ends meanwhile does not end because the time is over."""
PATIENCE_S = 60.0
HELD_AT_BIRTH = """
import os, sys
from gunicorn.app.wsgiapp import run

tell, leave = map(int, sys.argv[1:])

def hold():
    os.write(tell, b"%d\\n" % os.getpid())
    os.read(leave, 1)

os.register_at_fork(after_in_child=hold)
sys.argv = ["gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"]
run()
"""
"""gunicorn, whose children say that they are born and then wait for leave to go on."""
GET = head("GET /clients/13 HTTP/1.1")


def draining_gateway(simulator: Simulator, **more: str) -> GatewayProcess:
    return GatewayProcess(settings(simulator, GATEWAY_DRAIN_S=LONG_S, **more))


@pytest.fixture
def gateway(simulator: Simulator) -> Iterator[GatewayProcess]:
    """One that drains until it is told to hurry, which it is in the end."""
    with draining_gateway(simulator) as running:
        yield running
        hurry(running)


def hurry(gateway: GatewayProcess) -> None:
    """A second TERM, or the first and the second."""
    while gateway.exit_code is None and not drains(gateway):
        gateway.terminate()
        wait_until_unready(gateway)
    gateway.terminate()
    assert gateway.wait() == 0


def drains(gateway: GatewayProcess) -> bool:
    return ask(gateway, "GET", "/readyz").status == 503


def wait_until_unready(gateway: GatewayProcess) -> Answer:
    give_up_at = time.monotonic() + PATIENCE_S
    while (answer := ask(gateway, "GET", "/readyz")).status == 200:
        assert time.monotonic() < give_up_at, "it never became unready"
        time.sleep(0.02)
    return answer


def workers(gateway: GatewayProcess) -> list[psutil.Process]:
    return psutil.Process(gateway.pid).children()


def test_readiness_goes_first_and_everything_else_goes_on(gateway: GatewayProcess) -> None:
    """503 as a problem that says why, from every worker; it lives, and requests on new connections are served."""
    gateway.terminate()
    answer = wait_until_unready(gateway)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "not_ready"
    assert answer.json["readiness"] == {
        "draining": True,
        "store": {"coordination": "ok", "records": "ok", "cache": "ok"},
        "upstream": "closed",
    }
    for _ in range(20):
        assert ask(gateway, "GET", "/readyz").status == 503
        assert ask(gateway, "GET", "/livez").status == 200
        assert ask(gateway, "GET", "/clients/13").status == 200
    assert [line["drain_s"] for line in gateway.log() if line["event"] == "draining"] == [300.0]


def test_kept_connections_are_told_to_go(gateway: GatewayProcess) -> None:
    """What comes on one that was open before is answered whole, with `Connection: close`, and it is closed."""
    with Line(gateway) as line:
        line.send(GET)
        assert line.answer().headers["connection"] == "keep-alive"
        gateway.terminate()
        wait_until_unready(gateway)
        line.send(GET)
        answer = line.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert answer.json["id"] == 13
        assert line.is_closed()


def test_a_worker_that_is_born_while_the_gateway_drains_knows_it(gateway: GatewayProcess) -> None:
    """A worker that dies is replaced even now, and the new one is as unready."""
    gateway.terminate()
    wait_until_unready(gateway)
    before = workers(gateway)
    for one in before:
        one.kill()
    give_up_at = time.monotonic() + PATIENCE_S
    while len(set(workers(gateway)) - set(before)) < len(before):
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    assert drains(gateway)


def test_a_reload_and_then_the_end(gateway: GatewayProcess) -> None:
    """HUP reads the configuration anew and makes new workers; they drain like the first."""
    before = workers(gateway)
    os.kill(gateway.pid, signal.SIGHUP)
    give_up_at = time.monotonic() + PATIENCE_S
    while set(workers(gateway)) & set(before) or len(workers(gateway)) < len(before):
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    assert ask(gateway, "GET", "/readyz").status == 200
    gateway.terminate()
    wait_until_unready(gateway)
    assert ask(gateway, "GET", "/clients/13").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=lambda number: number.name)
def test_somebody_does_not_want_to_wait(simulator: Simulator, number: signal.Signals) -> None:
    """A second signal ends it now, with 0."""
    with draining_gateway(simulator, GATEWAY_WORKERS="1") as gateway:
        gateway.terminate()
        wait_until_unready(gateway)
        os.kill(gateway.pid, number)
        assert gateway.wait() == 0


def starting_env(simulator: Simulator, folder: Path, **more: str) -> dict[str, str]:
    """For a gateway that is not waited for until it is ready."""
    kept = {"PATH": os.environ["PATH"], "TMPDIR": str(folder), "STORE_URL": str(folder / "store")}
    return {**kept, **settings(simulator, GATEWAY_DRAIN_S="0", GATEWAY_BIND="127.0.0.1:0", **more)}


def test_a_worker_is_told_to_end_in_its_first_moment(simulator: Simulator, tmp_path: Path) -> None:
    """Before gunicorn has called any hook in it. It obeys, and another takes its place."""
    env = starting_env(simulator, tmp_path, GATEWAY_WORKERS="1")
    (born, tell), (leave, give_leave) = os.pipe(), os.pipe()
    command = [sys.executable, "-c", HELD_AT_BIRTH, str(tell), str(leave)]
    with (
        open(born, "rb", buffering=0) as births,
        open(give_leave, "wb") as leaves,
        subprocess.Popen(command, cwd=ROOT, env=env, pass_fds=(tell, leave), stdout=subprocess.DEVNULL) as arbiter,
    ):
        os.close(tell)
        os.close(leave)
        try:
            first = psutil.Process(int(births.readline()))
            first.terminate()
            leaves.close()
            first.wait(PATIENCE_S)
            assert int(births.readline()) != first.pid
            arbiter.terminate()
            assert arbiter.wait(PATIENCE_S) == 0
        finally:
            arbiter.kill()


@pytest.mark.parametrize("moment_s", [0.0, 0.003, 0.006, 0.012])
def test_it_is_told_to_end_while_its_workers_are_being_born(
    simulator: Simulator, tmp_path: Path, moment_s: float
) -> None:
    """They obey too: one that did not would be waited for as long as a request may take, which is minutes here."""
    env = starting_env(simulator, tmp_path, UPSTREAM_DEADLINE_S="300")
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL) as arbiter:
        watched = psutil.Process(arbiter.pid)
        while len(watched.children()) < 2:
            assert arbiter.poll() is None
            time.sleep(0.001)
        time.sleep(moment_s)
        arbiter.terminate()
        try:
            assert arbiter.wait(PATIENCE_S) == 0
        finally:
            arbiter.kill()


def test_interrupting_never_drains(simulator: Simulator) -> None:
    """Ctrl-C in a terminal is for now."""
    with draining_gateway(simulator, GATEWAY_WORKERS="1") as gateway:
        os.kill(gateway.pid, signal.SIGINT)
        assert gateway.wait() == 0
    assert "draining" not in {line["event"] for line in gateway.log()}


def test_after_its_time_it_ends_and_finishes_what_it_has(simulator: Simulator) -> None:
    """The listener closes; a write that came in while it drained gets its answer; the exit code is 0."""
    simulator.faults.add("gate", gate="write", point="before_commit", methods=["client.create"], times=1)
    body = b'{"email": "last@example.com"}'
    with GatewayProcess(settings(simulator, GATEWAY_DRAIN_S="2", UPSTREAM_DEADLINE_S="60")) as gateway:
        gateway.terminate()
        with Line(gateway) as line:
            line.send(head("POST /clients HTTP/1.1", Content_Type="application/json", Content_Length=len(body)) + body)
            simulator.gates.wait("write", arrived=1)
            wait_until_refused(gateway)
            simulator.gates.open("write")
            answer = line.answer()
        assert (answer.status, answer.json["email"]) == (201, "last@example.com")
        assert gateway.wait() == 0
    assert [entry.applied for entry in simulator.ledger.calls("client.create")] == [True]


def wait_until_refused(gateway: GatewayProcess) -> None:
    """Until the workers have let go: then nobody takes connections any more."""
    give_up_at = time.monotonic() + PATIENCE_S
    while is_answered(gateway):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def is_answered(gateway: GatewayProcess) -> bool:
    connection = gateway.connect(timeout_s=1)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_without_a_time_to_drain_it_ends_at_once(simulator: Simulator) -> None:
    """As gunicorn does."""
    with GatewayProcess(settings(simulator, GATEWAY_DRAIN_S="0")) as gateway:
        gateway.terminate()
        assert gateway.wait() == 0
    assert "draining" not in {line["event"] for line in gateway.log()}
