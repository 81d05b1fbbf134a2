"""Tasks of a loop: code written for threads, each of which leaves the loop's thread to the others while it waits.

The only importer of greenlet. A task that does not wait by `gateway.waiting` holds up the loop.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from greenlet import getcurrent, greenlet

from gateway import waiting
from gateway.edge.poller import Poller
from gateway.waiting import HasFileno

_STALE_TIMERS_MAX = 1024
_IDLE_MAX = 64


class _Wait:
    """A suspended task, what it waits for, and until when."""

    __slots__ = ("file", "is_over", "task", "until_s")

    def __init__(self, task: greenlet, file: HasFileno | None, until_s: float) -> None:
        self.task = task
        self.file = file
        self.until_s = until_s
        self.is_over = False


class Tasks:
    """The tasks of the loop that waits with `poller`, all run by the thread that made this."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._loop = getcurrent()
        self._new: list[Callable[[], None]] = []
        self._idle: list[greenlet] = []
        self._giving_way: deque[greenlet] = deque()
        self._timers: list[tuple[float, int, _Wait]] = []
        self._numbers = itertools.count()
        self._waits_total = 0

    def start(self, run: Callable[[], None]) -> None:
        """Runs it as a task at the next `go_on`. It must not raise."""
        self._new.append(run)

    def wait_s(self, most_s: float | None) -> float | None:
        """For how many seconds the loop may wait at most; None: for ever."""
        if self._new:
            return 0.0
        if not self._timers:
            return most_s
        next_s = max(self._timers[0][0] - time.monotonic(), 0.0)
        return next_s if most_s is None else min(next_s, most_s)

    def go_on(self) -> None:
        """Goes on with what has waited for long enough, begins what is new, and goes on with what gave way to those."""
        self._end_waits()
        while self._new or self._giving_way:
            new, self._new = self._new, []
            for run in new:
                self._run(self._idle.pop() if self._idle else greenlet(self._work, self._loop), run)
            for _ in range(len(self._giving_way)):
                self._run(self._giving_way.popleft(), True)

    def _work(self, run: Callable[[], None]) -> None:
        """What a task's stack does: one task after the other, for making a stack costs more than keeping a few."""
        while True:
            run()
            if len(self._idle) >= _IDLE_MAX:
                return
            self._idle.append(getcurrent())
            run = self._loop.switch()

    def _run(self, task: greenlet, argument: Callable[[], None] | bool) -> None:
        waiting.suspending(self._suspend)
        try:
            task.switch(argument)
        finally:
            waiting.suspending(None)

    def _suspend(self, file: HasFileno | None, event: int, timeout_s: float) -> bool:
        if file is None and timeout_s <= 0:
            self._giving_way.append(getcurrent())
            return bool(self._loop.switch())
        wait = _Wait(getcurrent(), file, time.monotonic() + timeout_s)
        if file is not None:
            self._poller.register_once(file, event, partial(self._is_ready, wait))
        heapq.heappush(self._timers, (wait.until_s, next(self._numbers), wait))
        self._waits_total += 1
        return bool(self._loop.switch())

    def _is_ready(self, wait: _Wait, _file: HasFileno) -> None:
        if not wait.is_over:
            wait.file = None
            self._resume(wait, True)

    def _resume(self, wait: _Wait, is_ready: bool) -> None:
        if wait.is_over:
            return
        wait.is_over = True
        self._waits_total -= 1
        if wait.file is not None:
            self._poller.unregister(wait.file)
        self._run(wait.task, is_ready)

    def _end_waits(self) -> None:
        now_s = time.monotonic()
        while self._timers and (self._timers[0][0] <= now_s or self._timers[0][2].is_over):
            self._resume(heapq.heappop(self._timers)[2], False)
        if len(self._timers) > _STALE_TIMERS_MAX + 2 * self._waits_total:
            self._timers = [timer for timer in self._timers if not timer[2].is_over]
            heapq.heapify(self._timers)
