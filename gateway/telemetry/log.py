"""The log: one JSON line an event."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, BinaryIO, Protocol

import msgspec
import structlog

_FRAMES_MAX = 12


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
    lazy = structlog.wrap_logger(
        structlog.BytesLogger(stream or sys.stdout.buffer),
        processors=[_render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
    )
    log: Log = lazy.bind()  # once: the lazy one would bind anew for every line
    return log


def _render(_logger: object, level: str, facts: structlog.typing.EventDict) -> bytes:
    return line({"time": datetime.now(UTC), "level": level, "event": facts.pop("event"), **facts})


def line(facts: Mapping[str, Any]) -> bytes:
    """One line of the log, without its end; its `time` is an instant in UTC.

    A lone surrogate has no bytes in UTF-8; the standard library writes it as an escape instead of failing.
    """
    told = {**facts, "time": facts["time"].isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    try:
        return msgspec.json.encode(told, enc_hook=str)
    except UnicodeEncodeError:
        return json.dumps(told, default=str).encode()


def frames(trace: TracebackType | None) -> list[str]:
    """The innermost places in the code that an error passed. No messages: they may hold what a caller sent."""
    passed = traceback.extract_tb(trace)[-_FRAMES_MAX:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in passed]
