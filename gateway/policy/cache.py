"""Reading through the cache: when a copy is shown, when the upstream is asked, and when a copy must do.

A copy is true if its token is the present token of its stamp and no write is under way (`stamps`). How old a true copy
may be is only about changes that went past the gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.deadline import Deadline
from gateway.errors import DeadlinePassed, NotCached, Overloaded, RecordNotFound, RpcOutcome, UpstreamError
from gateway.policy.changes import Changes
from gateway.policy.copies import Content, Copy, content_in
from gateway.policy.flights import Flights
from gateway.policy.keeping import Keeping
from gateway.policy.shelf import Place, Seen, Shelf
from gateway.policy.sickness import Sickness
from gateway.policy.stamps import Stamps
from gateway.policy.trips import Trip
from gateway.policy.wishes import ANYTHING, Wish
from gateway.secret import Secret
from gateway.store.errors import StoreError
from gateway.store.interface import Store
from gateway.store.lease import Lease, new_owner
from gateway.telemetry import Metrics

EARLY_SHARE = 0.2
_EARLY_LEASE_S = 5.0
_FAIR_CHANCE_S = 1.0
_EVENTS = ("hit", "stale", "miss", "collapsed", "bypass")
_SICK = frozenset({RpcOutcome.UPSTREAM_ERROR, RpcOutcome.UNKNOWN, RpcOutcome.THROTTLED, RpcOutcome.NOT_SENT})

Fetch = Callable[[bool], Content]
"""Asks the upstream; when told so, only once, however that ends. Raises `UpstreamError`."""


class Shown(msgspec.Struct, frozen=True):
    """A content and where it came from: `status` is the value of `Cache-Status`, `age_s` its age in seconds."""

    content: Content
    status: str
    age_s: int = 0


class Cache:
    """The cache over a store. Copies are fresh for about `ttl_s` seconds (0: there is no cache), and may be shown until
    they are `stale_s` seconds old when the upstream is sick."""

    def __init__(
        self, store: Store, account: bytes, stamps: Stamps, metrics: Metrics, *, ttl_s: float, stale_s: float
    ) -> None:
        self._store = store
        self._stamps = stamps
        self._flights = Flights(store)
        self._sickness = Sickness(store, account, stamps.now_s)
        self._shelf = Shelf(store, account, stamps, self._sickness.key)
        self._keeping = Keeping(self._shelf, metrics, ttl_s=ttl_s, stale_s=stale_s)
        self._changes = Changes(stamps)
        self._events = {event: metrics.cache.labels(event) for event in _EVENTS}
        self._ttl_s = ttl_s
        self._stale_s = stale_s

    def record_place(self, resource: str, key: int, token: Secret) -> Place:
        """Where a record is kept that these credentials may see."""
        return self._shelf.place(token, resource, b"%d" % key, self._stamps.record_key(resource, key))

    def page_place(self, resource: str, filters: Mapping[str, Any], token: Secret) -> Place:
        """Where a page of a list is kept; `filters` in whatever order."""
        query = msgspec.json.encode({name: _canonical(value) for name, value in filters.items()}, order="sorted")
        return self._shelf.place(token, resource, query, self._stamps.epoch_key(resource))

    def is_off(self) -> bool:
        """Whether nothing may be taken from the cache now."""
        return not self._ttl_s or self._changes.untold()

    def now_s(self) -> float:
        """Seconds since 1970, of the clock that all sharers of the store agree on."""
        return self._stamps.now_s()

    def at_hand(self, place: Place, found: Sequence[bytes | None]) -> Copy | None:
        """The copy that `read` would show to everybody, with no more to do than to show it; None: there is none.

        `found` are the entries under the place's key and its stamp's, read at one instant. Counts nothing.
        """
        copy = self._shelf.read_copy(place, found)
        if copy is None or copy.content.missing or self._stamps.now_s() >= self.at_hand_until_s(copy):
            return None
        return copy

    def at_hand_until_s(self, copy: Copy) -> float:
        """When, in seconds since 1970, a copy ceases to be at hand."""
        return copy.fresh_until_s - self._ttl_s * EARLY_SHARE

    def keys(self, place: Place) -> Sequence[bytes]:
        """Of the entries that `seen` takes, in their order: the copy's and its stamp's come first."""
        return self._shelf.keys(place)

    def seen(self, place: Place, found: Sequence[bytes | None]) -> Seen:
        """What `read` goes by, from the entries under `keys`, read at one instant. Raises `StoreError`."""
        return self._shelf.read(place, found)

    def read_back(self, resource: str, key: int, token: Secret, fetch: Fetch) -> Content:
        """A record that was just written, from the upstream and into the cache. Raises what `fetch` raises.

        That it is not found contradicts the write, so that is not kept.
        """
        place = self.record_place(resource, key, token)
        seen = self._ready(place)
        fetched_s = self._stamps.now_s()
        content = fetch(False)
        if seen is not None:
            self._keeping.keep(place, seen, content, fetched_s)
        return content

    def changing(self, resource: str, key: int | None, deadline: Deadline) -> AbstractContextManager[list[int]]:
        """As `Changes.around`: around everything that sends a write and waits for its answer."""
        return self._changes.around(resource, key, deadline)

    def _ready(self, place: Place) -> Seen | None:
        """A look at the place, with its stamps made; None when nothing can be kept there."""
        if self.is_off():
            return None
        try:
            return self._shelf.ready(self._shelf.look(place))
        except StoreError:
            return None

    def read(self, place: Place, wish: Wish, deadline: Deadline, fetch: Fetch, seen: Seen | None = None) -> Shown:
        """What is at a place, of which `seen` was seen since it was asked for; None: nobody has looked yet.

        Raises what `fetch` raises, `RecordNotFound` from memory, or `NotCached`.
        """
        if self.is_off():
            return self._pass_by("fwd=bypass", wish, fetch)
        try:
            seen = self._shelf.look(place) if seen is None else seen
        except StoreError:
            return self._pass_by("fwd=bypass; detail=store", wish, fetch)
        copy, now_s = seen.copy, self._stamps.now_s()
        fresh = copy is not None and wish.is_met_by(copy, now_s)
        if copy is not None and fresh and (wish.only_if_cached or not self._goes_early(place, copy, now_s)):
            return self._show(copy)
        if not seen.quiet or wish.only_if_cached or wish.no_store:
            why = "fwd=request; detail=no-store" if seen.quiet else "fwd=bypass; detail=write-under-way"
            return self._pass_by(why, wish, fetch)
        fallback = copy if copy is not None and (fresh or (wish == ANYTHING and self._may_do(copy))) else None
        return self._ask(place, seen, wish, deadline, fetch, fallback)

    def _ask(
        self, place: Place, seen: Seen, wish: Wish, deadline: Deadline, fetch: Fetch, fallback: Copy | None
    ) -> Shown:
        """Asks the upstream, unless it is sick and the fallback must do for now."""
        if fallback is not None and not self._sickness.may_ask(seen.sick):
            return self._show(fallback)
        try:
            seen = self._shelf.ready(seen) if wish.no_cache else seen
        except StoreError:
            return self._pass_by("fwd=bypass; detail=store", wish, fetch)
        once = fallback is not None and seen.sick is not None
        allowed_s = deadline.remaining_s()
        trip = Trip(self._shelf, self._keeping, place, seen, wish, lambda: fetch(once), self._stamps.now_s)
        try:
            content = trip.alone() if wish.no_cache else trip.with_others(self._flights, deadline)
        except UpstreamError as error:
            if fallback is None or error.outcome not in _SICK or not self._may_do(fallback):
                raise
            if _shows_sickness(error, allowed_s):
                self._sickness.fell_ill()
            return self._show(fallback)
        if seen.sick is not None:
            self._sickness.got_well(seen.sick)
        self._events["collapsed" if trip.how == "; collapsed" else "miss"].inc()
        why = "request" if wish != ANYTHING else "stale" if seen.found else "uri-miss"
        return Shown(content, f"gateway; fwd={why}{trip.how}")

    def _show(self, copy: Copy) -> Shown:
        now_s = self._stamps.now_s()
        stale = now_s >= copy.fresh_until_s
        self._events["stale" if stale else "hit"].inc()
        status = copy.hit_status(now_s) + ("; detail=upstream-sick" if stale else "")
        try:
            return Shown(content_in(copy), status, copy.age_s(now_s))
        except RecordNotFound as error:
            error.headers = {"Cache-Status": status, "Age": str(copy.age_s(now_s))}
            raise

    def _pass_by(self, why: str, wish: Wish, fetch: Fetch) -> Shown:
        if wish.only_if_cached:
            raise NotCached("There is no copy that will do, and the caller does not want the upstream to be asked.")
        self._events["bypass"].inc()
        return Shown(fetch(False), f"gateway; {why}")

    def _may_do(self, copy: Copy) -> bool:
        """Whether a copy, if true, may be shown while the upstream is sick."""
        now_s = self._stamps.now_s()
        return not copy.content.missing and (now_s < copy.fresh_until_s or now_s - copy.fetched_s <= self._stale_s)

    def _goes_early(self, place: Place, copy: Copy, now_s: float) -> bool:
        """Whether a fresh copy is so near its end that somebody should fetch it anew already, and this caller may."""
        if copy.content.missing or now_s < self.at_hand_until_s(copy):
            return False
        try:
            return Lease(self._store, b"early:" + place.key).acquire(new_owner(), _EARLY_LEASE_S)
        except StoreError:
            return False


def _canonical(value: Any) -> Any:
    """One form for one instant, whatever the offset it is given with."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _shows_sickness(error: UpstreamError, allowed_s: float) -> bool:
    """Not what is only about this caller: a deadline that gave the upstream no fair chance, or no room here."""
    hurried = isinstance(error, DeadlinePassed) and allowed_s < _FAIR_CHANCE_S
    return not hurried and not isinstance(error, Overloaded)
