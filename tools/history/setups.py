"""In front of what histories are made: how many gateways and workers, on which store, and what goes wrong meanwhile."""

from __future__ import annotations

import itertools
import random
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.server import Simulator
from tools.history.balancer import Balancer
from tools.history.callers import History, make_history
from tools.history.doors import Door
from tools.history.fleet import Fleet
from tools.history.servers import GatewayServer, RedisServer

CALLERS_TOTAL = 12
FAULT_EVERY, KILL_EVERY = 125, 625
"""In operations; in step with the storms of writes, so that half of it strikes them."""
REPLACE_EVERY = 1000

DEADLINE_S, PATIENCE_S = 1.0, 10.0
"""The deadline where some calls are to miss it, and where none is."""
SETTLE_S = 2.0
WRITES = ("client.create", "client.update", "client.delete")
READS = ("client.get", "client.list")


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault of the simulator that strikes `times` calls of `methods`."""

    fault: str
    methods: tuple[str, ...]
    times: int = 1
    params: Mapping[str, Any] | None = None


TROUBLES = (
    Trouble("commit_then_drop", WRITES),
    Trouble("commit_then_drop", ("client.update",), times=3),
    Trouble("html_page", WRITES, params={"commit": True}),
    Trouble("reset_before", WRITES),
    Trouble("reset_before", READS, times=2),
    Trouble("slow", READS, times=3, params={"delay_s": 0.15, "commit": True}),
    Trouble("slow", WRITES, times=2, params={"delay_s": 0.15, "commit": True}),
    Trouble("slow", WRITES, times=2, params={"delay_s": 0.15, "commit": False}),
    Trouble("slow", WRITES, params={"delay_s": DEADLINE_S + 0.3, "commit": False}),
)
"""Answers lost after and before the work, reads that return with what they saw a while ago, a change that takes effect
when its caller has been told already that nobody knows."""


@dataclass(frozen=True, slots=True)
class Setup:
    """`gateways_total` gateways with `workers_each` processes each, on one store: a Redis server or a folder.

    `balanced`: behind nginx, and replaced one after the other meanwhile.
    """

    name: str
    about: str
    gateways_total: int
    workers_each: int
    redis: bool
    troubled: bool
    balanced: bool = False


SETUPS = (
    Setup("workers", "one gateway, 4 workers, embedded store", 1, 4, redis=False, troubled=False),
    Setup("replicas", "2 gateways, 2 workers each, one Redis", 2, 2, redis=True, troubled=False),
    Setup(
        "replicas-rolled", "the same behind nginx, replaced in turn", 2, 2, redis=True, troubled=False, balanced=True
    ),
    Setup("workers-troubled", "the same, workers killed, faults", 1, 4, redis=False, troubled=True),
    Setup("replicas-troubled", "the same, workers killed, faults", 2, 2, redis=True, troubled=True),
)


def record(setup: Setup, operations_total: int, seed: int) -> History:
    """The history of `operations_total` operations in front of a set-up of its own, with `kills`, `faults` and
    `replaced` counted.

    Trouble comes with the operations, not with time.
    """
    with Simulator(clients=()) as simulator, _gateways(setup, simulator) as gateways:
        if setup.balanced:
            return _record_rolled(gateways, operations_total, seed)
        trouble = _Troublemaker(simulator, gateways, random.Random(seed)) if setup.troubled else None

        def open_doors() -> list[Door]:
            return [gateway.door() for gateway in gateways]

        before_each: Callable[[int], None] = trouble.before if trouble else _nothing
        history = make_history(open_doors, operations_total, CALLERS_TOTAL, seed, before_each)
        simulator.faults.clear()
        if trouble:
            history.counts["kills"], history.counts["faults"] = trouble.kills_total, trouble.faults_total
        return history


def _record_rolled(gateways: list[GatewayServer], operations_total: int, seed: int) -> History:
    """The caller whose turn it is does the replacing; the others go on."""
    turn = threading.Lock()
    with (
        tempfile.TemporaryDirectory(prefix="gateway-history-") as folder,
        Balancer([gateway.address for gateway in gateways], Path(folder)) as balancer,
    ):
        fleet = Fleet(gateways, balancer)

        def before_each(number: int) -> None:
            if number % REPLACE_EVERY == REPLACE_EVERY // 4:
                with turn:
                    fleet.replace_next()

        history = make_history(lambda: [balancer.door()], operations_total, CALLERS_TOTAL, seed, before_each)
    history.counts["replaced"] = fleet.replaced_total
    return history


def _nothing(_: int) -> None:
    pass


class _Troublemaker:
    """Each kind of fault in turn, and a worker of any gateway."""

    def __init__(self, simulator: Simulator, gateways: list[GatewayServer], chance: random.Random) -> None:
        self._simulator = simulator
        self._gateways = gateways
        self._chance = chance
        self.kills_total = 0
        self.faults_total = 0

    def before(self, number: int) -> None:
        if number % KILL_EVERY == 260:
            self.kills_total += self._chance.choice(self._gateways).kill_a_worker(self._chance)
        if number % FAULT_EVERY == 10:
            trouble = TROUBLES[self.faults_total % len(TROUBLES)]
            self._simulator.faults.add(
                trouble.fault, methods=trouble.methods, times=trouble.times, **(trouble.params or {})
            )
            self.faults_total += 1


@contextmanager
def _gateways(setup: Setup, simulator: Simulator) -> Iterator[list[GatewayServer]]:
    """Copies live long, so that a stale one is not saved by its age."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-history-")))
        store_url = stack.enter_context(RedisServer(folder)).url if setup.redis else str(folder / "store")
        settings = {
            "UPSTREAM_URL": simulator.url,
            "UPSTREAM_TOKEN": "demo-admin",
            "UPSTREAM_DEADLINE_S": f"{DEADLINE_S if setup.troubled else PATIENCE_S:g}",
            "GATEWAY_AUTH": "open",
            "GATEWAY_WORKERS": str(setup.workers_each),
            "GATEWAY_THREADS": "24",
            "STORE_URL": store_url,
            "CACHE_TTL_S": "3600",
            "CACHE_STALE_S": "3600",
            "IDEMPOTENCY_SETTLE_S": f"{SETTLE_S:g}",
            "LOG_LEVEL": "error",
            "GATEWAY_DRAIN_S": "60" if setup.balanced else "0",
        }
        numbers = itertools.count(1)
        yield [
            stack.enter_context(GatewayServer(f"gateway-{next(numbers)}", settings, folder))
            for _ in range(setup.gateways_total)
        ]
