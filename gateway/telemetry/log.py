"""The log: one JSON line an event."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, BinaryIO, Protocol

import msgspec
import structlog


class Log(Protocol):
    """A structured log: an event and its facts, one JSON line each."""

    def debug(self, event: str, **facts: Any) -> Any: ...
    def info(self, event: str, **facts: Any) -> Any: ...
    def warning(self, event: str, **facts: Any) -> Any: ...
    def error(self, event: str, **facts: Any) -> Any: ...

    def is_enabled_for(self, level: int) -> bool:
        """Whether events of a level, numbered as in `logging`, are written at all."""


def open_log(level: str, stream: BinaryIO | None = None) -> Log:
    """A log that writes to a binary stream; None is the standard output."""
    log: Log = structlog.wrap_logger(
        structlog.BytesLogger(stream or sys.stdout.buffer),
        processors=[structlog.processors.add_log_level, _add_time, _render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
    )
    return log


def _add_time(_logger: object, _name: str, facts: structlog.typing.EventDict) -> structlog.typing.EventDict:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"time": now, **facts}


def _render(_logger: object, _name: str, facts: structlog.typing.EventDict) -> bytes:
    """A lone surrogate has no bytes in UTF-8; the standard library writes it as an escape instead of failing."""
    try:
        return msgspec.json.encode(facts, enc_hook=str)
    except UnicodeEncodeError:
        return json.dumps(facts, default=str).encode()
