"""What `/readyz` says of stores and upstream, and how often it asks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import Stores
from gateway.errors import NotSent
from gateway.policy.circuit import SharedCircuit
from gateway.policy.readiness import LOOK_MEMORY_S, Readiness
from gateway.store.open import open_store
from gateway.telemetry import Metrics
from gateway.upstream.breaker import OPEN_FIRST_S, SCORE_MAX
from gateway.upstream.decoding import Node
from gateway.upstream.transport import Call
from tests.support.redis_server import RedisServer
from tests.support.wire import call

BOUND_BYTES = 4 << 20


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path).start()
    yield made
    made.kill()


@pytest.fixture
def stores(server: RedisServer) -> Iterator[Stores]:
    names = ("coordination", "records", "cache")
    made = Stores(*(open_store(server.url, name, BOUND_BYTES, durable=False, evict=False) for name in names))
    yield made
    for store in made.by_name().values():
        store.close()


def test_a_store_that_is_gone_is_noticed_after_a_second_and_its_return_too(server: RedisServer, stores: Stores) -> None:
    """Until then what was seen last counts, so that probes cost next to nothing."""
    clock = Clock()
    circuit = SharedCircuit(stores.coordination, b"a", Metrics(multiprocess=False))
    readiness = Readiness(stores.by_name(), circuit, lambda: False, monotonic=clock)
    assert readiness.condition().is_ready
    server.kill()
    assert readiness.condition().is_ready
    clock.now_s += LOOK_MEMORY_S
    condition = readiness.condition()
    assert not condition.is_ready
    assert set(condition.stores.values()) == {False}
    server.start()
    assert not readiness.condition().is_ready
    for _ in range(1000):
        clock.now_s += LOOK_MEMORY_S
        if readiness.condition().is_ready:
            return
        time.sleep(0.02)
    raise AssertionError("it never became ready again")


def test_draining_is_noticed_at_once(stores: Stores) -> None:
    """It is never remembered."""
    drains = [False]
    circuit = SharedCircuit(stores.coordination, b"a", Metrics(multiprocess=False))
    readiness = Readiness(stores.by_name(), circuit, lambda: drains[0], monotonic=Clock())
    assert readiness.condition().is_ready
    drains[0] = True
    assert not readiness.condition().is_ready
    assert readiness.condition().draining


def test_the_circuit_is_shown_and_decides_nothing(stores: Stores) -> None:
    """Closed, open, half open; and ready all the while."""
    clock = Clock()
    circuit = SharedCircuit(stores.coordination, b"a", Metrics(multiprocess=False), clock)
    readiness = Readiness(stores.by_name(), circuit, lambda: False, clock, monotonic=clock)
    conditions = [readiness.condition()]
    fail = circuit.around(unreachable)
    for _ in range(SCORE_MAX):
        with pytest.raises(NotSent):
            fail(call())
    for wait_s in (LOOK_MEMORY_S / 2, OPEN_FIRST_S):
        clock.now_s += wait_s
        readiness = Readiness(stores.by_name(), circuit, lambda: False, clock, monotonic=clock)
        conditions.append(readiness.condition())
    assert [condition.upstream for condition in conditions] == ["closed", "open", "half_open"]
    assert all(condition.is_ready for condition in conditions)


def unreachable(_call: Call) -> Node:
    raise NotSent("Nobody is there.")
