"""The rounds: every contestant in each of them, one after the other, so that the machine's drift hits all alike."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import checks, contestants, usage
from benchmarks.contestants import CONTESTANTS, Ground
from benchmarks.load import Load, Runner
from benchmarks.plan import GATEWAY, GET_XML, LIST_XML, Entry, Request, Workload
from benchmarks.results import Comparison, Round
from benchmarks.servers import BenchmarkError, Server, two_cores
from tools.ports import HeldPort

Say = Callable[[str], None]
NUMBERS_A_SECOND = 100_000
FINISH_S = 3.0
QUIET_S = 0.06


@dataclass(slots=True)
class Numbers:
    """Ranges of numbers that nobody has asked for yet; the first few are the hot ones."""

    next: int = 1_000

    def take(self, seconds: int) -> int:
        first, self.next = self.next, self.next + seconds * NUMBERS_A_SECOND
        return first


@dataclass(frozen=True, slots=True)
class Arena:
    """Everybody at work: `servers` by contestant, all on the first core; upstream and load on the second."""

    folder: Path
    upstream: Server
    servers: Mapping[str, Server]
    runner: Runner
    numbers: Numbers = field(default_factory=Numbers)

    def calls_total(self) -> int:
        return int(self.upstream.ask("GET", "/_control/calls").body)

    def delay(self, delay_ms: int) -> None:
        self.upstream.ask("GET", f"/_control/delay_ms/{delay_ms}")

    def store_of_gateway(self) -> Path:
        return self.folder / GATEWAY / "store"


@dataclass(frozen=True, slots=True)
class Way:
    """How the gateway is started and asked: from which checkout, with which settings that differ, with what headers."""

    root: Path
    settings: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def arena(folder: Path, names: Sequence[str], way: Way, seconds: int) -> Iterator[Arena]:
    """The upstream and the named contestants, until the block ends."""
    core, other_core = two_cores()
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(open_upstream(folder, [other_core]))
        servers = {}
        for name in names:
            server = open_contestant(name, folder, upstream, way, [core])
            servers[name] = stack.enter_context(server)
        yield Arena(folder, upstream, servers, Runner([other_core], seconds))


def open_upstream(folder: Path, cores: Sequence[int]) -> Server:
    port = HeldPort()
    return Server("the upstream", contestants.upstream(port.number), port, cores, folder / "upstream.log")


def open_contestant(name: str, folder: Path, upstream: Server, way: Way, cores: Sequence[int]) -> Server:
    """A contestant with a folder of its own in `folder`, yet to be started."""
    port, own = HeldPort(), folder / name
    own.mkdir(exist_ok=True)
    command = CONTESTANTS[name](Ground(port.number, f"127.0.0.1:{upstream.port}", own, way.root, way.settings))
    return Server(name, command, port, cores, own / "output.log", way.headers if name == GATEWAY else None)


def compare(arena: Arena, workload: Workload, rounds: int, say: Say) -> Comparison:
    """Everybody is checked and warmed up, and then takes part in every round."""
    arena.delay(workload.delay_ms)
    entries = {name: entry for name, entry in workload.entries.items() if entry.contestant in arena.servers}
    refused = {name: why for name, entry in entries.items() if (why := _wrong(arena, entry))}
    timed = {name: entry for name, entry in entries.items() if name not in refused}
    for entry in timed.values():
        _run(arena, workload, entry)
        _let_finish(arena, arena.servers[entry.contestant])
    found: dict[str, list[Round]] = {name: [] for name in timed}
    for number in range(1, rounds + 1):
        say(f"\n  round {number} of {rounds}:")
        for name, entry in timed.items():
            one = _round(arena, workload, entry)
            found[name].append(one)
            say(f"  {name} {_standing(one, found)}")
    arena.delay(0)
    say("\n")
    return Comparison(workload.name, found, refused)


def _standing(one: Round, found: Mapping[str, Sequence[Round]]) -> str:
    """What a contestant's round says, as the gateway's rate over its own."""
    if one.trouble:
        return f"[{one.trouble}]"
    own = found[GATEWAY][-1] if found.get(GATEWAY) else None
    return f"{own.rate / one.rate:.2f}" if own and not own.trouble else "–"


def _wrong(arena: Arena, entry: Entry) -> str | None:
    return checks.wrong(arena.servers[entry.contestant], entry.request)


def _run(arena: Arena, workload: Workload, entry: Entry) -> Load:
    server = arena.servers[entry.contestant]
    runner = replace(arena.runner, seconds=arena.runner.seconds * workload.stretch)
    first = arena.numbers.take(runner.seconds)
    headers = checks.headers_for(server, entry.request)
    return runner.run(server.url, entry.request, workload.connections, first, headers)


def _round(arena: Arena, workload: Workload, entry: Entry) -> Round:
    server = arena.servers[entry.contestant]
    calls_before, cpu_before_s, began_s = arena.calls_total(), usage.cpu_s(server.pid), time.monotonic()
    load = _run(arena, workload, entry)
    cpu_s, elapsed_s = usage.cpu_s(server.pid) - cpu_before_s, time.monotonic() - began_s
    _let_finish(arena, server)
    answers = max(load.answers_total, 1)
    calls = (arena.calls_total() - calls_before) / answers
    trouble = load.trouble or _unlike(calls, workload)
    return Round(load.rate, load.p50_ms, load.p99_ms, cpu_s / answers * 1e6, cpu_s / elapsed_s, calls, trouble)


def _let_finish(arena: Arena, server: Server) -> None:
    """What was under way when the load ended must not run into the next one's time."""
    give_up_at_s, before = time.monotonic() + FINISH_S, None
    while time.monotonic() < give_up_at_s:
        now = (arena.calls_total(), usage.cpu_s(server.pid))
        if now == before:
            return
        before = now
        time.sleep(QUIET_S)


def _unlike(calls: float, workload: Workload) -> str | None:
    """A contestant that asks the upstream more or less often than the work demands does other work."""
    if workload.calls_min <= calls <= workload.calls_max:
        return None
    return f"{calls:.2f} calls upstream an answer, and {workload.calls_words} are the work"


def cold_starts(folder: Path, names: Sequence[str], way: Way, starts: int, say: Say) -> dict[str, list[float]]:
    """Seconds from start to the first 200, each contestant alone on its core, in turn."""
    core, other_core = two_cores()
    found: dict[str, list[float]] = {name: [] for name in names}
    with open_upstream(folder, [other_core]) as upstream:
        for _ in range(starts):
            for name in names:
                with open_contestant(name, folder, upstream, way, [core]) as server:
                    found[name].append(server.started_in_s)
                say(f"  {name} {found[name][-1] / found[GATEWAY][-1]:.2f}")
    return found


def ceiling(arena: Arena) -> dict[str, float]:
    """By workload: how often the upstream itself answers, with the load on its own core, in answers a second."""
    requests = {"uncached record": GET_XML, "uncached page of 100": LIST_XML}
    return {workload: _direct(arena, request) for workload, request in requests.items()}


def _direct(arena: Arena, request: Request) -> float:
    load = arena.runner.run(arena.upstream.url, request, 16, arena.numbers.take(1), request.headers)
    if load.trouble:
        raise BenchmarkError(f"The upstream itself fails: {load.trouble}")
    return load.rate
