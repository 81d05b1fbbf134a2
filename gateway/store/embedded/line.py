"""The line in which batches wait to be written, and how each of them ends."""

from __future__ import annotations

import threading
from collections import deque

from gateway.store.embedded.room import Batch
from gateway.store.interface import Applied

_TOGETHER_WRITES_MAX = 32
_TOGETHER_BYTES_MAX = 1 << 15
"""What is written in one transaction, if it is more than one batch: not much more of the file is touched at most than
by one (`Room.reach_bytes`)."""


class Pending:
    """A batch in line, and how it ended."""

    __slots__ = ("_applied", "_error", "batch", "ended")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.ended = False
        self._applied: Applied | None = None
        self._error: Exception | None = None

    def end(self, applied: Applied | None, error: Exception | None = None) -> None:
        self._applied, self._error = applied, error
        self.ended = True

    def result(self) -> Applied | None:
        """Raises what it ended with."""
        if self._error is not None:
            raise self._error
        return self._applied


class Line:
    """Batches in the order in which they came. Safe for threads."""

    __slots__ = ("_lock", "_waiting")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Pending] = deque()

    def put(self, batch: Batch) -> Pending:
        pending = Pending(batch)
        with self._lock:
            self._waiting.append(pending)
        return pending

    def take(self) -> list[Pending]:
        """Whoever is first, and with it as much as is written in one transaction; empty when nobody waits."""
        group: list[Pending] = []
        together_bytes = writes_total = 0
        with self._lock:
            while self._waiting:
                batch = self._waiting[0].batch
                together_bytes += batch.written_bytes
                writes_total += len(batch.writes) or 1
                if group and (together_bytes > _TOGETHER_BYTES_MAX or writes_total > _TOGETHER_WRITES_MAX):
                    break
                group.append(self._waiting.popleft())
        return group

    def withdraw(self, pending: Pending) -> bool:
        """Nobody will write it. False: it is in line no more."""
        with self._lock:
            waits = pending in self._waiting
            if waits:
                self._waiting.remove(pending)
        return waits
