"""US/Eastern wall time by the rule of the law, against the time zone database."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.clock import eastern, is_wall_time

FIRST_YEAR_OF_THE_RULE = datetime(2007, 1, 1, tzinfo=UTC).timestamp()
LAST = datetime(2036, 12, 31, tzinfo=UTC).timestamp()


def expected(instant_s: float) -> str:
    return datetime.fromtimestamp(int(instant_s), ZoneInfo("America/New_York")).strftime("%Y-%m-%d %H:%M:%S")


@given(st.floats(FIRST_YEAR_OF_THE_RULE, LAST))
def test_any_instant(instant_s: float) -> None:
    assert eastern(instant_s) == expected(instant_s)


@pytest.mark.parametrize("year", range(2007, 2037))
def test_the_seconds_around_a_change_of_the_clocks(year: int) -> None:
    """Every hour of the two months in which the clocks change, and the second before it."""
    for month in (3, 11):
        start = int(datetime(year, month, 1, tzinfo=UTC).timestamp())
        for instant_s in range(start, start + 15 * 86400, 3600):
            assert eastern(instant_s) == expected(instant_s)
            assert eastern(instant_s - 1) == expected(instant_s - 1)


@pytest.mark.parametrize("text", ["2009-08-12 09:00:00", "2009-08-12", "0000-00-00 00:00:00"])
def test_wall_times(text: str) -> None:
    assert is_wall_time(text)


@pytest.mark.parametrize("text", ["", "2009", "2009-13-01", "2009-08-12T09:00:00", "2009-08-12 09:00", "20090812", "x"])
def test_what_is_no_wall_time(text: str) -> None:
    assert not is_wall_time(text)
