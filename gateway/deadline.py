"""The instant at which a caller's request must be answered."""

from __future__ import annotations

import time

import msgspec


class Deadline(msgspec.Struct, frozen=True, gc=False):
    """An instant on the monotonic clock, shared by every step of one request."""

    at_s: float

    @classmethod
    def after(cls, duration_s: float) -> Deadline:
        """The instant `duration_s` seconds from now."""
        return cls(time.monotonic() + duration_s)

    def remaining_s(self) -> float:
        """Seconds left, never below zero."""
        left_s = self.at_s - time.monotonic()
        return left_s if left_s > 0 else 0.0

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self.at_s
