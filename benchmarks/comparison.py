"""Two or more ways of doing one thing, timed in turn in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Row:
    """One way: its median processor time in µs a repetition, and the median of its ratios to the first way."""

    name: str
    cpu_us: float
    ratio: float


def compare(ways: Mapping[str, Work], *, rounds: int, repetitions: int) -> list[Row]:
    """Times each way in every round, so that drift hits all alike. The first is what the others are held against."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            times[name].append(_cpu_us(work, repetitions))
    first = next(iter(times.values()))
    return [
        Row(name, statistics.median(own), statistics.median(a / b for a, b in zip(own, first, strict=True)))
        for name, own in times.items()
    ]


def _cpu_us(work: Work, repetitions: int) -> float:
    started_s = time.process_time()
    for _ in range(repetitions):
        work()
    return (time.process_time() - started_s) / repetitions * 1e6
