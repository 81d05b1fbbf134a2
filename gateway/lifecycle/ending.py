"""How a gateway ends: it says that it will, serves until others have turned away from it, and then lets go."""

from __future__ import annotations

import signal
from typing import Any

from gateway import draining
from gateway.lifecycle import listening
from gateway.telemetry import Log


def drain_before_end(arbiter: Any, drain_s: float, log: Log) -> None:
    """Puts `drain_s` seconds of draining between a TERM and what gunicorn's arbiter does about it.

    A second TERM ends the draining, and so do INT and QUIT, which the arbiter obeys as ever. The arbiter handles its
    signals one after the other in its main loop, so here everything may be done that a signal handler must not do.
    """
    end = arbiter.handle_term

    def handle_term() -> None:
        if drain_s == 0 or draining.has_begun():
            if _owns_listeners(arbiter):
                listening.refuse(arbiter.LISTENERS)
            end()
            return
        draining.begin()
        log.info("draining", drain_s=drain_s)
        signal.signal(signal.SIGALRM, lambda _number, frame: arbiter.signal(signal.SIGTERM, frame))
        signal.setitimer(signal.ITIMER_REAL, drain_s)

    arbiter.handle_term = handle_term


def _owns_listeners(arbiter: Any) -> bool:
    """Not when it has handed them on to its successor (USR2), or has them from systemd."""
    return arbiter.reexec_pid == 0 and arbiter.master_pid == 0 and not arbiter.systemd
