"""A deadline is an instant, the same one for every step."""

from __future__ import annotations

import time

from gateway.deadline import Deadline


def test_a_deadline_ahead_has_time_left_and_not_more_than_was_given() -> None:
    """Asked again, there is not more of it."""
    deadline = Deadline.after(100)
    first, second = deadline.remaining_s(), deadline.remaining_s()
    assert 100 >= first >= second > 0
    assert not deadline.passed


def test_a_deadline_behind_has_nothing_left() -> None:
    """Never a negative duration, which a socket would refuse."""
    deadline = Deadline(time.monotonic() - 1)
    assert deadline.remaining_s() == 0
    assert deadline.passed


def test_a_deadline_of_no_time_has_passed() -> None:
    """Its own instant counts as passed."""
    assert Deadline.after(0).passed
