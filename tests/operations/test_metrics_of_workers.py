"""The metrics of several workers that are killed, recycled and replaced: exact, and in a bounded number of files."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from pathlib import Path

from simulator.server import Simulator
from tests.operations.conftest import settings
from tests.operations.watching import get, scrape, until, workers
from tests.support.server import GatewayProcess

ADDRESSES = 10_000
KEYS = (13, 14, 17, 18)


def send(gateway: GatewayProcess, times: int) -> None:
    """Reads, four callers at a time, `times` each, all of them answered."""

    def some() -> None:
        for number in range(times):
            assert get(gateway, f"/clients/{KEYS[number % 4]}").status == 200

    threads = [threading.Thread(target=some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def replace_one(gateway: GatewayProcess, pid: int, end: signal.Signals) -> None:
    """Ends a worker and waits for its successor to serve."""
    os.kill(pid, end)
    until(lambda: pid not in workers(gateway) and len(workers(gateway)) == 2, gateway)
    until_serving(gateway, 2)


def until_serving(gateway: GatewayProcess, total: int) -> None:
    until(lambda: scrape(gateway)["gateway_workers"] == {(): total}, gateway)


def ledger(simulator: Simulator) -> dict[tuple[str, ...], int]:
    return dict(Counter((str(entry.method), "ok") for entry in simulator.ledger.calls()))


def test_totals_are_exact_after_workers_were_killed_and_recycled(simulator: Simulator, tmp_path: Path) -> None:
    """Killed, ended, fewer, more, all replaced: the upstream's calls are those of the simulator's own ledger."""
    with GatewayProcess(settings(simulator, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))) as gateway:
        send(gateway, 5)
        replace_one(gateway, workers(gateway)[0], signal.SIGKILL)
        send(gateway, 5)
        replace_one(gateway, workers(gateway)[0], signal.SIGTERM)
        send(gateway, 5)
        for order, total in ((signal.SIGTTIN, 3), (signal.SIGTTOU, 2)):
            os.kill(gateway.pid, order)
            until_serving(gateway, total)
            send(gateway, 5)
        before = set(workers(gateway))
        os.kill(gateway.pid, signal.SIGHUP)
        until(lambda: len(workers(gateway)) == 2 and not before & set(workers(gateway)), gateway)
        send(gateway, 5)
        found = scrape(gateway)
    assert found["gateway_upstream_calls_total"] == ledger(simulator) == {("client.get", "ok"): 120}
    assert found["gateway_requests_total"][("client.get", "/clients/{id}", "200")] == 120
    assert found["gateway_request_duration_seconds_count"][("client.get",)] == 120
    assert found["gateway_upstream_call_duration_seconds_count"] == {("client.get",): 120}


def test_files_are_bounded_however_often_workers_are_replaced(simulator: Simulator, tmp_path: Path) -> None:
    """Twenty times: as many sets of files as there were workers at a time, and not one more."""
    with GatewayProcess(settings(simulator, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))) as gateway:
        until_serving(gateway, 2)
        send(gateway, 2)
        before = sorted(file.name for file in tmp_path.iterdir())
        for number in range(20):
            replace_one(gateway, workers(gateway)[number % 2], signal.SIGKILL)
        send(gateway, 2)
        assert sorted(file.name for file in tmp_path.iterdir()) == before
        assert len(before) == 2 * 3
        assert scrape(gateway)["gateway_upstream_calls_total"] == {("client.get", "ok"): 16}
    assert list(tmp_path.iterdir()) == []


def test_a_worker_killed_in_the_middle_of_a_request_leaves_no_gauge(simulator: Simulator) -> None:
    """What it had in hand is in nobody's hands: in flight is the scrape alone, and the places are those of the living.

    The call that it had sent shows in no counter, because how it ended is not known.
    """
    simulator.faults.add("gate", gate="get", point="before_commit", methods=["client.get"], times=1)
    with GatewayProcess(settings(simulator, UPSTREAM_IN_FLIGHT_MAX="5")) as gateway:
        until_serving(gateway, 2)
        connection = gateway.connect()
        connection.request("GET", "/clients/13")
        simulator.gates.wait("get", arrived=1)
        held = scrape(gateway)
        assert held["gateway_requests_in_flight"] == {(): 2}
        assert held["gateway_upstream_calls_in_flight"] == {(): 1}
        assert held["gateway_upstream_calls_limit"] == {(): 10}
        for pid in workers(gateway):
            replace_one(gateway, pid, signal.SIGKILL)
        simulator.gates.open("get")
        connection.close()
        found = scrape(gateway)
    assert found["gateway_requests_in_flight"] == {(): 1}
    assert found["gateway_upstream_calls_in_flight"] == {(): 0}
    assert found["gateway_upstream_calls_limit"] == {(): 10}
    assert found["gateway_workers"] == {(): 2}


def test_what_an_earlier_run_left_is_not_counted(simulator: Simulator, tmp_path: Path) -> None:
    """A gateway that was killed whole could not clear its folder: the next one does."""
    env = settings(simulator, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    with GatewayProcess(env) as gateway:
        send(gateway, 1)
        os.killpg(gateway.pid, signal.SIGKILL)
        gateway.wait()
        assert list(tmp_path.iterdir())
    with GatewayProcess(env) as gateway:
        send(gateway, 1)
        assert scrape(gateway)["gateway_upstream_calls_total"] == {("client.get", "ok"): 4}


def test_random_addresses_add_one_series(simulator: Simulator) -> None:
    """Ten thousand of them: the series are as many after the last as after the first."""
    with GatewayProcess(settings(simulator, LOG_LEVEL="warning")) as gateway:
        get(gateway, "/first")
        scrape(gateway)
        before = {name: set(samples) for name, samples in scrape(gateway).items()}
        connection = gateway.connect()
        for number in range(ADDRESSES):
            connection.request("GET", f"/{number:x}/{number * 7919:x}?{number}=1")
            assert connection.getresponse().read()
        connection.close()
        found = scrape(gateway)
    assert {name: set(samples) for name, samples in found.items()} == before
    assert found["gateway_requests_total"][("other", "unmatched", "404")] == ADDRESSES + 1
