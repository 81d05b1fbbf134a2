"""The checker itself: it must find what cannot have happened, and must not find anything else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.history import checker
from tools.history.checker import check
from tools.history.operations import ABSENT, Absent, Kind, Operation, Outcome

UNKNOWN, NOT_DONE = Outcome.UNKNOWN, Outcome.NOT_DONE
NUMBERS = itertools.count(1)


def operation(kind: Kind, began_s: float, ended_s: float, key: int | None = 7, **what: Any) -> Operation:
    return Operation(next(NUMBERS), kind, key, began_s, ended_s, **what)


def create(began_s: float, ended_s: float, mark: str = "new", **what: Any) -> Operation:
    return operation(Kind.CREATE, began_s, ended_s, wrote=mark, **what)


def change(began_s: float, ended_s: float, mark: str, **what: Any) -> Operation:
    return operation(Kind.CHANGE, began_s, ended_s, wrote=mark, **what)


def delete(began_s: float, ended_s: float, **what: Any) -> Operation:
    return operation(Kind.DELETE, began_s, ended_s, **what)


def get(began_s: float, ended_s: float, saw: str | Absent, **what: Any) -> Operation:
    return operation(Kind.GET, began_s, ended_s, saw=saw, **what)


def listed(began_s: float, ended_s: float, *, whole: bool = True, **rows: str) -> Operation:
    """`r7="new"` is the row of record 7."""
    shown = {int(name[1:]): mark for name, mark in rows.items()}
    return operation(Kind.LIST, began_s, ended_s, None, rows=shown, whole=whole)


BORN = create(0, 1)

GOOD = {
    "nothing": [],
    "reads of what was written": [BORN, get(2, 3, "new"), change(4, 5, "a"), get(6, 7, "a"), listed(6, 7, r7="a")],
    "a read that overlaps a write may see either": [BORN, change(2, 5, "a"), get(3, 4, "new"), get(3, 6, "a")],
    "a read that began before the answer may end late": [BORN, get(2, 9, "new"), change(3, 4, "a"), get(5, 6, "a")],
    "writes that overlap take effect in either order": [
        BORN,
        change(2, 6, "a"),
        change(3, 5, "b"),
        get(7, 8, "a"),
        get(9, 10, "a"),
    ],
    "a lost write may show late": [BORN, change(2, 3, "a", outcome=UNKNOWN), get(4, 5, "new"), get(6, 7, "a")],
    "a lost write may never show": [BORN, change(2, 3, "a", outcome=UNKNOWN), get(4, 5, "new"), get(6, 7, "new")],
    "a lost write may undo a later one": [
        BORN,
        change(2, 3, "a", outcome=UNKNOWN),
        change(4, 5, "b"),
        get(6, 7, "b"),
        get(8, 9, "a"),
    ],
    "a lost create is learnt of from a list": [
        create(0, 1, key=None, outcome=UNKNOWN),
        listed(2, 3),
        listed(4, 5, r7="new"),
        get(6, 7, "new"),
    ],
    "a list during the create": [create(0, 5), listed(1, 2), listed(3, 4, r7="new")],
    "a deleted record is gone": [BORN, delete(2, 3), get(4, 5, ABSENT), listed(4, 5), delete(6, 7, outcome=NOT_DONE)],
    "a read during the delete": [BORN, delete(2, 5), get(3, 4, ABSENT), get(3, 6, "new")],
    "a lost delete shows late": [BORN, delete(2, 3, outcome=UNKNOWN), get(4, 5, "new"), get(6, 7, ABSENT)],
    "a part of a list says nothing of the rest": [BORN, listed(2, 3, whole=False)],
    "two lists of two records": [BORN, create(0, 1, "other", key=8), listed(2, 3, r7="new", r8="other")],
}

BAD = {
    checker.OLDER: {
        "a read after an answered change": [BORN, change(2, 3, "a"), get(4, 5, "new")],
        "a list after an answered change": [BORN, change(2, 3, "a"), listed(4, 5, r7="new")],
        "after two changes": [BORN, change(2, 3, "a"), change(4, 5, "b"), get(6, 7, "a")],
        "long after": [BORN, change(2, 3, "a"), get(4, 5, "a"), change(6, 7, "b"), get(8, 9, "b"), get(10, 11, "a")],
        "a change that cannot have come before": [BORN, get(2, 3, "new"), change(4, 5, "a"), get(6, 7, "new")],
    },
    checker.BACKWARDS: {
        "during the change": [BORN, change(2, 9, "a"), get(3, 4, "a"), get(5, 6, "new")],
        "from a record to a list": [BORN, change(2, 9, "a"), get(3, 4, "a"), listed(5, 6, r7="new")],
        "from a list to a record": [BORN, change(2, 9, "a"), listed(3, 4, r7="a"), get(5, 6, "new")],
        "after a lost change": [BORN, change(2, 3, "a", outcome=UNKNOWN), get(4, 5, "a"), get(6, 7, "new")],
        "there and back again": [
            BORN,
            change(2, 20, "a"),
            change(2, 20, "b"),
            get(3, 4, "a"),
            get(5, 6, "b"),
            get(7, 8, "a"),
        ],
    },
    checker.CAME_BACK: {
        "in a read": [BORN, delete(2, 3), get(4, 5, "new")],
        "in a list": [BORN, delete(2, 3), listed(4, 5, r7="new")],
        "after a read that did not find it": [BORN, delete(2, 9), get(3, 4, ABSENT), get(5, 6, "new")],
        "after a list without it": [BORN, delete(2, 9), listed(3, 4), get(5, 6, "new")],
        "as the target of a change": [BORN, delete(2, 3), change(4, 5, "a")],
        "after a lost delete that took effect": [
            BORN,
            delete(2, 3, outcome=UNKNOWN),
            get(4, 5, ABSENT),
            get(6, 7, "new"),
        ],
    },
    checker.LOST: {
        "a list after an answered create": [BORN, listed(2, 3), listed(4, 5, r7="new")],
        "a read after an answered create": [BORN, get(2, 3, ABSENT)],
        "before the delete": [BORN, listed(2, 3), delete(4, 5)],
        "a lost create that was seen": [create(0, 1, key=None, outcome=UNKNOWN), listed(2, 3, r7="new"), listed(4, 5)],
    },
    checker.NOBODY_WROTE: {
        "an unknown mark": [BORN, get(2, 3, "what")],
        "the mark of another record": [BORN, create(0, 1, "other", key=8), change(2, 3, "a", key=8), get(4, 5, "a")],
        "a change that was refused": [BORN, change(2, 3, "a", outcome=NOT_DONE), get(4, 5, "a")],
    },
    checker.TOO_EARLY: {"a read from the future": [BORN, get(2, 3, "a"), change(4, 5, "a")]},
    checker.MADE_TWICE: {
        "a create that was sent twice": [BORN, listed(2, 3, r7="new", r8="new")],
        "a lost one": [create(0, 1, key=None, outcome=UNKNOWN), get(2, 3, "new", key=8), get(2, 3, "new")],
    },
    checker.TAG: {
        "of one record": [BORN, get(2, 3, "new", tag='"x"'), change(4, 5, "a"), get(6, 7, "a", tag='"x"')],
    },
}


@pytest.mark.parametrize("name", GOOD)
def test_a_history_that_can_have_happened_passes(name: str) -> None:
    """Writes that overlap, or whose outcome nobody knows, leave room; the checker must not close it."""
    assert check(GOOD[name]) == []


@pytest.mark.parametrize("rule, name", [(rule, name) for rule, cases in BAD.items() for name in cases])
def test_a_history_that_cannot_have_happened_is_found(rule: str, name: str) -> None:
    """One violation, by its right name, and its sub-history alone shows it again."""
    found = check(BAD[rule][name])
    assert [violation.rule for violation in found] == [rule]
    assert rule in {violation.rule for violation in check(found[0].operations)}


def test_the_sub_history_leaves_out_what_is_beside_the_point() -> None:
    """Of thousands of operations the few that contradict each other are shown, each on a line."""
    bystanders = [get(number, number + 0.5, "new", key=8) for number in range(2, 2000)]
    reads = [get(3 + number / 1000, 4 + number / 1000, "new") for number in range(500)]
    bad = [BORN, create(0, 1, key=8, mark="other"), change(10, 11, "a"), get(12, 13, "new")]
    bystanders = [replace(one, saw="other") for one in bystanders]
    violation, *others = check([*bad, *bystanders, *reads])
    assert not others
    assert len(violation.operations) <= 4
    assert "older than an answered write (record 7)" in str(violation)
    assert str(violation).count("\n") == len(violation.operations)


def test_a_hundred_thousand_operations_are_judged_within_seconds() -> None:
    """The cost grows with the operations, not with their square: the timeout of the tests would end it."""
    history = [create(0, 1, key=key, mark=f"new {key}") for key in range(6)]
    for at_s in range(2, 25_000):
        history += [
            get(at_s, at_s + 0.5, f"new {at_s % 6}", key=at_s % 6),
            operation(Kind.LIST, at_s, at_s + 0.5, None, rows={key: f"new {key}" for key in range(6)}, whole=True),
        ]
    assert check(history) == []


def can_have_happened(history: Sequence[Operation]) -> bool:
    """Tries every order (Wing and Gong), for one record: the truth that the checker is held to."""
    return any(_goes_on(history, frozenset(left), "unborn") for left in _choices(history))


def _choices(history: Sequence[Operation]) -> Iterator[list[int]]:
    """The operations that must take effect, with each choice of those that may."""
    must = [place for place, one in enumerate(history) if one.outcome is Outcome.DONE]
    may = [place for place, one in enumerate(history) if one.outcome is UNKNOWN]
    for count in range(len(may) + 1):
        for chosen in itertools.combinations(may, count):
            yield [*must, *chosen]


def _goes_on(history: Sequence[Operation], left: frozenset[int], state: str) -> bool:
    if not left:
        return True
    ends_s = [history[place].ended_s for place in left if history[place].outcome is Outcome.DONE]
    earliest_end_s = min(ends_s, default=float("inf"))
    for place in left:
        one = history[place]
        after = _after(one, state)
        if one.began_s <= earliest_end_s and after is not None and _goes_on(history, left - {place}, after):
            return True
    return False


def _after(one: Operation, state: str) -> str | None:
    """The record after an operation; None when it cannot take effect here."""
    alive = state not in ("unborn", "dead")
    match one.kind:
        case Kind.CREATE:
            return one.wrote if state == "unborn" else None
        case Kind.CHANGE:
            return one.wrote if alive else None
        case Kind.DELETE:
            return "dead" if state != "unborn" else None
        case Kind.LIST:
            saw = (one.rows or {}).get(7)
            return state if (saw == state if alive else saw is None) else None
    return state if (one.saw == state if alive else one.saw is ABSENT) else None


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Small histories of one record. Begins and ends are all different, so that nothing hangs on how ties are read."""
    count = draw(st.integers(2, 7))
    instants = draw(st.permutations(range(2 * count)))
    spans = [sorted(instants[2 * place : 2 * place + 2]) for place in range(count)]
    history = [create(spans[0][0], spans[0][1], "new", outcome=draw(st.sampled_from([Outcome.DONE, UNKNOWN])))]
    marks: list[str | Absent] = [ABSENT, "new"]
    for place, (began_s, ended_s) in enumerate(spans[1:]):
        kind = draw(st.sampled_from([Kind.GET, Kind.GET, Kind.LIST, Kind.CHANGE, Kind.DELETE]))
        outcome = draw(st.sampled_from([Outcome.DONE, Outcome.DONE, UNKNOWN]))
        if kind is Kind.CHANGE:
            marks.append(f"m{place}")
            history.append(change(began_s, ended_s, f"m{place}", outcome=outcome))
        elif kind is Kind.DELETE:
            history.append(delete(began_s, ended_s, outcome=outcome))
        else:
            history.append(operation(kind, began_s, ended_s))
    return [_with_sight(one, draw(st.sampled_from(marks))) for one in history]


def _with_sight(one: Operation, saw: str | Absent) -> Operation:
    if one.kind is Kind.GET:
        return replace(one, saw=saw)
    if one.kind is Kind.LIST:
        return replace(one, key=None, rows={} if isinstance(saw, Absent) else {7: saw}, whole=True)
    return one


@settings(max_examples=1000)
@given(histories())
def test_the_verdict_is_that_of_trying_every_order(history: list[Operation]) -> None:
    """The zones find neither more nor less than the search does."""
    assert (check(history) == []) == can_have_happened(history)
