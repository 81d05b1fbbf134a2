"""Defects of ours, as the operators are told of them."""

from __future__ import annotations

from gateway.rest.context import current
from gateway.telemetry import Log
from gateway.telemetry.log import frames


def report(log: Log, error: BaseException, request_id: str | None = None) -> None:
    """The log gets the places in the code, not the message: that may hold what a caller sent."""
    known_id, passed = request_id or current().request_id, frames(error.__traceback__)
    log.error("defect", request_id=known_id, error=type(error).__name__, frames=passed)
