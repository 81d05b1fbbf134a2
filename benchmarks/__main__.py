"""`make bench`: the gateway beside what else one could pick, in one run.

python -m benchmarks [--only 'cached record,304'] [--peers fastify,nginx] [--rounds 3] [--seconds 2]
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import run
from benchmarks.contest import Way
from benchmarks.contestants import CONTESTANTS, HERE, PEERS, PYTHON
from benchmarks.plan import GATEWAY, WORKLOADS
from benchmarks.servers import BenchmarkError

NAMES = [*(workload.name for workload in WORKLOADS), *run.EXTRAS]
DEFAULT = [name for name in NAMES if name not in run.ON_DEMAND]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        _check_installed(options.peers)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            run.run(_task(options), Path(folder))
    except BenchmarkError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="The gateway beside its peers, in one run."
    )
    some, peers = functools.partial(_listed, names=NAMES), functools.partial(_listed, names=list(CONTESTANTS))
    parser.add_argument(
        "--only", type=some, default=DEFAULT, metavar="NAMES", help=f"of: {', '.join(NAMES)}".replace("%", "%%")
    )
    parser.add_argument("--peers", type=peers, default=list(CONTESTANTS), help=f"of: {', '.join(CONTESTANTS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="of load, for each contestant in each round")
    parser.add_argument("--connections", type=int, help="instead of the workload's own number")
    parser.add_argument(
        "--gateway-root", type=Path, default=HERE.parent, help="another checkout to start the gateway of"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the gateway")
    parser.add_argument("--keys", action="store_true", help="callers of the gateway carry a key")
    parser.add_argument("--results", type=Path, help="folder to write to; a whole run is kept in benchmarks/results")
    return parser


def _listed(text: str, names: Sequence[str]) -> list[str]:
    chosen = [part.strip() for part in text.split(",")]
    for one in chosen:
        if one not in names:
            raise argparse.ArgumentTypeError(f"{one!r} is none of: {', '.join(names)}")
    return chosen


def _check_installed(peers: Sequence[str]) -> None:
    needed = {"fastify": PEERS / "fastify" / "node_modules", "fastapi": PYTHON, "flask": PYTHON}
    missing = [name for name, sign in needed.items() if name in peers and not sign.exists()]
    missing += [name for name in ("wrk", "taskset") if not shutil.which(name)]
    if missing:
        raise BenchmarkError(f"Not installed: {', '.join(missing)}. `make bench` installs what it needs.")


def _keys() -> tuple[dict[str, str], dict[str, str]]:
    """The settings of a gateway that wants a key, and the headers that carry it."""
    key = "bench-key"
    digest = hashlib.sha256(key.encode()).hexdigest()
    return {"GATEWAY_AUTH": "keys", "GATEWAY_API_KEYS": digest}, {"Authorization": f"Bearer {key}"}


def _task(options: argparse.Namespace) -> run.Task:
    given = dict(one.partition("=")[::2] for one in options.set)
    settings, headers = _keys() if options.keys else ({}, {})
    way = Way(options.gateway_root.resolve(), {**settings, **given}, headers)
    names = [GATEWAY, *(name for name in options.peers if name != GATEWAY)]
    is_whole = options.only == DEFAULT and len(names) == len(CONTESTANTS)
    results = options.results or (HERE / "results" if is_whole else None)
    return run.Task(options.only, names, way, options.rounds, options.seconds, options.connections, results)


if __name__ == "__main__":
    sys.exit(main())
