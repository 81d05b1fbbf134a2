"""Histories of every set-up, made and judged one after the other."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tools.history.callers import History
from tools.history.checker import Violation, check
from tools.history.setups import CALLERS_TOTAL, SETUPS, Setup, record

OPERATIONS_TOTAL = 100_000
SHOWN_MAX = 10
_OPERATIONS_PER_S = 250
"""As measured on two cores, to tell about how long it will take."""
_COLUMNS = (
    "set-up",
    "seconds",
    "operations",
    "reads",
    "hits",
    "writes",
    "in doubt",
    "faults",
    "kills",
    "replaced",
    "violations",
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A history and what the checker says about it."""

    setup: Setup
    history: History
    violations: list[Violation]
    lasted_s: float

    @property
    def hits_total(self) -> int:
        """Reads that were answered from the cache alone."""
        return self.history.counts["read hit"] + self.history.counts["read stale"]

    @property
    def writes_total(self) -> int:
        return self._total("write ")

    @property
    def reads_total(self) -> int:
        return self._total("read ")

    def cells(self) -> tuple[object, ...]:
        counts = self.history.counts
        done = (self.reads_total + self.writes_total, self.reads_total, self.hits_total, self.writes_total)
        trouble = (counts["write unknown"], counts["faults"], counts["kills"], counts["replaced"])
        return (self.setup.name, round(self.lasted_s), *done, *trouble, len(self.violations))

    def _total(self, kind: str) -> int:
        return sum(count for name, count in self.history.counts.items() if name.startswith(kind))


def judge(setup: Setup, operations_total: int, seed: int) -> Verdict:
    """Makes a history and checks it."""
    began_s = time.monotonic()
    history = record(setup, operations_total, seed)
    return Verdict(setup, history, check(history.operations), time.monotonic() - began_s)


def prove(operations_total: int = OPERATIONS_TOTAL, seed: int = 1, setups: Sequence[Setup] = SETUPS) -> list[str]:
    """Prints a table of histories with `operations_total` operations in all; returns the violations, each with the few
    operations that show it."""
    print(
        f"    {CALLERS_TOTAL} callers; no read may be older than an answered write, nor older than an earlier read:\n"
    )
    for setup in setups:
        print(f"      {setup.name:<18} {setup.about}")
    print(f"\n{_row(_COLUMNS)}", flush=True)
    found: list[str] = []
    share, rest = divmod(operations_total, len(setups))
    for place, setup in enumerate(setups):
        operations = share + (place < rest)
        say(f"{setup.name}: {operations:,} operations, about {operations / _OPERATIONS_PER_S:.0f} s")
        verdict = judge(setup, operations, seed)
        print(_row(verdict.cells()), flush=True)
        found += [f"{setup.name}: {violation}" for violation in verdict.violations[:SHOWN_MAX]]
    return found


def say(text: str) -> None:
    """What is being done now: beside the table, so that it is no part of it."""
    print(f"    ... {text}", file=sys.stderr, flush=True)


def _row(cells: Sequence[object]) -> str:
    name, *others = cells
    return "  ".join([f"{name:<18}", *(f"{other:>10}" for other in others)])
