"""Waiting that knows who waits: a thread just does; a task of a loop lets the loop's other tasks go on meanwhile.

Code that may run in either says here what it waits for. Who runs tasks says how one is suspended (`suspending`).
"""

from __future__ import annotations

import select
import selectors
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import Any, Protocol

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_POLLED = {READ: select.POLLIN, WRITE: select.POLLOUT}
_LOOK_AGAIN_S = 0.002


class HasFileno(Protocol):
    def fileno(self) -> int: ...


Suspend = Callable[[HasFileno | None, int, float], bool]
"""Suspends the running task until the file is ready for the event, or for so many seconds; whether the file is ready.

Without a file, just for so many seconds; for none, until all others that can go on have done so.
"""


class _Running(threading.local):
    """What runs in a thread now: a task that `suspend` suspends; None: no task."""

    suspend: Suspend | None = None


_running = _Running()


def suspending(suspend: Suspend | None) -> None:
    """What this thread runs from now on is a task that is suspended so; None: is no task any more."""
    _running.suspend = suspend


def ready(file: HasFileno, event: int, timeout_s: float) -> bool:
    """Whether a file is ready to be read (`READ`) or written (`WRITE`) within that time, or has failed."""
    suspend = _running.suspend
    if suspend is not None:
        return suspend(file, event, timeout_s)
    poll = select.poll()
    poll.register(file, _POLLED[event])
    return bool(poll.poll(max(timeout_s, 0) * 1000))


def sleep(duration_s: float) -> None:
    suspend = _running.suspend
    if suspend is not None:
        suspend(None, 0, duration_s)
    else:
        time.sleep(duration_s)


def give_way() -> None:
    """A task lets all others of its loop that can go on do so first; a thread just goes on."""
    suspend = _running.suspend
    if suspend is not None:
        suspend(None, 0, 0.0)


def acquired(semaphore: threading.Semaphore, timeout_s: float) -> bool:
    """Whether a place was to be had within that time."""
    if semaphore.acquire(blocking=False):
        return True
    if _running.suspend is None:
        return semaphore.acquire(timeout=timeout_s)
    return _until(lambda: semaphore.acquire(blocking=False), timeout_s)


def done(future: Future[Any], timeout_s: float) -> bool:
    """Whether what another thread does is done within that time."""
    if _running.suspend is None:
        return not wait_for([future], timeout_s).not_done
    return _until(future.done, timeout_s)


def _until(holds: Callable[[], bool], timeout_s: float) -> bool:
    """For a task, and for what nothing tells a loop of."""
    give_up_at_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() >= give_up_at_s:
            return False
        sleep(_LOOK_AGAIN_S)
    return True
