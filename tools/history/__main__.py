"""`python -m tools.history`: the long run of the history checker, in front of real gateways.

Exit code: 0 when every history is linearizable, 1 when one is not, 2 for arguments that make no sense.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from tools.history.run import OPERATIONS_TOTAL, prove
from tools.history.setups import SETUPS


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.history", description=__doc__.splitlines()[0])
    about = f"operations in all (default {OPERATIONS_TOTAL:,})"
    parser.add_argument("--operations", type=int, default=OPERATIONS_TOTAL, metavar="N", help=about)
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="what the callers do (default 1)")
    names = [setup.name for setup in SETUPS]
    parser.add_argument("setups", nargs="*", metavar="SET-UP", help=f"of {', '.join(names)}; all when left out")
    given = parser.parse_args(arguments)
    if unknown := set(given.setups) - set(names):
        parser.error(f"no such set-up: {', '.join(sorted(unknown))}")
    if given.operations < 1:
        parser.error("--operations must be at least 1")
    setups = [setup for setup in SETUPS if setup.name in (given.setups or names)]
    violations = prove(given.operations, given.seed, setups)
    for violation in violations:
        print(f"VIOLATION  {violation}", file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
