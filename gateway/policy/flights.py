"""One fetch at a time for one thing, among all workers: the others wait for it and share its result, failures included.

A flight is named by what is fetched and the stamp it is fetched under, so that nobody joins one that took off before a
write that has been answered since. While it is under way it holds a lease. Who waits says so in the lease itself: an
unmarked lease ends in the very batch that keeps the content, and only of a marked one the end is noted for the others.
Who comes too late for that finds no lease, and looks for what was kept.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from gateway import waiting
from gateway.deadline import Deadline
from gateway.errors import DeadlinePassed, UpstreamError
from gateway.policy.copies import Content
from gateway.policy.landings import Landing, content_of_landing, landing_of, pack_landing, unpack_landing
from gateway.store.errors import StoreError
from gateway.store.interface import Batch, Check, Delete, Put, Store, Write
from gateway.store.lease import new_owner

_LIFE_S = 2.0
_BEAT_S = 0.5
"""A flight's lease lasts a short while and is renewed as long as its leader lives, so that a dead one is soon replaced,
well within the deadlines of those who wait."""

_UNMARKED, _MARKED = b"-", b"+"
"""Before the leader's name in a lease: whether somebody waits."""

_LANDED_TTL_S = 5.0
_TRIES_MAX = 100
_PAUSE_MAX_S = 0.02


class Trip(Protocol):
    """What a flight is about, for one of those who ask."""

    @property
    def name(self) -> bytes:
        """Who has the same name can share a flight. May change with each look."""

    def departure(self) -> Batch:
        """What is to hold, and to be made, in the batch with which a flight takes off."""

    def look_again(self) -> Content | None:
        """After a batch that was not applied: a content that has come otherwise. Raises `StoreError`."""

    def fetch(self) -> Content:
        """Asks the upstream. Raises `UpstreamError`."""

    def arrival(self, end: Content | UpstreamError) -> Batch | None:
        """What keeps the end of the fetch; None: nothing does."""

    def arrived(self, end: Content | UpstreamError, *, kept: bool) -> None:
        """Tells whether it was kept."""

    def alone(self) -> Content:
        """Asks without the others. Raises `UpstreamError`."""


class Flights:
    """Flights over a store."""

    def __init__(self, store: Store, wait: Callable[[float], None] = waiting.sleep) -> None:
        self._store = store
        self._wait = wait
        self._pulse = _Pulse(store)

    def share(self, trip: Trip, deadline: Deadline) -> tuple[Content, bool]:
        """The content, and whether another's flight brought it. Raises what the fetch raised, here or elsewhere.

        Raises `DeadlinePassed` when the flight of another does not end in time. Without a store everybody fetches.
        """
        try:
            for _ in range(_TRIES_MAX):
                if (flight := self._take_off(trip)) is not None:
                    break
                if (content := trip.look_again()) is not None:
                    return content, False
                landing = self._await_landing(lease_key(trip.name), deadline)
                if landing is not None:
                    return content_of_landing(landing), True
        except StoreError:
            flight = None
        return (trip.alone() if flight is None else self._fly(flight, trip)), False

    def _take_off(self, trip: Trip) -> _Flight | None:
        """None: another leads, or something has moved since the look."""
        checks, writes = trip.departure()
        flight = _Flight(lease_key(trip.name), new_owner())
        lease = flight.lease(_UNMARKED)
        batch = [*checks, Check(lease.key, None)], [*writes, lease]
        return flight if self._store.apply(*batch) is not None else None

    def _await_landing(self, key: bytes, deadline: Deadline) -> Landing | None:
        """None when the flight ended without a result for others, or its leader died: then take off anew."""
        leader = self._announce(key)
        pause_s = 0.001
        while leader is not None:
            landed, lease = self._store.get_many([b"landed:" + leader, key])
            if landed is not None:
                landing = unpack_landing(landed)
                return landing if landing.body is not None or landing.code else None
            if lease != _MARKED + leader:
                return None
            if pause_s >= deadline.remaining_s():
                raise DeadlinePassed("The upstream did not answer in time.", sent=True)
            self._wait(random.uniform(pause_s / 2, pause_s))
            pause_s = min(pause_s * 1.5, _PAUSE_MAX_S)
        return None

    def _announce(self, key: bytes) -> bytes | None:
        """Marks the lease; its owner's name. None when it has just ended.

        A leader that is dead already stays in its place for one life more.
        """
        lease = self._store.get(key)
        if lease is None:
            return None
        leader = lease[1:]
        if lease[:1] == _UNMARKED:
            self._store.apply([Check(key, lease)], [Put(key, _MARKED + leader, _LIFE_S)])
        return leader

    def _fly(self, flight: _Flight, trip: Trip) -> Content:
        end: Content | UpstreamError | None = None
        self._pulse.begin(flight)
        try:
            end = content = trip.fetch()
            return content
        except UpstreamError as error:
            end = error
            raise
        finally:
            self._pulse.end(flight)
            batch = None if end is None else trip.arrival(end)
            kept = self._land(flight, end, batch)
            if end is not None:
                trip.arrived(end, kept=kept)

    def _land(self, flight: _Flight, end: Content | UpstreamError | None, batch: Batch | None) -> bool:
        """Ends the flight, and tells whether what arrived was kept.

        At once while nobody waits. Otherwise it is kept first, then told: who is told nothing must find it.
        """
        checks, writes = batch or ((), ())
        if self._apply([flight.is_led(_UNMARKED), *checks], [*writes, Delete(flight.key)]):
            return batch is not None
        kept = batch is not None and self._apply(*batch)
        if not self._apply([flight.is_led(_UNMARKED)], [Delete(flight.key)]):
            self._tell(flight, landing_of(end))
        return kept

    def _tell(self, flight: _Flight, landing: Landing) -> None:
        """What is too large for the store cannot be shared; the others take off in turn."""
        checks, gone = [flight.is_led(_MARKED)], Delete(flight.key)
        note = Put(b"landed:" + flight.owner, pack_landing(landing), _LANDED_TTL_S)
        try:
            self._store.apply(checks, [note, gone])
        except StoreError:
            self._apply(checks, [gone])

    def _apply(self, checks: Sequence[Check], writes: Sequence[Write]) -> bool:
        try:
            return self._store.apply(checks, writes) is not None
        except StoreError:
            return False


def lease_key(name: bytes) -> bytes:
    """Where the lease of the flight of that name lies."""
    return b"flight:" + hashlib.blake2b(name, digest_size=16).digest()


class _Flight(msgspec.Struct, frozen=True, gc=False):
    """A flight that is led here: the key of its lease, and the name of its leader."""

    key: bytes
    owner: bytes

    def lease(self, mark: bytes) -> Put:
        return Put(self.key, mark + self.owner, _LIFE_S)

    def is_led(self, mark: bytes) -> Check:
        return Check(self.key, mark + self.owner)


class _Pulse:
    """Renews the leases of the flights that this process leads; the thread that does so ends soon after the last."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._led: set[_Flight] = set()
        self._lock = threading.Lock()
        self._beats = False
        self._pause = threading.Event()

    def begin(self, flight: _Flight) -> None:
        with self._lock:
            self._led.add(flight)
            starts, self._beats = not self._beats, True
        if starts:
            threading.Thread(target=self._beat, name="cache-flights", daemon=True).start()

    def end(self, flight: _Flight) -> None:
        with self._lock:
            self._led.discard(flight)

    def _beat(self) -> None:
        """A flight that was not there at the last beat has most of its lease's life before it."""
        before: set[_Flight] = set()
        while not self._pause.wait(_BEAT_S):
            with self._lock:
                led = set(self._led)
                if not led:
                    self._beats = False
                    return
            for flight in led & before:
                self._renew(flight)
            before = led

    def _renew(self, flight: _Flight) -> None:
        """A lease is marked once and stays so: in one of the two forms it is still there."""
        try:
            for mark in (_UNMARKED, _MARKED):
                if self._store.apply([flight.is_led(mark)], [flight.lease(mark)]) is not None:
                    return
        except StoreError:
            return
