"""What others log through the standard library, as lines of our log."""

from __future__ import annotations

import logging
import os
import re
import sys
from typing import Any

from gateway.telemetry.log import frames, line
from gateway.telemetry.slots import SLOT

_PLACEHOLDER = re.compile(r"\s*%[a-z]")


class LineFormatter(logging.Formatter):
    """A record of the standard library's logging as one line, whose `event` is the program it comes from.

    In a worker, what is said while an error is handled may repeat what a caller sent, a malformed `Authorization`
    header for one. Of such a record only the fixed words, the error's type and the places in the code are told.
    """

    def __init__(self, event: str) -> None:
        super().__init__()
        self._event = event

    def format(self, record: logging.LogRecord) -> str:
        kind, _, trace = record.exc_info or sys.exc_info()
        facts: dict[str, Any] = {
            "message": record.getMessage() if kind is None or SLOT not in os.environ else _fixed_words(record),
            "pid": record.process,
        }
        if kind is not None:
            facts |= {"error": kind.__name__, "frames": frames(trace)}
        return line(record.created, record.levelname.lower(), self._event, facts).decode()


def _fixed_words(record: logging.LogRecord) -> str:
    """A template without what would be put into it; of a text that is ready, what stands before the first colon."""
    template = str(record.msg)
    return _PLACEHOLDER.sub("", template if record.args else template.partition(": ")[0])
