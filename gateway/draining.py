"""The notice that this gateway is about to end, for all its processes at once. Never taken back."""

from __future__ import annotations

import functools
import mmap


def share() -> None:
    """From now on, processes that are forked from this one share the notice with it."""
    _byte()


def begin() -> None:
    """Takes effect in every process with its next look."""
    _byte()[0] = 1


def has_begun() -> bool:
    return _byte()[0] == 1


@functools.cache
def _byte() -> mmap.mmap:
    return mmap.mmap(-1, 1)
