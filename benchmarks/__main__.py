"""`make bench`: the gateway beside what else one could pick, in one run.

python -m benchmarks [--only 'cached record,304'] [--peers fastify,nginx] [--rounds 3] [--seconds 2]
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import contest, machine, table, usage
from benchmarks.contest import Arena, Way
from benchmarks.contestants import CONTESTANTS, GATEWAY_SETTINGS, PEERS, PYTHON
from benchmarks.plan import GATEWAY, WORKLOADS, Workload
from benchmarks.results import Results, Start
from benchmarks.servers import BenchmarkError

HERE = Path(__file__).parent
STARTS_TOTAL = 5
_OWN_PARTS = ("cold start", "memory", "scale", "parts")

say = functools.partial(print, end="", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        _check_installed(options.peers)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            _run(options, Path(folder))
    except BenchmarkError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [workload.name for workload in WORKLOADS]
    listed = functools.partial(_listed, names=[*names, *_OWN_PARTS])
    peers = functools.partial(_listed, names=list(CONTESTANTS))
    parser.add_argument(
        "--only", type=listed, default=[*names, *_OWN_PARTS], help=f"of: {', '.join([*names, *_OWN_PARTS])}"
    )
    parser.add_argument("--peers", type=peers, default=list(CONTESTANTS), help=f"of: {', '.join(CONTESTANTS)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=1, help="of load, for each contestant in each round")
    parser.add_argument(
        "--gateway-root", type=Path, default=HERE.parent, help="another checkout to take the gateway from"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the gateway")
    parser.add_argument("--results", type=Path, help="where to write; without it only a whole run is kept")
    return parser.parse_args(arguments)


def _listed(text: str, names: Sequence[str]) -> list[str]:
    chosen = [part.strip() for part in text.split(",")]
    for one in chosen:
        if one not in names:
            raise argparse.ArgumentTypeError(f"{one!r} is none of: {', '.join(names)}")
    return chosen


def _check_installed(peers: Sequence[str]) -> None:
    needed = {"fastify": PEERS / "fastify" / "node_modules", "fastapi": PYTHON, "flask": PYTHON}
    missing = [name for name, sign in needed.items() if name in peers and not sign.exists()]
    if missing or not shutil.which("wrk"):
        raise BenchmarkError(f"Not installed: {', '.join(missing) or 'wrk'}. `make bench` installs what it needs.")


def _run(options: argparse.Namespace, folder: Path) -> None:
    way = Way(options.gateway_root.resolve(), dict(one.split("=", 1) for one in options.set))
    names = [GATEWAY, *(name for name in options.peers if name != GATEWAY)]
    chosen = [workload for workload in WORKLOADS if workload.name in options.only]
    found = Results(machine.describe(), {**GATEWAY_SETTINGS, **way.settings}, {}, [])
    if chosen:
        with contest.arena(folder, names, way, options.seconds) as arena:
            found = _contest(arena, chosen, options.rounds, found)
    if "cold start" in options.only:
        say("\n==> cold start\n")
        starts = contest.cold_starts(folder, names, way, STARTS_TOTAL, say)
        found = dataclasses.replace(found, start=Start(starts))
    print("\n\n" + table.whole(found) + "\n" + table.bars(found))
    if options.results:
        _keep(found, options.results)


def _contest(arena: Arena, chosen: Sequence[Workload], rounds: int, found: Results) -> Results:
    ceiling = contest.ceiling(arena)
    comparisons = []
    for number, workload in enumerate(chosen, 1):
        entries = sum(entry.contestant in arena.servers for entry in workload.entries.values())
        needed_s = entries * (rounds + 1) * (arena.runner.seconds + 0.1)
        say(f"\n==> {number} of {len(chosen)}: {workload.name}, about {needed_s:.0f} s; gateway over each:")
        comparisons.append(contest.compare(arena, workload, rounds, say))
    memory = {name: usage.worker_memory(server.pid, arena.store_of_gateway()) for name, server in arena.servers.items()}
    return dataclasses.replace(
        found,
        ceiling=ceiling,
        comparisons=comparisons,
        own_memory_mb={name: one.own_bytes / 1e6 for name, one in memory.items()},
        resident_memory_mb={name: one.resident_bytes / 1e6 for name, one in memory.items()},
    )


def _keep(found: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_text(json.dumps(dataclasses.asdict(found), indent=1) + "\n")
    (folder / "table.md").write_text(table.whole(found))
    (folder / "bars.txt").write_text(table.bars(found) + "\n")


if __name__ == "__main__":
    sys.exit(main())
