"""What one request cost the upstream, counted where the calls are made."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway import trace
from gateway.trace import Trace


@dataclass(slots=True)
class Tally:
    """The calls made for one request, and the time in seconds that they took. `trace` is the request's own span."""

    trace: Trace = field(default_factory=trace.begin)
    calls: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.calls += 1
        self.seconds += seconds
