"""A run from its first server to its last file: what was chosen is measured, shown and kept."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import contest, machine, parts, scale, table, usage
from benchmarks.contest import Arena, Say, Way
from benchmarks.contestants import GATEWAY_SETTINGS, HERE, INSTALLED, PYTHON
from benchmarks.plan import WORKLOADS, Workload
from benchmarks.results import Results
from benchmarks.servers import BenchmarkError

Measure = Callable[[Path, Way, Say], dict[str, float]]
EXTRAS = ("cold start", "workers", "gateways", "entries", "growth", "parts")
ON_DEMAND = ("growth",)
STARTS_TOTAL = 5

say = functools.partial(print, end="", flush=True)


@dataclass(frozen=True, slots=True)
class Task:
    """What to do: `only` names workloads and extras, `names` the contestants; `results` None: nothing is written."""

    only: Sequence[str]
    names: Sequence[str]
    way: Way
    rounds: int
    seconds: int
    connections: int | None
    results: Path | None

    def workloads(self) -> list[Workload]:
        chosen = [workload for workload in WORKLOADS if workload.name in self.only]
        if self.connections is None:
            return chosen
        return [replace(workload, connections=self.connections) for workload in chosen]


def run(task: Task, folder: Path) -> None:
    """Measures, prints as it goes, and writes the results. Raises `BenchmarkError`."""
    found = Results(machine.describe(), {**GATEWAY_SETTINGS, **task.way.settings}, {}, [])
    if task.workloads():
        with contest.arena(folder, task.names, task.way, task.seconds) as arena:
            found = _contest(arena, task, found)
    if "cold start" in task.only:
        say("\n==> cold start: how many times faster the gateway is there\n")
        found = replace(found, starts_s=contest.cold_starts(folder, task.names, task.way, STARTS_TOTAL, say))
    found = _scale(task, folder, found)
    if "parts" in task.only:
        say("\n==> parts of the gateway beside the obvious way, about 20 s")
        found = replace(found, parts=parts.measure())
    print(f"\n\n{table.whole(found)}\n{table.bars(found)}")
    if task.results:
        _keep(found, task.results)


def _contest(arena: Arena, task: Task, found: Results) -> Results:
    ceiling, comparisons, chosen = contest.ceiling(arena), [], task.workloads()
    for number, workload in enumerate(chosen, 1):
        left_s = sum(_needed_s(one, arena, task) for one in chosen[number - 1 :])
        say(f"\n==> {number} of {len(chosen)}: {workload.name}; workloads will take {left_s / 60:.1f} min more")
        comparisons.append(contest.compare(arena, workload, task.rounds, say))
    memory = {name: usage.worker_memory(one.pid, arena.store_of_gateway()) for name, one in arena.servers.items()}
    return replace(
        found,
        ceiling=ceiling,
        comparisons=comparisons,
        own_memory_mb={name: one.own_bytes / 1e6 for name, one in memory.items()},
        resident_memory_mb={name: one.resident_bytes / 1e6 for name, one in memory.items()},
    )


def _needed_s(workload: Workload, arena: Arena, task: Task) -> float:
    entries = sum(entry.contestant in arena.servers for entry in workload.entries.values())
    return entries * (task.rounds + 1) * (task.seconds * workload.stretch + 0.3)


def _scale(task: Task, folder: Path, found: Results) -> Results:
    """The figures of `scale`; one that cannot be had is said to be left out, and the others stand."""
    rounds = max(2, task.rounds // 2)
    measures: Mapping[str, tuple[str, Measure]] = {
        "workers": ("1 to 2 workers, on both cores with the load", functools.partial(scale.workers, rounds=rounds)),
        "gateways": ("1 to 2 gateways on one Redis", functools.partial(scale.gateways, rounds=rounds)),
        "entries": ("hits as the cache grows, about 2 min", functools.partial(scale.entries, rounds=rounds)),
        "growth": ("memory over 10⁶ hits, up to 5 min", scale.growth),
    }
    for name, (title, measure) in measures.items():
        if name in task.only:
            say(f"\n==> {title}")
            try:
                found = replace(found, scale={**found.scale, **measure(folder, task.way, say)})
            except BenchmarkError as error:
                found = replace(found, left_out=[*found.left_out, f"{title}: {error}"])
    return found


def _keep(found: Results, folder: Path) -> None:
    """The raw figures, the table, the bars and, where its library is installed, the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / "latest.json"
    raw.write_text(json.dumps(dataclasses.asdict(found), indent=1, ensure_ascii=False) + "\n")
    (folder / "table.md").write_text(table.whole(found))
    (folder / "bars.txt").write_text(table.bars(found) + "\n")
    if INSTALLED.exists():
        plot = folder / "plot.png"
        subprocess.run([PYTHON, "-m", "benchmarks.plot", raw, plot], cwd=HERE.parent, check=True)
    print(f"\nwritten: {folder}")
