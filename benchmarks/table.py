"""The results as text: the table of ratios, what must be reached, and bars. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks import results
from benchmarks.plan import GATEWAY, PASSED_ON, THRESHOLDS, WORKER_MEMORY_MAX_MB
from benchmarks.results import Comparison, Ratio, Results

_BAR_MAX = 40
HEAD = """\
Ratios: the gateway over the other, more than 1: the gateway is better. Medians over interleaved rounds of one run, in
brackets the middle half of the rounds. One worker each, on one core; upstream and load on the other. Rate: answers a
second. Processor: answers for the same processor time of the contestant, which shows what the rate would be if the load
generator and other work on the machine were never in the way. 99th: how many times shorter the 99th percentile is."""


def whole(found: Results) -> str:
    """Everything, as Markdown that reads well as plain text too."""
    sections = (machine, ratios, reached, headroom, memory, scale, parts, troubles)
    written = [HEAD, *(section(found) for section in sections)]
    return "\n\n".join(part.strip() for part in written if part) + "\n"


def machine(found: Results) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in found.machine.items())


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with its columns in line."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |" for line in lines
    )


def ratios(found: Results) -> str:
    rows = [row for comparison in found.comparisons for row in _rows(comparison)]
    starts = found.starts_s
    rows += [["cold start", name, _cell(results.start_ratio(starts, name)), "", ""] for name in starts]
    shown = [row for row in rows if row[1] != GATEWAY]
    return grid(("workload", "gateway against", "rate", "processor", "99th"), shown) if shown else ""


def _rows(comparison: Comparison) -> Iterator[list[str]]:
    for name in comparison.rounds:
        figures = [results.ratio(comparison, name, of) for of in (results.rate, results.thrift, results.shortness)]
        yield [comparison.workload, name, *map(_cell, figures)]


def _cell(ratio: Ratio | None) -> str:
    return "–" if ratio is None else f"{ratio.median:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"


def reached(found: Results) -> str:
    """Each threshold with what was measured and whether it is reached."""
    measured = results.verdicts(found.comparisons)
    if all(verdict.measured is None for verdict in measured):
        return ""
    rows = [
        [
            one.threshold.workload,
            one.threshold.against,
            f"{one.threshold.at_least:g}",
            _figure(one.measured),
            _figure(one.thrift),
            one.words,
        ]
        for one in measured
    ]
    own_mb = found.own_memory_mb.get(GATEWAY)
    bound = f"≤ {WORKER_MEMORY_MAX_MB:g} MB"
    words = results.memory_verdict(own_mb)
    rows.append(["memory of the worker", "", bound, "–" if own_mb is None else f"{own_mb:.0f} MB", "", words])
    return grid(("must be reached", "against", "at least", "rate", "processor", "verdict, by rate"), rows)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def headroom(found: Results) -> str:
    """How far the upstream is from being what is measured."""
    compared = {one.workload: one for one in found.comparisons}
    lines = [
        f"- {workload}: the upstream alone, with the load on its own core, answers "
        f"{found.ceiling[workload] / fastest:.1f} times as often as the fastest who translates asks it"
        for workload in found.ceiling
        if workload in compared and (fastest := results.fastest(compared[workload], but=PASSED_ON))
    ]
    return "\n".join(lines)


def memory(found: Results) -> str:
    rows = [
        [name, f"{own_mb:.0f} MB", f"{found.resident_memory_mb[name]:.0f} MB"]
        for name, own_mb in found.own_memory_mb.items()
    ]
    return grid(("worker after the run", "its own", "with pages of the shared store"), rows) if rows else ""


def scale(found: Results) -> str:
    rows = [[name, f"{value:.2f}"] for name, value in found.scale.items()]
    return grid(("more of it", "ratio"), rows) if rows else ""


def parts(found: Results) -> str:
    rows = [[part, row.name, f"{row.ratio:.2f}"] for part, ways in found.parts.items() for row in ways]
    return grid(("part", "way", "processor time, the gateway's is 1"), rows) if rows else ""


def troubles(found: Results) -> str:
    lines = found.troubles()
    return "\n".join(["Left out:", "", *(f"- {line}" for line in lines)]) if lines else ""


def bars(found: Results) -> str:
    """Every contestant's rate beside the gateway's, as bars."""
    return "\n\n".join(_bars(comparison) for comparison in found.comparisons if comparison.rounds.get(GATEWAY))


def _bars(comparison: Comparison) -> str:
    relative = relative_rates(comparison)
    longest = max(relative.values(), default=1.0)
    width = max(map(len, relative), default=0)
    lines = [
        f"  {name.ljust(width)}  {'█' * max(1, round(value / longest * _BAR_MAX))} {value:.2f}"
        for name, value in relative.items()
    ]
    return "\n".join([f"{comparison.workload} (rate, the gateway's is 1)", *lines])


def relative_rates(comparison: Comparison) -> dict[str, float]:
    """Each entry's rate in multiples of the gateway's; what was not measured is left out."""
    found = {name: results.ratio(comparison, name) for name in comparison.rounds}
    return {name: 1 / ratio.median for name, ratio in found.items() if ratio is not None}


def allowed(workload: str) -> dict[str, float]:
    """For each other of a workload: the rate, in multiples of the gateway's, that its threshold allows it."""
    return {one.against: 1 / one.at_least for one in THRESHOLDS if one.workload == workload}
