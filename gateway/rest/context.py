"""What is known about the request in hand, from its first byte to its log line."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from flask import g

from gateway.errors import GatewayError
from gateway.telemetry.tally import Tally


@dataclass(slots=True)
class RequestContext:
    """`operation` is None where no resource's was matched, `route` where none was; `error` is what the request failed
    with. `status` is 0 until there is an answer. `cache` is what the cache did: None where it was not asked, or had no
    part in the answer. `tally` has the request's trace and what its calls to the upstream took.
    """

    request_id: str
    method: str
    path: str
    route: str | None
    tally: Tally = field(default_factory=Tally)
    operation: str | None = None
    error: GatewayError | None = None
    status: int = 0
    cache: str | None = None
    started_s: float = field(default_factory=time.monotonic)

    @property
    def writes(self) -> bool:
        """Whether the request asks for a change."""
        return self.method in ("POST", "PUT", "PATCH", "DELETE")


def current() -> RequestContext:
    """The context of the request being served."""
    context: RequestContext = g.context
    return context
