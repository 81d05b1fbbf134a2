"""What more of something does: more workers, more gateways on one Redis, more entries in the cache, more requests."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import usage
from benchmarks.contest import Arena, Numbers, Say, Way, open_contestant, open_upstream
from benchmarks.contestants import HERE, python_of
from benchmarks.load import Load, Runner, result
from benchmarks.plan import CACHED, GATEWAY, UNCACHED, Request
from benchmarks.record import RECORD
from benchmarks.servers import BenchmarkError, Server, two_cores

CONNECTIONS = 32
ENTRIES = (1_000, 20_000, 100_000, 1_000_000)
"""The fewest are all remembered by the short cut, answers included; of the others next to none is."""
GROWTH_REQUESTS_TOTAL = 1_000_000
GROWTH_S = 300.0
_STORE_BYTES = 6_000_000_000
_ROUND_S = 2
_KINDS = {"cached record": CACHED, "uncached record": UNCACHED}


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: the servers that are asked at the same time."""

    name: str
    servers: Sequence[Server]


@dataclass(frozen=True, slots=True)
class Figure:
    """Answers a second, and processor time in µs for each."""

    rate: float
    cpu_us: float


def workers(folder: Path, way: Way, say: Say, rounds: int) -> dict[str, float]:
    """One worker beside two, all on both cores together with upstream and load."""
    cores = two_cores()
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(open_upstream(folder, cores))
        sides = []
        for count in (1, 2):
            own = _subfolder(folder, f"workers-{count}")
            more = replace(way, settings={**way.settings, "GATEWAY_WORKERS": str(count)})
            server = stack.enter_context(open_contestant(GATEWAY, own, upstream, more, cores))
            sides.append(Side(f"{count} workers", [server]))
        return _both(sides, "2 workers over 1", say, rounds)


def gateways(folder: Path, way: Way, say: Say, rounds: int) -> dict[str, float]:
    """One gateway beside two that share a Redis, all on both cores together with Redis, upstream and load.

    With Redis a thread waits for each read, so there are as many as docs/settings.md advises for so many callers.
    """
    cores = two_cores()
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(open_upstream(folder, cores))
        url = stack.enter_context(_redis(folder, cores))
        sharing = replace(way, settings={"GATEWAY_THREADS": str(2 * CONNECTIONS), **way.settings, "STORE_URL": url})
        servers = [
            stack.enter_context(open_contestant(GATEWAY, _subfolder(folder, name), upstream, sharing, cores))
            for name in ("first", "second")
        ]
        sides = [Side("one gateway", servers[:1]), Side("two gateways", servers)]
        return _both(sides, "2 gateways on one Redis over 1", say, rounds)


def _subfolder(folder: Path, name: str) -> Path:
    own = folder / name
    own.mkdir()
    return own


@contextlib.contextmanager
def _redis(folder: Path, cores: Sequence[int]) -> Iterator[str]:
    """A Redis of its own that writes nothing to disk."""
    socket, pinned = folder / "redis.sock", ["taskset", "-c", ",".join(map(str, cores))]
    argv = [*pinned, "redis-server", "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"]
    with subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        try:
            give_up_at_s = time.monotonic() + 10
            while not socket.exists():
                if process.poll() is not None or time.monotonic() > give_up_at_s:
                    raise BenchmarkError("redis-server did not start.")
                time.sleep(0.01)
            yield f"unix://{socket}"
        finally:
            process.terminate()


def _both(sides: Sequence[Side], title: str, say: Say, rounds: int) -> dict[str, float]:
    """Throughput and thrift of the second side over the first, for hits and for misses."""
    found: dict[str, float] = {}
    numbers = Numbers()
    for kind, request in _KINDS.items():
        say(f"\n  {title}, {kind}:")
        pairs = []
        for _ in range(rounds):
            less, more = (_load(side, request, numbers) for side in sides)
            pairs.append((more.rate / less.rate, less.cpu_us / more.cpu_us))
            say(f"  {pairs[-1][0]:.2f}")
        found[f"{title}, {kind}: rate"] = statistics.median(rate for rate, _ in pairs)
        found[f"{title}, {kind}: answers for the same processor time"] = statistics.median(cpu for _, cpu in pairs)
    return found


def _load(side: Side, request: Request, numbers: Numbers) -> Figure:
    """All servers of a side under load at once, so many connections in all whatever their number."""
    runner = Runner(two_cores(), _ROUND_S)
    each = CONNECTIONS // len(side.servers)
    before_s = _cpu_s(side.servers)
    running = [
        runner.start(server.url, request, each, numbers.take(_ROUND_S), server.headers) for server in side.servers
    ]
    loads = [_sound(result(process)) for process in running]
    answers = sum(load.answers_total for load in loads)
    return Figure(sum(load.rate for load in loads), (_cpu_s(side.servers) - before_s) / answers * 1e6)


def _sound(load: Load) -> Load:
    if load.trouble:
        raise BenchmarkError(f"The gateway fails under load: {load.trouble}")
    return load


def _cpu_s(servers: Sequence[Server]) -> float:
    return sum(usage.cpu_s(server.pid) for server in servers)


def entries(folder: Path, way: Way, say: Say, rounds: int) -> dict[str, float]:
    """What a hit costs among more and more entries, over what it costs among the fewest: processor time."""
    core, other_core = two_cores()
    found: dict[str, float] = {}
    settings = {**way.settings, "STORE_BYTES_MAX": str(_STORE_BYTES), "CACHE_TTL_S": "3600"}
    own = _subfolder(folder, "entries")
    with open_upstream(folder, [other_core]) as upstream:
        server = open_contestant(GATEWAY, own, upstream, replace(way, settings=settings), [core])
        arena = Arena(own, upstream, {GATEWAY: server}, Runner([other_core], _ROUND_S))
        first_us, filled = 0.0, 0
        for count in ENTRIES:
            say(f"\n  filling the cache up to {count:,} records … ")
            _fill(way, arena, filled + 1, count)
            filled = count
            with server:
                cost_us = statistics.median(_hit_us(arena, server, count) for _ in range(rounds))
            first_us = first_us or cost_us
            found[f"a hit among {count:,} records over one among {ENTRIES[0]:,}: processor time"] = cost_us / first_us
            say(f"{cost_us / first_us:.2f}")
    return found


def _fill(way: Way, arena: Arena, first: int, last: int) -> None:
    """Two processes, each with half of the records: they share the store as workers do."""
    middle = (first + last) // 2
    running = [_filling(way, arena, first, middle), _filling(way, arena, middle + 1, last)]
    told = [process.communicate()[1] for process in running]
    if any(process.returncode for process in running):
        raise BenchmarkError(f"The cache could not be filled:\n{''.join(told)[-1000:]}")


def _filling(way: Way, arena: Arena, first: int, last: int) -> subprocess.Popen[str]:
    upstream_url = f"http://127.0.0.1:{arena.upstream.port}/api/2.1/xml-in"
    numbers = [str(_STORE_BYTES), upstream_url, str(first), str(last), json.dumps(RECORD)]
    return subprocess.Popen(
        [python_of(way.root), str(HERE / "fill.py"), str(arena.store_of_gateway()), *numbers],
        env={"PYTHONPATH": str(way.root), "PATH": "/usr/bin:/bin"},
        cwd=way.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _hit_us(arena: Arena, server: Server, count: int) -> float:
    """Processor time of a hit, each on another of the records. Raises `BenchmarkError` when it was not one."""
    request = replace(UNCACHED, hits=100, hot=count)
    calls_before, cpu_before_s = arena.calls_total(), usage.cpu_s(server.pid)
    load = _sound(arena.runner.run(server.url, request, CONNECTIONS, 1, server.headers))
    missed = (arena.calls_total() - calls_before) / load.answers_total
    if missed > 0.02:
        raise BenchmarkError(f"{missed:.0%} of the requests found no copy among {count:,}.")
    return (usage.cpu_s(server.pid) - cpu_before_s) / load.answers_total * 1e6


def growth(folder: Path, way: Way, say: Say) -> dict[str, float]:
    """How much the worker's own memory grows over a million hits, or as many as there is time for."""
    core, other_core = two_cores()
    runner, requests_total = Runner([other_core], 10), 0
    with open_upstream(folder, [other_core]) as upstream:
        own = _subfolder(folder, "growth")
        with open_contestant(GATEWAY, own, upstream, way, [core]) as server:
            store = own / GATEWAY / "store"
            _sound(runner.run(server.url, CACHED, CONNECTIONS, 1, server.headers))
            before, give_up_at_s = usage.worker_memory(server.pid, store), time.monotonic() + GROWTH_S
            while requests_total < GROWTH_REQUESTS_TOTAL and time.monotonic() < give_up_at_s:
                requests_total += _sound(runner.run(server.url, CACHED, CONNECTIONS, 1, server.headers)).answers_total
                say(f"\n  {requests_total:,} requests")
            after = usage.worker_memory(server.pid, store)
    grown_mb = (after.own_bytes - before.own_bytes) / 1e6
    return {f"growth of the worker's own memory over {requests_total:,} hits, in MB": grown_mb}
