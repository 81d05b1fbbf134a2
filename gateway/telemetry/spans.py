"""What is told to whoever collects traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from gateway.trace import Trace

Facts = Mapping[str, str | int]


class Time(NamedTuple):
    """From when (seconds of `time.monotonic`) and for how long."""

    started_s: float
    duration_s: float


class Spans(Protocol):
    """Takes spans that have just ended. Neither waits nor fails, whatever becomes of the collector."""

    def served(self, trace: Trace, name: str, taken: Time, facts: Facts, *, failed: bool) -> None:
        """A request that a caller sent, answered now."""

    def called(self, trace: Trace, name: str, taken: Time, facts: Facts, *, failed: bool) -> None:
        """A call to the upstream, over now."""

    def close(self) -> None:
        """Sends what is left, for a bounded time."""
