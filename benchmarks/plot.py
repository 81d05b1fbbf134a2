"""The plot of a run: a row for each workload, a mark for each peer, the gateway at 1.

python -m benchmarks.plot latest.json plot.png     with the Python of benchmarks/.venv
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.plan import GATEWAY, THRESHOLDS
from benchmarks.results import Comparison, Ratio, Round

COLOURS = {"nginx": "#3a7d44", "fastify": "#d1495b", "fastapi": "#00798c", "flask": "#8d6a9f"}
_SPREAD = 0.15


def main(source: Path, target: Path) -> None:
    comparisons = read_comparisons(source.read_text())
    _draw(comparisons, target)


def read_comparisons(text: str) -> list[Comparison]:
    """The comparisons of a kept run."""
    return [
        Comparison(
            one["workload"], {name: [Round(**each) for each in rounds] for name, rounds in one["rounds"].items()}
        )
        for one in json.loads(text)["comparisons"]
    ]


def _draw(comparisons: Sequence[Comparison], target: Path) -> None:
    import matplotlib  # type: ignore[import-not-found]

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9.5, 0.78 * len(comparisons) + 1.9), dpi=150)
    for row, comparison in enumerate(comparisons):
        _draw_row(axes, row, comparison)
    _frame(axes, [comparison.workload for comparison in comparisons])
    figure.tight_layout()
    figure.savefig(target)


def _draw_row(axes: Any, row: int, comparison: Comparison) -> None:
    """The marks of one workload, each peer a little lower than the one before; a tick is what must be reached."""
    found = [(name, results.ratio(comparison, name)) for name in comparison.rounds if name != GATEWAY]
    measured = [(name, ratio) for name, ratio in found if ratio is not None]
    needed = {one.against: one.at_least for one in THRESHOLDS if one.workload == comparison.workload}
    for place, (name, ratio) in enumerate(measured):
        height = row + _SPREAD * (place - (len(measured) - 1) / 2)
        _draw_mark(axes, height, name, ratio)
        if name in needed:
            axes.plot([needed[name]], [height], marker="|", markersize=13, markeredgewidth=2.2, color=_colour(name))


def _draw_mark(axes: Any, height: float, name: str, ratio: Ratio) -> None:
    """Filled for a peer; hollow, and named, for another way of asking it."""
    colour, variant = _colour(name), name.partition(", ")[2]
    axes.plot([ratio.low, ratio.high], [height, height], color=colour, linewidth=2, alpha=0.45)
    fill = "white" if variant else colour
    axes.plot([ratio.median], [height], marker="o", markersize=7, color=colour, markerfacecolor=fill)
    figure = f"{ratio.median:.2f}" if ratio.median < 10 else f"{ratio.median:.0f}"
    text, place = f"{figure} {variant}".rstrip(), (max(ratio.high, ratio.median), height)
    style = {"xytext": (7, 0), "textcoords": "offset points", "va": "center", "fontsize": 6.5}
    axes.annotate(text, place, color=colour, **style)


def _colour(name: str) -> str:
    return COLOURS[name.partition(",")[0]]


def _frame(axes: Any, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D  # type: ignore[import-not-found]

    axes.set_xscale("log")
    axes.axvline(1, color="#333333", linewidth=1.2)
    axes.set_yticks(range(len(names)), names, fontsize=9)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", which="major", color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    for row in range(0, len(names), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#f5f5f2", zorder=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(lambda value, _position: f"{value:g}")
    axes.set_xlabel("the gateway's rate over the other's (log scale); right of 1 the gateway is faster")
    marks = [Line2D([], [], marker="o", linestyle="", color=colour, label=name) for name, colour in COLOURS.items()]
    tick: dict[str, Any] = {"marker": "|", "markersize": 12, "markeredgewidth": 2.2, "color": "#666666"}
    marks.append(Line2D([], [], linestyle="", label="must be reached", **tick))
    axes.legend(handles=marks, loc="lower center", bbox_to_anchor=(0.42, 1.0), ncols=5, frameon=False, fontsize=8)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
