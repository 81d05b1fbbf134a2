"""One fetch at a time for one thing, among all workers: the others wait for it and share its result, failures included.

A flight is named by what is fetched and the stamp it is fetched under, so that nobody joins one that took off before a
write that has been answered since.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec

from gateway import errors
from gateway.deadline import Deadline
from gateway.errors import DeadlinePassed, Fault, RpcOutcome, UpstreamError
from gateway.policy.copies import Content
from gateway.store.errors import StoreError
from gateway.store.interface import Put, Store
from gateway.store.lease import Lease, new_owner

_LIFE_S = 2.0
_BEAT_S = 0.5
"""A flight's lease lasts a short while and is renewed as long as its leader lives, so that a dead one is soon replaced,
well within the deadlines of those who wait."""

_LANDED_TTL_S = 5.0
_PAUSE_MAX_S = 0.02
_SHARED: dict[str, type[UpstreamError]] = {
    kind.code: kind
    for kind in (
        errors.RecordNotFound,
        errors.FieldsRejected,
        errors.ActionRefused,
        errors.CredentialsRejected,
        errors.Throttled,
        errors.UpstreamUnavailable,
        errors.UpstreamFailed,
        errors.GarbledAnswer,
        errors.NotSent,
        errors.AnswerLost,
        errors.CircuitOpen,
    )
}
"""The failures that are the same for everybody. That one caller's deadline passed is not."""


class _Landing(msgspec.Struct, array_like=True):
    """How a flight ended: with a content, or with the error that the code names; without both the others fetch anew."""

    body: bytes | None = None
    etag: str = ""
    pages: int = 0
    code: str = ""
    detail: str = ""
    fault: tuple[int | None, str, str | None] | None = None
    retry_after_s: int | None = None


class Flights:
    """Flights over a store."""

    def __init__(self, store: Store, wait: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._wait = wait
        self._pulse = _Pulse()

    def share(self, name: bytes, deadline: Deadline, fetch: Callable[[], Content]) -> tuple[Content, bool]:
        """The content, and whether another's flight brought it. Raises what the fetch raised, here or elsewhere.

        Raises `DeadlinePassed` when the flight of another does not end in time. Without a store everybody fetches.
        """
        lease = self.lease(name)
        owner = new_owner()
        pause_s = 0.001
        try:
            while not lease.acquire(owner, _LIFE_S):
                landing = self._await_landing(lease, deadline, pause_s)
                if landing is not None:
                    return _content(landing), True
        except StoreError:
            return fetch(), False
        return self._fly(lease, owner, fetch), False

    def lease(self, name: bytes) -> Lease:
        """What the leader of the flight of that name holds."""
        return Lease(self._store, b"flight:" + hashlib.blake2b(name, digest_size=16).digest())

    def _await_landing(self, lease: Lease, deadline: Deadline, pause_s: float) -> _Landing | None:
        """None when the flight ended without a result for others, or its leader died: then take off anew."""
        leader = self._store.get(lease.key)
        while leader is not None:
            landed, present = self._store.get_many([b"landed:" + leader, lease.key])
            if landed is not None:
                landing = msgspec.msgpack.decode(landed, type=_Landing)
                return landing if landing.body is not None or landing.code else None
            if present != leader:
                return None
            if pause_s >= deadline.remaining_s():
                raise DeadlinePassed("The upstream did not answer in time.", sent=True)
            self._wait(random.uniform(pause_s / 2, pause_s))
            pause_s = min(pause_s * 1.5, _PAUSE_MAX_S)
        return None

    def _fly(self, lease: Lease, owner: bytes, fetch: Callable[[], Content]) -> Content:
        landing = _Landing()
        try:
            with self._pulse.of(lease, owner):
                content = fetch()
            landing = _Landing(content.body, content.etag, content.pages)
            return content
        except UpstreamError as error:
            landing = _failure(error)
            raise
        finally:
            self._land(lease, owner, landing)

    def _land(self, lease: Lease, owner: bytes, landing: _Landing) -> None:
        """What is too large for the store cannot be shared; the others take off in turn."""
        with suppress(StoreError):
            self._store.apply([], [Put(b"landed:" + owner, msgspec.msgpack.encode(landing), _LANDED_TTL_S)])
        with suppress(StoreError):
            lease.release(owner)


class _Pulse:
    """Renews the leases of the flights that this process leads; the thread that does so ends soon after the last."""

    def __init__(self) -> None:
        self._led: dict[bytes, Lease] = {}
        self._lock = threading.Lock()
        self._beats = False
        self._pause = threading.Event()

    @contextmanager
    def of(self, lease: Lease, owner: bytes) -> Iterator[None]:
        with self._lock:
            self._led[owner] = lease
            starts, self._beats = not self._beats, True
        if starts:
            threading.Thread(target=self._beat, name="cache-flights", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                del self._led[owner]

    def _beat(self) -> None:
        while not self._pause.wait(_BEAT_S):
            with self._lock:
                led = dict(self._led)
                if not led:
                    self._beats = False
                    return
            for owner, lease in led.items():
                try:
                    lease.renew(owner, _LIFE_S)
                except StoreError:
                    continue


def _failure(error: UpstreamError) -> _Landing:
    if error.code not in _SHARED or (error.outcome is RpcOutcome.NOT_SENT and error.final):
        return _Landing()
    fault = (error.fault.code, error.fault.message, error.fault.field) if error.fault else None
    return _Landing(code=error.code, detail=error.detail, fault=fault, retry_after_s=error.retry_after_s)


def _content(landing: _Landing) -> Content:
    if landing.body is not None:
        return Content(landing.body, landing.etag, landing.pages)
    fault = Fault(*landing.fault) if landing.fault else None
    raise _SHARED[landing.code](landing.detail, fault=fault, retry_after_s=landing.retry_after_s)
