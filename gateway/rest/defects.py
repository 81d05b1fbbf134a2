"""Defects of ours, as the operators are told of them."""

from __future__ import annotations

import traceback

from gateway.rest.context import current
from gateway.telemetry import Log

_FRAMES = 12


def report(log: Log, error: Exception, request_id: str | None = None) -> None:
    """The log gets the places in the code, not the message: that may hold what a caller sent."""
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error(
        "defect", request_id=request_id or current().request_id, error=type(error).__name__, frames=frames[-_FRAMES:]
    )
