"""What callers did, as a history: every operation with its interval, what it wrote and what it saw.

Every write puts a mark into the record that no other write uses, so whatever is read tells which write it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What an operation does to the record, or to the list of all records of the history."""

    GET = "get"
    LIST = "list"
    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


class Outcome(Enum):
    """What a write came to, as its caller was told. `UNKNOWN`: it may take effect at any time, or never."""

    DONE = "done"
    NOT_DONE = "not done"
    UNKNOWN = "unknown"


class Absent(Enum):
    """What is seen of a record that is not there, or no longer."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return self.value


ABSENT = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of one caller, from `began_s` to `ended_s` on a clock that all callers share.

    `key` is None for lists, and for creates whose id the caller never learnt. `wrote` is the mark that a create or
    change puts into the record. `saw` is what the answer showed of the record: a mark, `ABSENT`, or None for nothing;
    of a list it is `rows`, marks by id, and `whole` says that what is not among them is not there.
    `tag` is the entity tag that came with what was seen. `how` is for people.
    """

    number: int
    kind: Kind
    key: int | None
    began_s: float
    ended_s: float
    outcome: Outcome = Outcome.DONE
    wrote: str | None = None
    saw: str | Absent | None = None
    rows: Mapping[int, str] | None = field(default=None, repr=False)
    whole: bool = False
    tag: str | None = None
    how: str = ""

    def line(self, origin_s: float = 0.0, key: int | None = None) -> str:
        """One line for people, times in milliseconds since `origin_s`; of a list what concerns `key`."""
        saw = self.saw if self.rows is None or key is None else self.rows.get(key, ABSENT)
        parts = [
            f"#{self.number:<6}",
            f"{(self.began_s - origin_s) * 1000:10.3f} .. {(self.ended_s - origin_s) * 1000:10.3f} ms",
            f"{self.kind.value:<6}",
            f"{'' if self.key is None else self.key!s:<6}",
            f"wrote {self.wrote} ({self.outcome.value})" if self.wrote else "",
            f"({self.outcome.value})" if self.kind is Kind.DELETE else "",
            f"saw {saw!r}" if saw is not None else "",
            self.how,
        ]
        return "  ".join(part for part in parts if part.strip())
