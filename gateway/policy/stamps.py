"""Stamps: what a cached copy must have been fetched under to be true.

There is one stamp per record and one, the epoch, per kind of resource, which all its lists depend on. A stamp is a
random token, and behind it the writes that are under way. A write enters its stamps **before** it is sent and leaves
them **after** its answer, with a new token each time. So a copy fetched under the present token, with no write under
way, was fetched after every answered write; and while a write is under way nothing is taken from the cache nor put into
it. A write that surely changed nothing leaves its stamps as they were.

A write whose outcome is unknown never leaves: it stays until it can no longer be on its way to being applied. So does
the write of a worker that was killed.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from gateway.store.errors import StoreError, StoreFull
from gateway.store.interface import Check, Delete, Put, Store

TOKEN_BYTES = 8
_WRITE = struct.Struct(">8sd")
_CHANGES_MAX = 200
_UNDER_WAY_MAX = 512


class Stamp(msgspec.Struct, frozen=True):
    """A stamp as it was read. `raw` is None when there is none in the store.

    `made`: this very request has made it. So it has all its life before it, and outlasts what is kept under it.
    """

    key: bytes
    raw: bytes | None
    made: bool = False

    @property
    def token(self) -> bytes:
        return (self.raw or b"")[:TOKEN_BYTES]

    def is_quiet(self, now_s: float) -> bool:
        """Whether no write is under way. An absent stamp is not quiet: nothing can depend on it."""
        if self.raw is None:
            return False
        return len(self.raw) == TOKEN_BYTES or not _under_way(self.raw, now_s)


def new_token() -> bytes:
    return os.urandom(TOKEN_BYTES)


def _under_way(raw: bytes, now_s: float) -> list[tuple[bytes, float]]:
    """The writes under way, those left out that can no longer be."""
    writes = _WRITE.iter_unpack(raw[TOKEN_BYTES:])
    return [(name, until_s) for name, until_s in writes if until_s > now_s]


def _pack(writes: Sequence[tuple[bytes, float]]) -> bytes:
    """More writes than can be told apart are one that ends when the last of them does."""
    if len(writes) > _UNDER_WAY_MAX:
        writes = [(b"\0" * 8, max(until_s for _, until_s in writes))]
    return new_token() + b"".join(_WRITE.pack(name, until_s) for name, until_s in writes)


@dataclass(frozen=True, slots=True)
class Write:
    """A write under way: its name in its stamps, and what stood there before and after it entered them."""

    name: bytes
    keys: tuple[bytes, ...]
    before: tuple[bytes | None, ...]
    after: tuple[bytes, ...]


class Stamps:
    """The stamps in a store. `ttl_s` outlasts every copy; `settle_s` is how long a lost write may be on its way.

    `now_s` reads seconds that all sharers of the store agree on.
    """

    def __init__(
        self,
        store: Store,
        account: bytes,
        ttl_s: float,
        settle_s: float,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._account = account
        self._settle_s = settle_s
        self.ttl_s = ttl_s
        self.now_s = now_s

    def epoch_key(self, resource: str) -> bytes:
        return b":".join([b"epoch", self._account, resource.encode()])

    def record_key(self, resource: str, key: int) -> bytes:
        return b":".join([b"version", self._account, resource.encode(), b"%d" % key])

    def new(self, key: bytes) -> Stamp:
        """A stamp to be put where there is none."""
        return Stamp(key, new_token(), made=True)

    def put(self, stamp: Stamp) -> Put:
        """Puts a stamp that is known, with all its life before it."""
        return Put(stamp.key, stamp.raw or b"", self.ttl_s)

    def make(self, stamp: Stamp) -> Stamp:
        """The stamp, made if it is absent. Raises `StoreError`."""
        if stamp.raw is not None:
            return stamp
        made = self.new(stamp.key)
        if self._store.apply([Check(stamp.key, None)], [self.put(made)]) is not None:
            return made
        return Stamp(stamp.key, self._store.get(stamp.key))

    def until_s(self, remaining_s: float) -> float:
        """Until when a write may be applied that must be answered within `remaining_s` from now."""
        return self.now_s() + remaining_s + self._settle_s

    def enter(self, keys: Sequence[bytes], until_s: float) -> Write:
        """To be called before a write is sent that may be applied until `until_s`.

        Raises `StoreError`. A store that is only full has no copies under these stamps then.
        """
        name, now_s = os.urandom(8), self.now_s()
        try:
            before, after = self._change(keys, lambda _, raw: [*_under_way(raw, now_s), (name, until_s)])
        except StoreFull:
            self._drop(keys)
            raise
        return Write(name, tuple(keys), tuple(before), tuple(after))

    def leave(self, write: Write, also: Sequence[bytes] = ()) -> None:
        """To be called after the write's answer, when its outcome is known. Raises `StoreError`.

        `also` are stamps of records that the write made.
        """
        now_s = self.now_s()
        keys = [*write.keys, *also]
        self._change(keys, lambda _, raw: [one for one in _under_way(raw, now_s) if one[0] != write.name])

    def undo(self, write: Write) -> bool:
        """Leaves the stamps as they were before a write that changed nothing. Raises `StoreError`.

        False: others have moved them since, or they were not there; then the write must `leave`.
        """
        if None in write.before:
            return False
        checks = [Check(key, raw) for key, raw in zip(write.keys, write.after, strict=True)]
        puts = [Put(key, raw or b"", self.ttl_s) for key, raw in zip(write.keys, write.before, strict=True)]
        return self._store.apply(checks, puts) is not None

    def move(self, until_s: Mapping[bytes, float]) -> None:
        """Makes every copy under these stamps untrue.

        For each stamp: until when, in seconds, a write that nobody could note may still be applied; 0: no longer.
        Raises `StoreError`; a store that is full can still do it, but cannot note such a write.
        """
        name, now_s = os.urandom(8), self.now_s()

        def moved(key: bytes, raw: bytes) -> list[tuple[bytes, float]]:
            unnoted = [(name, until_s[key])] if until_s[key] > now_s else []
            return [*_under_way(raw, now_s), *unnoted]

        try:
            self._change(list(until_s), moved)
        except StoreFull:
            self._drop(list(until_s))
            if any(until_s.values()):
                raise

    def _drop(self, keys: Sequence[bytes]) -> None:
        """Without its stamp no copy is true, and a deletion needs no room."""
        self._store.apply([], [Delete(key) for key in keys])

    def _change(
        self, keys: Sequence[bytes], change: Callable[[bytes, bytes], list[tuple[bytes, float]]]
    ) -> tuple[list[bytes | None], list[bytes]]:
        """What stood under the keys before, and what stands there now."""
        for _ in range(_CHANGES_MAX):
            before = self._store.get_many(keys)
            after = [_pack(change(key, raw or b"")) for key, raw in zip(keys, before, strict=True)]
            checks = [Check(key, raw) for key, raw in zip(keys, before, strict=True)]
            puts = [Put(key, raw, self.ttl_s) for key, raw in zip(keys, after, strict=True)]
            if self._store.apply(checks, puts) is not None:
                return before, after
        raise StoreError("a stamp kept changing")
