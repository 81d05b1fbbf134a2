"""The first moment of a worker, in which it still has the signal handlers of its arbiter.

Those only put a signal into the arbiter's queue, so a worker that had them would swallow the order to end, and be
waited for as long as a request may take. gunicorn's own hook in the child comes too late to be the first.
"""

from __future__ import annotations

import os
import signal
from functools import partial

_ENDING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


def obey_from_birth() -> None:
    """From now on every child of this process ends when it is told to, until it has handlers of its own.

    Once in a process, whose main thread is the one that forks: hooks can never be taken back.
    """
    masks: list[set[int]] = []
    os.register_at_fork(
        before=lambda: masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)),
        after_in_parent=lambda: _unmask(masks),
        after_in_child=partial(_obey, masks),
    )


def _unmask(masks: list[set[int]]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop())


def _obey(masks: list[set[int]]) -> None:
    """What came since the fork is waiting, and is obeyed now."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    _unmask(masks)
