"""The notice that this gateway is about to end, for all its processes at once."""

from __future__ import annotations

import functools
import mmap


class Draining:
    """Not begun at first, and never taken back. Processes that are forked from this one share it."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def begin(self) -> None:
        """Takes effect in every process with its next look. Does nothing that a signal handler must not do."""
        self._byte[0] = 1

    @property
    def has_begun(self) -> bool:
        return self._byte[0] == 1


@functools.cache
def shared() -> Draining:
    """The one of this process and all that are forked from it after the first call."""
    return Draining()
