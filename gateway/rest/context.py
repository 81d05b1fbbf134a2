"""What is known about the request in hand, from its first byte to its log line."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from flask import g

from gateway.errors import GatewayError


@dataclass(slots=True)
class RequestContext:
    """`operation` is None where no resource's was matched, `route` where none was; `error` is what the request failed
    with."""

    request_id: str
    method: str
    route: str | None
    operation: str | None = None
    error: GatewayError | None = None
    started_s: float = field(default_factory=time.monotonic)

    @property
    def writes(self) -> bool:
        """Whether the request asks for a change."""
        return self.method in ("POST", "PUT", "PATCH", "DELETE")

    def duration_ms(self) -> float:
        return round((time.monotonic() - self.started_s) * 1000, 3)


def current() -> RequestContext:
    """The context of the request being served."""
    context: RequestContext = g.context
    return context
