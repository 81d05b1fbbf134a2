"""What was measured, as it is kept, and the ratios drawn from it. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.comparison import Row
from benchmarks.plan import GATEWAY, THRESHOLDS, WORKER_MEMORY_MAX_MB, Threshold


@dataclass(frozen=True, slots=True)
class Round:
    """One contestant in one round. `busy` is the share of its core that it used, `calls` its calls upstream for each
    answer; `trouble` is why the round does not count."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    busy: float
    calls: float
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One workload: the rounds of each entry, in step, and why an entry was not timed."""

    workload: str
    rounds: Mapping[str, Sequence[Round]]
    refused: Mapping[str, str] = field(default_factory=dict)

    def troubles(self) -> list[str]:
        """Everything that does not count, in words."""
        refused = [f"{self.workload}: {name} was not timed: {why}" for name, why in self.refused.items()]
        return refused + [
            f"{self.workload}: {name}, round {number}, is left out: {one.trouble}"
            for name, rounds in self.rounds.items()
            for number, one in enumerate(rounds, 1)
            if one.trouble
        ]


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the rounds' ratios, and their quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Results:
    """A whole run. `ceiling` is how many answers a second the upstream gives with the load on its own core. `starts_s`
    are seconds from the start of a process to its first 200. Memory is in MB (10⁶ bytes): what a worker holds for
    itself, and with its pages of the store. `scale` has figures by their descriptions."""

    machine: Mapping[str, str]
    settings: Mapping[str, str]
    ceiling: Mapping[str, float]
    comparisons: Sequence[Comparison]
    starts_s: Mapping[str, Sequence[float]] = field(default_factory=dict)
    own_memory_mb: Mapping[str, float] = field(default_factory=dict)
    resident_memory_mb: Mapping[str, float] = field(default_factory=dict)
    scale: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    left_out: Sequence[str] = ()

    def troubles(self) -> list[str]:
        """Everything that does not count, in words."""
        return [*self.left_out, *(line for comparison in self.comparisons for line in comparison.troubles())]


def rate(one: Round) -> float:
    return one.rate


def thrift(one: Round) -> float:
    """Answers for each second of processor time: what other work on the machine disturbs least."""
    return 1 / max(one.cpu_us, 0.1)


def shortness(one: Round) -> float:
    """So that more is better for the 99th percentile too."""
    return 1 / one.p99_ms


def ratio(comparison: Comparison, against: str, of: Callable[[Round], float] = rate) -> Ratio | None:
    """The gateway over `against`, from the rounds that count for both; None: there are none."""
    pairs = zip(comparison.rounds.get(GATEWAY, ()), comparison.rounds.get(against, ()), strict=False)
    return spread([of(own) / of(other) for own, other in pairs if not own.trouble and not other.trouble])


def start_ratio(starts_s: Mapping[str, Sequence[float]], against: str) -> Ratio | None:
    """How many times faster the gateway starts."""
    pairs = zip(starts_s.get(GATEWAY, ()), starts_s.get(against, ()), strict=False)
    return spread([other / own for own, other in pairs])


def fastest(comparison: Comparison, but: str) -> float:
    """The highest median rate of an entry other than `but`; 0: nobody was timed."""
    sound = {name: [one.rate for one in rounds if not one.trouble] for name, rounds in comparison.rounds.items()}
    return max((statistics.median(rates) for name, rates in sound.items() if rates and name != but), default=0.0)


def spread(ratios: Sequence[float]) -> Ratio | None:
    if not ratios:
        return None
    if len(ratios) == 1:
        return Ratio(ratios[0], ratios[0], ratios[0])
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median, low, high)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A threshold and what was measured; None: this run does not say. `thrift` is the ratio by processor time, which
    does not decide."""

    threshold: Threshold
    measured: float | None
    thrift: float | None = None

    @property
    def words(self) -> str:
        if self.measured is None:
            return "not measured"
        goal = self.threshold.goal
        short = self.threshold.at_least - self.measured
        if short > 0:
            return f"not reached, {short:.2f} short ({self.measured / self.threshold.at_least:.0%} of it)"
        if goal is not None and self.measured < goal:
            return f"reached; {goal - self.measured:.2f} short of the goal"
        return "reached" if goal is None else "reached, the goal too"


def verdicts(comparisons: Sequence[Comparison]) -> list[Verdict]:
    found = {one.workload: one for one in comparisons}
    return [_verdict(one, found.get(one.workload)) for one in THRESHOLDS]


def _verdict(threshold: Threshold, comparison: Comparison | None) -> Verdict:
    if comparison is None:
        return Verdict(threshold, None)
    medians = (_median(ratio(comparison, threshold.against, of)) for of in (rate, thrift))
    return Verdict(threshold, *medians)


def _median(ratio: Ratio | None) -> float | None:
    return None if ratio is None else ratio.median


def memory_verdict(own_mb: float | None) -> str:
    if own_mb is None:
        return "not measured"
    over_mb = own_mb - WORKER_MEMORY_MAX_MB
    return "kept" if over_mb <= 0 else f"not kept, {over_mb:.0f} MB over"
