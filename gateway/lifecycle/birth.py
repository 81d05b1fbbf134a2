"""The first moment of a worker, in which it still has the signal handlers of its arbiter.

Those only put a signal into the arbiter's queue, so a worker that had them would swallow the order to end, and be
waited for as long as a request may take. gunicorn's own hook in the child comes too late to be the first.
"""

from __future__ import annotations

import os
import signal
from functools import partial

_ENDING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
_hold = partial(signal.pthread_sigmask, signal.SIG_BLOCK, _ENDING)
_let_through = partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, _ENDING)


def obey_from_birth() -> None:
    """From now on every child of this process ends when it is told to, until it has handlers of its own.

    Once in a process, whose main thread is the one that forks and holds back no signals itself: hooks can never be
    taken back.
    """
    os.register_at_fork(before=_hold, after_in_parent=_let_through, after_in_child=_obey)


def _obey() -> None:
    """What came since the fork is waiting, and is obeyed now."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)
    _let_through()
