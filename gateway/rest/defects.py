"""Defects of ours, as the operators are told of them."""

from __future__ import annotations

from gateway.rest.context import current
from gateway.telemetry import Log
from gateway.telemetry.log import frames


def report(log: Log, error: Exception) -> None:
    """The log gets the places in the code, not the message: that may hold what a caller sent."""
    passed = frames(error.__traceback__)
    log.error("defect", request_id=current().request_id, error=type(error).__name__, frames=passed)
