"""Gates make calls meet without sleeps."""

from __future__ import annotations

import http.client
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import pytest

from simulator.gates import Gates
from simulator.refusal import Refused
from simulator.server import Simulator
from tests.simulator.api_caller import ApiCaller


def test_calls_wait_until_the_gate_is_opened(sim: Simulator) -> None:
    """All arrive, none is answered; one permit lets one pass, then all."""
    sim.faults.add("gate", gate="g1", methods=["client.get"])
    with ThreadPoolExecutor(5) as pool:
        calls = [pool.submit(get, sim.url) for _ in range(5)]
        assert sim.gates.wait("g1", arrived=5)["waiting"] == 5
        assert not any(call.done() for call in calls)
        sim.gates.open("g1", count=1)
        assert len(wait(calls, 30, FIRST_COMPLETED).done) == 1
        assert sim.gates.states()[0]["passed"] == 1
        sim.gates.open("g1")
        assert [call.result(30) for call in calls] == ["Jane"] * 5


def test_before_the_commit(sim: Simulator) -> None:
    """The call sees what was changed while it waited."""
    assert held_get(sim, "before_commit") == "Changed"


def test_after_the_commit(sim: Simulator) -> None:
    """The call answers what was there before: a stale read on its way."""
    assert held_get(sim, "after_commit") == "Jane"


def test_a_gate_goes_together_with_a_fault(sim: Simulator, admin: ApiCaller) -> None:
    """Held, then struck; and a fault that does nothing passes its gates too."""
    sim.faults.add("gate", gate="g")
    sim.faults.add("gate", gate="h", point="after_commit")
    sim.faults.add("maintenance", times=1)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(lambda: admin.get(13).status)
        sim.gates.wait("g")
        sim.gates.open("g")
        sim.gates.wait("h")
        sim.gates.open("h")
        assert call.result(30) == 503


def test_clearing_the_faults_opens_every_gate(sim: Simulator) -> None:
    """And the next gate of that name is a new one, closed."""
    sim.faults.add("gate", gate="g")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(get, sim.url)
        sim.gates.wait("g")
        sim.faults.clear()
        assert call.result(30) == "Jane"
    assert sim.gates.states() == []


def test_stopping_opens_every_gate(others: frozenset[threading.Thread], sim: Simulator) -> None:
    """Nothing hangs in a simulator that is stopped."""
    sim.faults.add("gate", gate="g")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(get, sim.url)
        sim.gates.wait("g")
        sim.stop()
        assert call.exception(30) is None or isinstance(call.exception(), OSError | http.client.HTTPException)
    assert not [thread for thread in {*threading.enumerate()} - others if thread.name.startswith("simulator")]


def test_a_gate_opened_beforehand(sim: Simulator) -> None:
    """Lets calls pass that come later."""
    sim.faults.add("gate", gate="g")
    sim.gates.open("g")
    assert get(sim.url) == "Jane"


def test_waiting_for_those_who_do_not_come() -> None:
    with pytest.raises(TimeoutError, match="0 of 1"):
        Gates().wait("g", arrived=1, timeout_s=0.01)


def test_a_call_that_is_forgotten_at_a_gate() -> None:
    """Passes after the safety time."""
    Gates(safety_s=0.01).hold("g")


def test_a_gate_without_a_name() -> None:
    with pytest.raises(Refused):
        Gates().open("")


def get(url: str) -> str | None:
    with ApiCaller(url) as admin:
        return admin.get(13).ok().findtext(".//first_name")


def held_get(sim: Simulator, point: str) -> str | None:
    """What a get answers that is held at the point while the client is changed."""
    sim.faults.add("gate", gate="g", point=point)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(get, sim.url)
        sim.gates.wait("g")
        sim.store.edit({"client_id": 13, "first_name": "Changed"})
        sim.gates.open("g")
        return call.result(30)
