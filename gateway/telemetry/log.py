"""The log: one JSON line an event."""

from __future__ import annotations

import functools
import json
import logging
import sys
import time
import traceback
from collections.abc import Mapping
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
    return line(time.time(), level, facts.pop("event"), facts)


def line(at_s: float, level: str, event: str, facts: Mapping[str, Any]) -> bytes:
    """One line of the log, without its end, about something at `at_s` seconds since 1970.

    A lone surrogate has no bytes in UTF-8; the standard library writes it as an escape instead of failing.
    """
    told = {"time": _instant(at_s), "level": level, "event": event, **facts}
    try:
        return msgspec.json.encode(told, enc_hook=str)
    except UnicodeEncodeError:
        return json.dumps(told, default=str).encode()


def _instant(at_s: float) -> str:
    """In UTC, to the millisecond."""
    at_ms = int(at_s * 1000)
    return f"{_second(at_ms // 1000)}.{at_ms % 1000:03d}Z"


@functools.lru_cache(maxsize=2)
def _second(at_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s))


def milliseconds(duration_s: float) -> float:
    """A duration in milliseconds, as the log tells it: to the microsecond."""
    return int(duration_s * 1_000_000 + 0.5) / 1000


def frames(trace: TracebackType | None) -> list[str]:
    """The innermost places in the code that an error passed. No messages: they may hold what a caller sent."""
    passed = traceback.extract_tb(trace)[-_FRAMES_MAX:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in passed]
