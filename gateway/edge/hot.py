"""Answers from the cache at once, with what was worked out for the last one of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.edge.wire import Form
from gateway.policy.copies import Copy

SnapshotId = tuple[int, int]


class Snapshot(Protocol):
    """The cache's store at one instant. `id` is the same for two only if nothing was written in between."""

    id: SnapshotId

    def values(self, keys: Sequence[bytes], now_s: float) -> list[bytes | None]:
        """The live values under keys; None also for what takes more than one look. Raises `StoreError`."""

    def close(self) -> None: ...


TakeSnapshot = Callable[[], Snapshot]
"""Raises `StoreError`."""


class Uncounted:
    """How many answers of one kind have not been counted yet."""

    __slots__ = ("kind", "total")

    def __init__(self, operation: str, route: str, status: int) -> None:
        self.kind = (operation, route, status)
        self.total = 0


@dataclass(slots=True, eq=False)
class Hot:
    """An answer from a copy that is at hand until `until_s`, as long as the store holds the same.

    `seen` is when it was last known to do so. In another `second` than this one, the answer says another age.
    """

    found: list[bytes | None]
    seen: SnapshotId
    until_s: float
    copy: Copy
    second: int
    form: Form
    uncounted: Uncounted

    @property
    def bytes_total(self) -> int:
        """About what it holds in memory."""
        held = (*self.found, self.copy.content.body, self.form.before, self.form.after)
        return sum(len(one) for one in held if one is not None)
