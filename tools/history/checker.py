"""Whether a history is linearizable: whether each operation can have happened at one instant between its begin and end.

Each record is a register of its own: absent, then what its create and its changes wrote, then absent for ever. A row of
a list is a read of that record, and so is the lack of a row in a list that is whole. That the rows of one list belong
to one instant is not asked: the upstream makes each list, nobody puts one together.

As no two writes write the same, this needs no search. All operations on one mark make a zone. When one of them begins
after another has ended, the mark is held from that end to that begin, so two such zones must not overlap; a mark whose
operations all overlap each other must fit in somewhere outside them.
Source: P. B. Gibbons, E. Korach, "Testing Shared Memories", SIAM Journal on Computing 26(4), 1997.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tools.history.operations import Absent, Kind, Operation, Outcome

NOBODY_WROTE = "a value that nobody wrote"
TOO_EARLY = "a value before it was written"
MADE_TWICE = "one create made two records"
UNBORN = "an operation on a record before it was created"
LOST = "a created record is not there, and nobody deleted it"
CAME_BACK = "a deleted record came back"
OLDER = "older than an answered write"
BACKWARDS = "new, then old"
TAG = "one entity tag for two values"

_Writes = dict[str, Operation]


@dataclass(frozen=True, slots=True)
class Violation:
    """What cannot have happened: the rule that it breaks, of which record, and the few operations that show it."""

    rule: str
    key: int | None
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        record = "" if self.key is None else f" (record {self.key})"
        origin_s = min(one.began_s for one in self.operations)
        return "\n".join([f"{self.rule}{record}:", *(f"  {one.line(origin_s, self.key)}" for one in self.operations)])


@dataclass(slots=True)
class _Zone:
    """The operations on one mark of one record: the one that ended first (`low`) and the one that began last (`high`).

    `low` is None when all that is known is a write that may or may not have happened.
    """

    mark: str
    low: Operation | None = None
    high: Operation | None = None

    def add(self, one: Operation, *, is_open: bool = False) -> None:
        """`is_open`: it has no end, as nobody knows when it takes effect."""
        if not is_open and (self.low is None or one.ended_s < self.low.ended_s):
            self.low = one
        if self.high is None or one.began_s > self.high.began_s:
            self.high = one

    @property
    def low_s(self) -> float:
        return math.inf if self.low is None else self.low.ended_s

    @property
    def high_s(self) -> float:
        return -math.inf if self.high is None else self.high.began_s

    @property
    def is_held(self) -> bool:
        return self.low_s < self.high_s


@dataclass(slots=True)
class _Register:
    """What is known of one record. `deletes` are those that may have happened; `absences` what did not find it."""

    key: int
    create: Operation | None = None
    zones: dict[str, _Zone] = field(default_factory=dict)
    deletes: list[Operation] = field(default_factory=list)
    absences: list[Operation] = field(default_factory=list)

    def zone(self, mark: str) -> _Zone:
        return self.zones.setdefault(mark, _Zone(mark))


class _Lists:
    """The whole lists in the order in which they began."""

    def __init__(self, history: Sequence[Operation]) -> None:
        self._lists = sorted((one for one in history if one.rows is not None and one.whole), key=_began_s)
        self._begins_s = [one.began_s for one in self._lists]

    def without(self, key: int, after_s: float, until_s: float) -> Iterator[Operation]:
        """Those that began after `after_s`, but not after `until_s`, and do not show the record."""
        for place in range(bisect_right(self._begins_s, after_s), bisect_right(self._begins_s, until_s)):
            one = self._lists[place]
            if one.rows is not None and key not in one.rows:
                yield one


def check(history: Sequence[Operation]) -> list[Violation]:
    """Everything in a history that cannot have happened; nothing when it is linearizable."""
    writes = {one.wrote: one for one in history if one.wrote is not None}
    registers, lists = _registers(history), _Lists(history)
    found = list(_made_twice(registers, writes))
    for register in registers.values():
        found += _check(register, writes, lists)
    return [*(_explained(one, registers, writes) for one in found), *_ambiguous_tags(history)]


def _began_s(one: Operation) -> float:
    return one.began_s


def _registers(history: Sequence[Operation]) -> dict[int, _Register]:
    registers: dict[int, _Register] = {}
    for one in history:
        for key, saw in _seen(one):
            register = registers.setdefault(key, _Register(key))
            if isinstance(saw, Absent):
                register.absences.append(one)
            else:
                register.zone(saw).add(one)
        if one.key is not None and one.outcome is not Outcome.NOT_DONE:
            _note_write(registers.setdefault(one.key, _Register(one.key)), one)
    return registers


def _note_write(register: _Register, one: Operation) -> None:
    if one.kind is Kind.DELETE:
        register.deletes.append(one)
    elif one.kind is Kind.CREATE:
        register.create = one
    if one.wrote is not None and one.outcome is Outcome.DONE:
        register.zone(one.wrote).add(one)


def _seen(one: Operation) -> Iterator[tuple[int, str | Absent]]:
    if one.rows is not None:
        yield from one.rows.items()
    elif one.key is not None and one.saw is not None:
        yield one.key, one.saw


def _made_twice(registers: dict[int, _Register], writes: _Writes) -> Iterator[Violation]:
    """Finds each record's create on the way: a caller may have learnt of it from a list alone."""
    made: dict[str, _Zone] = {}
    for register in registers.values():
        for mark, zone in register.zones.items():
            write = writes.get(mark)
            if write is None or write.kind is not Kind.CREATE:
                continue
            register.create = write
            other = made.setdefault(mark, zone)
            if other is not zone:
                yield _violation(MADE_TWICE, register.key, write, other.low, zone.low)


def _check(register: _Register, writes: _Writes, lists: _Lists) -> Iterator[Violation]:
    impossible = list(_impossible_values(register, writes))
    yield from impossible
    create = register.create
    if impossible or create is None or create.wrote is None:
        return
    zones = [zone for zone in register.zones.values() if zone.low is not None]
    for zone in zones:
        write = writes[zone.mark]
        zone.add(write, is_open=write.outcome is Outcome.UNKNOWN)
    early = [zone.low for zone in zones if zone.low is not None and zone.low_s < create.began_s]
    early += [one for one in register.deletes if one.outcome is Outcome.DONE and one.ended_s < create.began_s]
    yield from (_violation(UNBORN, register.key, create, one) for one in early)
    if zones:
        yield from _check_death(register, zones, lists)
        yield from _check_zones(register.key, zones, create.wrote, writes)


def _impossible_values(register: _Register, writes: _Writes) -> Iterator[Violation]:
    for mark, zone in register.zones.items():
        write = writes.get(mark)
        if write is None or write.outcome is Outcome.NOT_DONE or write.key not in (None, register.key):
            if write is None or write.kind is not Kind.CREATE or write.outcome is Outcome.NOT_DONE:
                yield _violation(NOBODY_WROTE, register.key, write, zone.low)
        elif zone.low_s < write.began_s:
            yield _violation(TOO_EARLY, register.key, zone.low, write)


def _check_death(register: _Register, zones: Sequence[_Zone], lists: _Lists) -> Iterator[Violation]:
    """Once a record was seen, not to find it means that it is deleted, and so it stays."""
    born = min(zones, key=lambda zone: zone.low_s)
    last = max(zones, key=lambda zone: zone.high_s)
    delete = min(register.deletes, key=_began_s, default=None)
    until_s = max(last.high_s, math.inf if delete is None else delete.began_s)
    missed = [one for one in register.absences if one.began_s > born.low_s]
    missed += lists.without(register.key, born.low_s, until_s)
    death = min(missed, key=_ended_s, default=None)
    if death is not None and (delete is None or death.ended_s < delete.began_s):
        yield _violation(LOST, register.key, born.low, death)
        return
    done = [one for one in register.deletes if one.outcome is Outcome.DONE]
    death = min([*missed, *done], key=_ended_s, default=None)
    if death is not None and last.high_s > death.ended_s:
        yield _violation(CAME_BACK, register.key, delete, death, last.high)


def _ended_s(one: Operation) -> float:
    return one.ended_s


def _check_zones(key: int, zones: Sequence[_Zone], first: str, writes: _Writes) -> Iterator[Violation]:
    """The mark of the create is held from the beginning."""
    held = sorted(
        (
            (-math.inf if zone.mark == first else zone.low_s, zone)
            for zone in zones
            if zone.is_held or zone.mark == first
        ),
        key=lambda pair: pair[0],
    )
    latest = None
    for _, zone in held:
        if latest is not None and zone.low_s < latest.high_s:
            yield _conflict(key, latest, zone, writes)
        if latest is None or zone.high_s > latest.high_s:
            latest = zone
    lows_s = [low_s for low_s, _ in held]
    for zone in zones:
        place = bisect_left(lows_s, zone.high_s) - 1
        if zone.is_held or zone.mark == first or place < 0:
            continue
        around = held[place][1]
        if zone.low_s < around.high_s:
            yield _conflict(key, around, zone, writes)


def _conflict(key: int, old: _Zone, new: _Zone, writes: _Writes) -> Violation:
    """`old` came up again when `new` was there already."""
    rule = OLDER if new.low is writes[new.mark] else BACKWARDS
    return _violation(rule, key, writes[old.mark], old.low, writes[new.mark], new.low, new.high, old.high)


def _violation(rule: str, key: int | None, *operations: Operation | None) -> Violation:
    shown = {one.number: one for one in operations if one is not None}
    return Violation(rule, key, tuple(sorted(shown.values(), key=_began_s)))


def _explained(violation: Violation, registers: dict[int, _Register], writes: _Writes) -> Violation:
    """With the create of the record, and the writes of all marks that are seen: then it shows the same by itself."""
    key = violation.key
    if key is None:
        return violation
    seen = [saw for one in violation.operations for at, saw in _seen(one) if at == key]
    sources = [writes.get(saw) for saw in seen if isinstance(saw, str)]
    return _violation(violation.rule, key, registers[key].create, *sources, *violation.operations)


def _ambiguous_tags(history: Sequence[Operation]) -> Iterator[Violation]:
    first: dict[str, Operation] = {}
    for one in history:
        if one.tag is None:
            continue
        other = first.setdefault(one.tag, one)
        if (other.saw, other.rows) != (one.saw, one.rows):
            yield _violation(TAG, one.key, other, one)
