"""US/Eastern wall time by the law's rule itself, so that no time zone database is needed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

ZERO_DATE = "0000-00-00 00:00:00"
_FORMAT = "%Y-%m-%d %H:%M:%S"


def eastern(instant_s: float) -> str:
    """The wall time in New York at a Unix time, with no zone written.

    Source: documentation: `updated` is US/Eastern with daylight saving. The rule is that of 2007 onwards:
    from the second Sunday of March to the first Sunday of November, at two o'clock.
    """
    utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(instant_s // 1))
    return (utc - timedelta(hours=4 if _is_daylight_saving(utc) else 5)).strftime(_FORMAT)


def now_eastern(offset_s: float = 0) -> str:
    return eastern(time.time() + offset_s)


def is_wall_time(text: str) -> bool:
    """`YYYY-MM-DD HH:MM:SS`, a bare date, or the zero date."""
    if text == ZERO_DATE:
        return True
    try:
        return datetime.fromisoformat(text).strftime(_FORMAT)[: len(text)] == text and len(text) in (10, 19)
    except ValueError:
        return False


def http_date() -> str:
    return datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def _is_daylight_saving(utc: datetime) -> bool:
    begin = _sunday(utc.year, 3, 2) + timedelta(hours=7)
    end = _sunday(utc.year, 11, 1) + timedelta(hours=6)
    return begin <= utc < end


def _sunday(year: int, month: int, nth: int) -> datetime:
    first = datetime(year, month, 1, tzinfo=UTC)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (nth - 1))
