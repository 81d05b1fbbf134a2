"""One circuit for all workers: real gunicorn processes that share a store, in front of an upstream that fails."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from simulator.server import Simulator
from tests.support.server import GatewayProcess
from tools.proof.servers import ServedGateway

CALLERS = 50
SAFETY_S = 60.0
_PACE_S = 0.02


def gateway(simulator: Simulator, folder: Path, deadline_s: float) -> GatewayProcess:
    return GatewayProcess(
        {
            "UPSTREAM_URL": simulator.url,
            "UPSTREAM_TOKEN": "demo-admin",
            "UPSTREAM_DEADLINE_S": str(deadline_s),
            "GATEWAY_AUTH": "open",
            "GATEWAY_WORKERS": "3",
            "GATEWAY_THREADS": "24",
            "STORE_URL": str(folder / "store"),
            "CACHE_TTL_S": "0",
            "LOG_LEVEL": "error",
        }
    )


class Crowd:
    """Callers that ask again and again. `codes` are what they were told: None for a success, `gone` when their worker
    was killed."""

    def __init__(self, process: GatewayProcess) -> None:
        self._gateway = ServedGateway(process.host, process.port)
        self._changed = threading.Condition()
        self._over = threading.Event()
        self.codes: list[str | None] = []

    @contextmanager
    def asking(self, callers: int = CALLERS) -> Iterator[None]:
        with ThreadPoolExecutor(callers) as threads:
            asked = [threads.submit(self._ask) for _ in range(callers)]
            try:
                yield
            finally:
                self._over.set()
        for one in asked:
            one.result()

    def wait_for(self, code: str | None, more: int = 1) -> None:
        """Waits until so many more answers have had this code. Raises AssertionError."""
        with self._changed:
            enough = self.codes.count(code) + more
            assert self._changed.wait_for(lambda: self.codes.count(code) >= enough, SAFETY_S), set(self.codes)

    def _ask(self) -> None:
        try:
            while not self._over.wait(_PACE_S):
                code = self._told()
                with self._changed:
                    self.codes.append(code)
                    self._changed.notify_all()
        finally:
            self._gateway.close()

    def _told(self) -> str | None:
        try:
            reply = self._gateway.ask("GET", "/clients/13")
        except (OSError, http.client.HTTPException):
            self._gateway.close()
            return "gone"
        return str(reply.body["code"]) if reply.status >= 400 else None


def trip(simulator: Simulator, crowd: Crowd) -> None:
    """Opens the circuit, then holds whoever tries at the gate `trial`; the ledger counts from here."""
    simulator.faults.add("server_error")
    crowd.wait_for("circuit_open", more=CALLERS)
    assert simulator.ledger.wait_idle(SAFETY_S)
    simulator.ledger.clear()
    simulator.faults.add("gate", gate="trial")


def test_one_of_fifty_callers_of_three_workers_tries(simulator: Simulator, tmp_path: Path) -> None:
    """While it is open nobody is sent; then exactly one, however many come at once to whatever worker. When the
    upstream is well again the circuit closes for all of them, without a restart."""
    with gateway(simulator, tmp_path, deadline_s=60) as process:
        crowd = Crowd(process)
        with crowd.asking():
            trip(simulator, crowd)
            simulator.gates.wait("trial", arrived=1, timeout_s=SAFETY_S)
            crowd.wait_for("circuit_open", more=2 * CALLERS)
            assert simulator.ledger.summary()["in_flight_max"] == 1
            calls_total = simulator.ledger.summary()["total"]
            assert calls_total == 1, simulator.ledger.calls()
            simulator.faults.clear()
            crowd.wait_for(None, more=2 * CALLERS)
        assert set(crowd.codes) <= {None, "circuit_open", "upstream_failed", "overloaded"}


def test_the_worker_that_tries_is_killed(simulator: Simulator, tmp_path: Path) -> None:
    """SIGKILL of every worker while one of their calls is the trial: after the trial's time another call tries, and
    the gateway recovers by itself."""
    with gateway(simulator, tmp_path, deadline_s=2) as process:
        crowd = Crowd(process)
        with crowd.asking(12):
            trip(simulator, crowd)
            simulator.gates.wait("trial", arrived=1, timeout_s=SAFETY_S)
            for worker in psutil.Process(process.pid).children():
                worker.kill()
            crowd.wait_for("gone")
            simulator.gates.wait("trial", arrived=2, timeout_s=SAFETY_S)
            crowd.wait_for("circuit_open", more=CALLERS)
            assert simulator.ledger.summary()["total"] == 2, simulator.ledger.calls()
            simulator.faults.clear()
            crowd.wait_for(None, more=CALLERS)


@pytest.fixture(autouse=True)
def nothing_is_held(simulator: Simulator) -> Iterator[None]:
    """Whatever a failing test left at a gate is let go, so that the gateway can end."""
    yield
    simulator.faults.clear()
