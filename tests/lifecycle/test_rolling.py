"""Two gateways on one Redis behind nginx, replaced one after the other while callers go on."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from simulator.server import Simulator
from tools.history.balancer import Balancer
from tools.history.doors import Door, NoAnswerError
from tools.history.fleet import Fleet
from tools.history.servers import GatewayServer, RedisServer

RECORDS = (13, 14, 17, 18, 19)
CALLERS = len(RECORDS)
REPLACEMENTS = 2
OPERATIONS_MAX = 20_000
PAUSE_S = 0.03
"""Between two requests of a caller, so that they leave the machine time to start gateways."""
LONG_S = "60"
DEFAULT_S = "5"
"""Longer than nginx leaves out a gateway that refused it (`fail_timeout`, in whole seconds), so that by the time the
second one refuses the first is used again."""


@pytest.fixture
def upstream() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def fleet(stack: ExitStack, upstream: Simulator, folder: Path, drain_s: str) -> Fleet:
    """Two gateways with two workers each."""
    redis = stack.enter_context(RedisServer(folder))
    settings = {
        "UPSTREAM_URL": upstream.url,
        "UPSTREAM_TOKEN": "demo-admin",
        "GATEWAY_AUTH": "open",
        "STORE_URL": redis.url,
        "GATEWAY_DRAIN_S": drain_s,
        "LOG_LEVEL": "warning",
    }
    gateways = [stack.enter_context(GatewayServer(f"gateway-{name}", settings, folder)) for name in "ab"]
    balancer = stack.enter_context(Balancer([gateway.address for gateway in gateways], folder))
    return Fleet(gateways, balancer)


class Load:
    """Callers who read, create with keys and change, each request once, until they are told to stop."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(place,)) for place in range(CALLERS)]
        self.statuses: Counter[str] = Counter()
        self.failures: list[str] = []
        self.created: dict[str, int] = {}

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def done_total(self) -> int:
        return sum(self.statuses.values()) + len(self.failures)

    def await_more(self, total: int) -> None:
        """Until so many more requests have been answered: every replacement meets callers."""
        wanted = self.done_total() + total
        while self.done_total() < wanted:
            assert any(thread.is_alive() for thread in self._threads), "the callers have done all that they may"
            time.sleep(PAUSE_S)

    def _call(self, place: int) -> None:
        door = self._balancer.door()
        while not self._over.wait(PAUSE_S) and (number := next(self._numbers)) < OPERATIONS_MAX:
            self._act(door, place, number)
        door.close()

    def _act(self, door: Door, place: int, number: int) -> None:
        key = {"Idempotency-Key": f"key-{number}"}
        email = f"caller-{number}@example.com"
        match number % 5:
            case 0:
                made = self._ask(door, 201, "POST", "/clients", key, {"email": email})
                if made is not None:
                    self.created[email] = made["id"]
            case 1:
                self._ask(door, 200, "PATCH", f"/clients/{RECORDS[place]}", key, {"notes": f"note {number}"})
            case 2:
                self._ask(door, 200, "GET", "/clients?per_page=3")
            case _:
                self._ask(door, 200, "GET", f"/clients/{RECORDS[number % CALLERS]}")

    def _ask(self, door: Door, wanted: int, method: str, path: str, *rest: Any) -> Any:
        headers, body = rest or ({}, None)
        try:
            reply = door.ask(method, path, headers, body)
        except NoAnswerError as error:
            self.failures.append(f"{method} {path}: no answer ({error})")
            return None
        if reply.status != wanted:
            self.failures.append(f"{method} {path}: {reply.status} {reply.body}")
            return None
        self.statuses[f"{method} {wanted}"] += 1
        return reply.body


def applied(upstream: Simulator) -> Counter[str]:
    """How often a client was really made for each address that the callers used."""
    return Counter(one["email"] for one in upstream.store.dump() if one["email"].startswith("caller-"))


def test_an_orchestrator_replaces_gateways_and_no_request_fails(
    stack: ExitStack, upstream: Simulator, tmp_path: Path
) -> None:
    """Each is unready first, then left out by the balancer, then ends with 0. Every request is answered as if nothing
    were, at its first try; every create is applied once."""
    running = fleet(stack, upstream, tmp_path, LONG_S)
    with Load(running.balancer) as load:
        for _ in range(REPLACEMENTS):
            load.await_more(50)
            running.replace_next()
        load.await_more(50)
    assert load.failures == [], "\n".join(load.failures[:20])
    assert running.replaced_total == REPLACEMENTS
    assert set(load.statuses) == {"POST 201", "PATCH 200", "GET 200"}
    assert applied(upstream) == Counter(dict.fromkeys(load.created, 1))


def test_nobody_tells_the_balancer_and_no_request_fails(stack: ExitStack, upstream: Simulator, tmp_path: Path) -> None:
    """After its draining a gateway lets no connection wait for it in vain: it is refused, and the balancer goes to the
    other gateway with what it has not sent yet, be it a write."""
    running = fleet(stack, upstream, tmp_path, DEFAULT_S)
    with Load(running.balancer) as load:
        for _ in running.gateways:
            load.await_more(50)
            running.replace_next_unannounced()
        load.await_more(50)
    assert load.failures == [], "\n".join(load.failures[:20])
    assert applied(upstream) == Counter(dict.fromkeys(load.created, 1))
