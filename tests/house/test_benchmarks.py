"""What `make bench` compares with; that the figures are what they are is the benchmarks' own business."""

from __future__ import annotations

from benchmarks.comparison import compare


def test_ways_are_timed_in_turn_and_held_against_the_first() -> None:
    """Drift hits all alike, and the first has the ratio 1."""
    order: list[str] = []
    ways = {"first": lambda: order.append("first"), "second": lambda: order.append("second")}
    rows = compare(ways, rounds=3, repetitions=2)
    assert order == ["first", "first", "second", "second"] * 3
    assert [row.name for row in rows] == ["first", "second"]
    assert rows[0].ratio == 1.0
