"""Threads that take jobs from one queue: what gunicorn's executor does, without a future for every job."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class Pool:
    """`size` threads. A job must not raise. The threads do not keep the process from ending."""

    def __init__(self, size: int) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.put = self._jobs.put
        self._size = size
        for number in range(size):
            threading.Thread(target=self._work, name=f"request-{number}", daemon=True).start()

    def shutdown(self, wait: bool = False) -> None:
        """Ends each thread after the jobs that are there; named as gunicorn calls it."""
        for _ in range(self._size):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
