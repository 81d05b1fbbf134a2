"""Where copies are kept: one is looked at together with what its truth depends on, and kept if none of that moved.

A large body lies beside its copy, in an entry that begins with its entity tag. The two need no common instant: a tag is
a digest of its body's very bytes, so a body found under it, in the store or in this process's memory, is the right one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from gateway.policy.bodies import Bodies
from gateway.policy.copies import Content, Copy, is_large, pack, pack_body, unpack, unpack_body
from gateway.policy.stamps import TOKEN_BYTES, Stamp, Stamps
from gateway.secret import Secret
from gateway.store.errors import StoreError
from gateway.store.interface import Batch, Check, Delete, Put, Store, Write

_BODIES_BYTES_MAX = 8 << 20


class Place(msgspec.Struct, frozen=True):
    """Where a copy is kept, and under which stamp: the record's, or the epoch for lists and for what is missing."""

    key: bytes
    stamp_key: bytes
    epoch_key: bytes

    @property
    def body_key(self) -> bytes:
        """Where its body is kept when it is large."""
        return b"body:" + self.key


class Seen(msgspec.Struct, frozen=True):
    """What one look showed. `raw` is the entry of a copy, if there was any (`found`), `copy` None if it is not true.

    `quiet`: no write of it is under way; `all_quiet`: none of any record of its kind.
    `sick` is the note about the upstream (see `Sickness`), None when it is well.
    """

    stamp: Stamp
    epoch: Stamp
    sick: bytes | None
    copy: Copy | None
    raw: bytes | None
    quiet: bool
    all_quiet: bool

    @property
    def found(self) -> bool:
        return self.raw is not None


class Shelf:
    """The copies of one upstream account. `sick_key` is where the note about the upstream lies."""

    def __init__(self, store: Store, account: bytes, stamps: Stamps, sick_key: bytes) -> None:
        self._store = store
        self._account = account
        self._stamps = stamps
        self._sick_key = sick_key
        self._bodies = Bodies(_BODIES_BYTES_MAX)

    def place(self, token: Secret, resource: str, what: bytes, stamp_key: bytes) -> Place:
        """Keyed by the credential, so that nobody sees what another credential may see."""
        name = hashlib.blake2b(what, key=token.digest(), digest_size=16).digest()
        key = b":".join([b"copy", self._account, resource.encode(), name])
        return Place(key, stamp_key, self._stamps.epoch_key(resource))

    def keys(self, place: Place) -> Sequence[bytes]:
        """Of the entries that one look at a place takes in, in the order of `read`."""
        return (place.key, place.stamp_key, place.epoch_key, self._sick_key)

    def look(self, place: Place) -> Seen:
        """Raises `StoreError`."""
        return self.read(place, self._store.get_many(self.keys(place)))

    def read(self, place: Place, found: Sequence[bytes | None]) -> Seen:
        """What entries show that were read at one instant: the copy, its stamp, the epoch, the note about the upstream.

        Raises `StoreError`.
        """
        raw, stamp_raw, epoch_raw, sick = found
        stamp, epoch, now_s = Stamp(place.stamp_key, stamp_raw), Stamp(place.epoch_key, epoch_raw), self._stamps.now_s()
        copy = None if raw is None else self._true_copy(place, unpack(raw), stamp, epoch, now_s)
        quiet = stamp_raw is None or stamp.is_quiet(now_s)
        all_quiet = epoch_raw is None or epoch.is_quiet(now_s)
        return Seen(stamp, epoch, sick, copy, raw, quiet, all_quiet)

    def read_copy(self, place: Place, found: Sequence[bytes | None]) -> Copy | None:
        """The copy of something that is there, if it is true, from the entries of the copy and of its stamp.

        Raises `StoreError`.
        """
        raw, stamp_raw = found
        if raw is None or stamp_raw is None or len(stamp_raw) != TOKEN_BYTES:
            return None
        stamp = Stamp(place.stamp_key, stamp_raw)
        copy = unpack(raw)
        return None if copy.content.missing else self._true_copy(place, copy, stamp, stamp, self._stamps.now_s())

    def ready(self, seen: Seen) -> Seen:
        """With the stamps that a copy can be kept under, made where they are absent. Raises `StoreError`."""
        stamp = self._stamps.make(seen.stamp)
        epoch = stamp if seen.epoch.key == stamp.key else self._stamps.make(seen.epoch)
        return msgspec.structs.replace(seen, stamp=stamp, epoch=epoch)

    def _true_copy(self, place: Place, copy: Copy, stamp: Stamp, epoch: Stamp, now_s: float) -> Copy | None:
        under = epoch if copy.content.missing else stamp
        if copy.token != under.token or not under.is_quiet(now_s):
            return None
        return self._whole(place, copy) if copy.apart else copy

    def _whole(self, place: Place, copy: Copy) -> Copy | None:
        """With its body, from this process's memory or the store; None when that is gone."""
        etag = copy.content.etag
        body = self._bodies.get(etag)
        if body is None:
            body = unpack_body(self._store.get(place.body_key), etag)
            if body is None:
                return None
            self._bodies.put(etag, body)
        return copy.with_body(body)

    def departure(self, place: Place, seen: Seen) -> tuple[Seen, Batch]:
        """What is to hold, and to be made, before a fetch whose content may be kept; and the look as it is then.

        The stamps are as they were seen, and made where they are absent; and there is no other copy than was seen.
        """
        stamp = seen.stamp if seen.stamp.raw is not None else self._stamps.new(seen.stamp.key)
        checks = [Check(place.key, seen.raw), Check(stamp.key, seen.stamp.raw)]
        writes: list[Write] = [self._stamps.put(stamp)] if stamp.made else []
        epoch = stamp if place.epoch_key == stamp.key else seen.epoch
        if epoch.raw is None:
            epoch = self._stamps.new(epoch.key)
            checks.append(Check(epoch.key, None))
            writes.append(self._stamps.put(epoch))
        return Seen(stamp, epoch, seen.sick, seen.copy, seen.raw, seen.quiet, seen.all_quiet), (checks, writes)

    def batch(
        self, place: Place, seen: Seen, content: Content, fetched_s: float, fresh_s: float, kept_s: float
    ) -> Batch | None:
        """Keeps what was fetched from `fetched_s` on, after the look: fresh for `fresh_s`, at all for `kept_s` seconds.

        Its check fails when a stamp has moved. None: a write was under way already.
        """
        stamp = seen.epoch if content.missing else seen.stamp
        if stamp.raw is None or not stamp.is_quiet(fetched_s):
            return None
        copy = pack(Copy(stamp.token, fetched_s, fetched_s + fresh_s, content))
        writes: list[Write] = [Put(place.key, copy, kept_s)]
        if not stamp.made:
            writes.append(self._stamps.put(stamp))
        if is_large(content):
            writes.append(Put(place.body_key, pack_body(content), kept_s))
        return [Check(stamp.key, stamp.raw)], writes

    def apply(self, batch: Batch) -> bool:
        """False: a check failed, or the store could not do it."""
        try:
            return self._store.apply(*batch) is not None
        except StoreError:
            return False

    def removal(self, place: Place) -> Batch:
        """Takes the copy away, whatever became of its stamp."""
        return [], [Delete(place.key)]
