"""A bound on the calls in flight, so that a slow upstream cannot take every thread of a process."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext

from gateway.deadline import Deadline
from gateway.errors import Overloaded
from gateway.telemetry.metrics import Counter, Gauge
from gateway.upstream.decoding import Node
from gateway.upstream.remote import Remote
from gateway.upstream.transport import Call
from gateway.waiting import acquired


class Bulkhead:
    """At most `in_flight_max` at a time; who comes later waits at most `wait_s` seconds, and not past its deadline.

    `refused` counts those who waited in vain, `waiting` shows those who wait.
    """

    def __init__(
        self, in_flight_max: int, wait_s: float, refused: Counter | None = None, waiting: Gauge | None = None
    ) -> None:
        self._places = threading.Semaphore(in_flight_max)
        self._held = _Held(self._places)
        self._wait_s = wait_s
        self._refused = refused
        self._waiting = waiting

    def place(self, deadline: Deadline | None = None) -> AbstractContextManager[None]:
        """A place, to be held by a `with` at once. Raises `Overloaded` when none gets free in time."""
        if self._places.acquire(blocking=False) or self._wait(deadline):
            return self._held
        if self._refused is not None:
            self._refused.inc()
        raise Overloaded("The gateway has as many requests in hand as it can take.", retry_after_s=1)

    def _wait(self, deadline: Deadline | None) -> bool:
        """Whether a place got free in time."""
        left_s = self._wait_s if deadline is None else min(self._wait_s, deadline.remaining_s())
        with nullcontext() if self._waiting is None else self._waiting.track_inprogress():
            return acquired(self._places, left_s)

    def around(self, remote: Remote) -> Remote:
        """The remote procedure call, made in a place."""

        def call_in_place(call: Call) -> Node:
            with self.place(call.deadline):
                return remote(call)

        return call_in_place


class _Held:
    """A place that has been taken, and is given back at the end of the block."""

    __slots__ = ("_places",)

    def __init__(self, places: threading.Semaphore) -> None:
        self._places = places

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._places.release()
