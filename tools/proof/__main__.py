"""`python -m tools.proof`: shows what is promised about reads, writes and sick upstreams, against real processes.

Exit code: 0 when all was as promised, 1 when something deviated, 2 for arguments that make no sense.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from simulator.server import Simulator
from tools.history import run as history
from tools.proof import deadlines, faulted_points, outage
from tools.proof.servers import simulators

Part = Callable[[Simulator, Path], list[str]]

ABOUT: Mapping[str, str] = {
    "points": "faults at every point of a call, for every method",
    "deadlines": "an upstream that takes its time, and when the answer comes",
    "outage": "an upstream that is down under load, and how it comes back",
    "history": "whether anybody ever read the past: 100,000 operations, workers killed, gateways replaced",
}

MINUTES: Mapping[str, int] = {"points": 1, "deadlines": 1, "outage": 5, "history": 8}
"""About how long each part takes on two cores that do nothing else."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.proof", description=__doc__.splitlines()[0])
    parser.add_argument("--outage-s", type=float, default=60.0, help="seconds that each outage lasts (default 60)")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(ABOUT)}; all when left out")
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(ABOUT):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts: Mapping[str, Part] = {
        "points": faulted_points.prove,
        "deadlines": deadlines.prove,
        "outage": functools.partial(outage.prove, outage_s=given.outage_s),
        "history": lambda _simulator, _authority: history.prove(),
    }
    return verdict(prove({name: part for name, part in parts.items() if name in (given.parts or parts)}))


def verdict(deviations: Sequence[str]) -> int:
    """The exit code, after telling each deviation."""
    for deviation in deviations:
        print(f"DEVIATION  {deviation}", file=sys.stderr)
    return 1 if deviations else 0


def prove(parts: Mapping[str, Part]) -> list[str]:
    """Runs the parts one after the other, each against a simulator of its own; returns all deviations."""
    deviations: list[str] = []
    with tempfile.TemporaryDirectory(prefix="gateway-proof-") as folder:
        for place, (name, part) in enumerate(parts.items(), start=1):
            print(f"==> {name} ({place} of {len(parts)}, about {MINUTES[name]} min): {ABOUT[name]}\n", flush=True)
            started_s = time.monotonic()
            with simulators(Path(folder)) as (simulator, authority_file):
                found = part(simulator, authority_file)
            verdict = "as promised" if not found else f"{len(found)} deviations"
            print(f"\n==> {name}: {verdict} ({time.monotonic() - started_s:.0f} s)\n", flush=True)
            deviations += [f"{name}: {one}" for one in found]
    return deviations


if __name__ == "__main__":
    sys.exit(main())
