"""Where copies are kept: one is looked at together with what its truth depends on, and kept if none of that moved."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from gateway.policy.copies import Content, Copy, pack, unpack
from gateway.policy.stamps import Stamp, Stamps
from gateway.secret import Secret
from gateway.store.errors import StoreError
from gateway.store.interface import Check, Delete, Put, Store


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy is kept, and under which stamp: the record's, or the epoch for lists and for what is missing."""

    key: bytes
    stamp_key: bytes
    epoch_key: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look showed. `copy` is None when there is no true one; `found` says whether there was any at all.

    `quiet`: no write of it is under way; `all_quiet`: none of any record of its kind.
    `sick` is the note about the upstream (see `Sickness`), None when it is well.
    """

    stamp: Stamp
    epoch: Stamp
    sick: bytes | None
    copy: Copy | None
    found: bool
    quiet: bool
    all_quiet: bool


class Shelf:
    """The copies of one upstream account. `sick_key` is where the note about the upstream lies."""

    def __init__(self, store: Store, account: bytes, stamps: Stamps, sick_key: bytes) -> None:
        self._store = store
        self._account = account
        self._stamps = stamps
        self._sick_key = sick_key

    def place(self, token: Secret, resource: str, what: bytes, stamp_key: bytes) -> Place:
        """Keyed by the credential, so that nobody sees what another credential may see."""
        credential = hashlib.sha256(token.reveal().encode()).digest()
        name = hashlib.blake2b(what, key=credential, digest_size=16).digest()
        key = b":".join([b"copy", self._account, resource.encode(), name])
        return Place(key, stamp_key, self._stamps.epoch_key(resource))

    def look(self, place: Place) -> Seen:
        """Raises `StoreError`."""
        keys = [place.key, place.stamp_key, place.epoch_key, self._sick_key]
        raw, stamp_raw, epoch_raw, sick = self._store.get_many(keys)
        stamp, epoch, now_s = Stamp(place.stamp_key, stamp_raw), Stamp(place.epoch_key, epoch_raw), self._stamps.now_s()
        copy = None if raw is None else unpack(raw)
        if copy is not None:
            under = epoch if copy.content.missing else stamp
            if copy.token != under.token or not under.is_quiet(now_s):
                copy = None
        quiet, all_quiet = (one.raw is None or one.is_quiet(now_s) for one in (stamp, epoch))
        return Seen(stamp, epoch, sick, copy, raw is not None, quiet, all_quiet)

    def ready(self, seen: Seen) -> Seen:
        """With the stamps that a copy can be kept under, made where they are absent. Raises `StoreError`."""
        stamp = self._stamps.make(seen.stamp)
        epoch = stamp if seen.epoch.key == stamp.key else self._stamps.make(seen.epoch)
        return replace(seen, stamp=stamp, epoch=epoch)

    def keep(self, place: Place, seen: Seen, content: Content, fetched_s: float, fresh_s: float, kept_s: float) -> bool:
        """Keeps what was fetched from `fetched_s` on, after the look: fresh for `fresh_s`, at all for `kept_s` seconds.

        False: a stamp has moved, or a write was under way.
        """
        stamp = seen.epoch if content.missing else seen.stamp
        if stamp.raw is None or not stamp.is_quiet(fetched_s):
            return False
        copy = pack(Copy(stamp.token, fetched_s, fetched_s + fresh_s, content))
        puts = [Put(place.key, copy, kept_s), Put(stamp.key, stamp.raw, self._stamps.ttl_s)]
        try:
            return self._store.apply([Check(stamp.key, stamp.raw)], puts) is not None
        except StoreError:
            return False

    def forget(self, place: Place) -> None:
        try:
            self._store.apply([], [Delete(place.key)])
        except StoreError:
            return
