"""Whether a failed call is sent again, and when.

Decided by the RPC method's nature and the RPC outcome: reads may be repeated after anything that passes, a delete or a
plain update too, a create only when nothing can have reached the upstream.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from gateway import waiting
from gateway.errors import CircuitOpen, NotSent, Overloaded, RecordNotFound, RpcOutcome, UpstreamError, Written
from gateway.telemetry import Metrics
from gateway.upstream.decoding import Node
from gateway.upstream.remote import Remote
from gateway.upstream.transport import Call, Repeat

ATTEMPTS_MAX = 3
_BACKOFF_BASE_S = 0.05
_BACKOFF_MAX_S = 1.0


class Budget:
    """How many repetitions there may be: a share of the calls, so that an outage is not made worse by hope.

    Each call earns `share` of a repetition, saved up to `most`; `reserve` is there from the start, so that the first
    hiccup of a quiet process is not answered with an error.
    """

    def __init__(self, share: float = 0.1, most: float = 10.0, reserve: float = 3.0) -> None:
        self._share = share
        self._most = most
        self._left = reserve
        self._lock = threading.Lock()

    def earn(self) -> None:
        with self._lock:
            self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        """False: nothing is left."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


def may_repeat(call: Call, error: UpstreamError) -> bool:
    """Whether sending this call again, after this error, does no harm and may help."""
    if error.final or call.repeat is Repeat.NEVER:
        return False
    if error.outcome is RpcOutcome.NOT_SENT:
        return True
    return error.outcome in (RpcOutcome.UNKNOWN, RpcOutcome.UPSTREAM_ERROR) and call.repeat is not Repeat.IF_UNSENT


def backoff_s(attempts: int) -> float:
    """A wait before the next attempt, with full jitter: callers that failed together do not come back together."""
    return random.uniform(0, min(_BACKOFF_MAX_S, _BACKOFF_BASE_S * 2**attempts))


def retrying(remote: Remote, budget: Budget, metrics: Metrics, wait: Callable[[float], None] = waiting.sleep) -> Remote:
    """Repeats failed calls within their deadline and the budget.

    A write that failed after an attempt which may have been applied says so (`written`), whatever the last attempt met;
    and a record that is not found then was perhaps deleted by us (`RecordNotFound.in_doubt`).
    """

    def call_retrying(call: Call) -> Node:
        budget.earn()
        attempts, doubt = 0, None
        while True:
            try:
                return remote(call)
            except UpstreamError as error:
                attempts += 1
                if doubt is None and error.written is Written.UNKNOWN and call.repeat is not Repeat.READ:
                    doubt = error
                pause_s = max(backoff_s(attempts), float(error.retry_after_s or 0))
                worthwhile = attempts < ATTEMPTS_MAX and pause_s < call.deadline.remaining_s()
                if not (may_repeat(call, error) and worthwhile and budget.spend()):
                    if doubt is None or doubt is error:
                        raise
                    raise _told_in_doubt(error, doubt) from None
            metrics.retries.labels(call.method).inc()
            wait(pause_s)

    return call_retrying


def _told_in_doubt(last: UpstreamError, doubt: UpstreamError) -> UpstreamError:
    """The last error of a write whose earlier attempt ended in doubt. One that says nothing was sent would deceive, so
    the doubt itself is told instead."""
    if isinstance(last, RecordNotFound):
        last.in_doubt = True
    told = doubt if isinstance(last, NotSent | CircuitOpen | Overloaded) else last
    told.written = Written.UNKNOWN
    return told
