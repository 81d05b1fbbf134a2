"""Whether the upstream is sick, and who may ask how it is: one request a second, of all workers together."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from gateway.store.errors import StoreError
from gateway.store.interface import Check, Delete, Put, Store

ASK_EVERY_S = 1.0
_TTL_S = 60.0
_NEXT = struct.Struct(">d")


class Sickness:
    """A note in the store, there while the upstream is sick: when it may next be asked by those who have a copy."""

    def __init__(self, store: Store, account: bytes, now_s: Callable[[], float] = time.time) -> None:
        self._store = store
        self.key = b"sick:" + account
        self._now_s = now_s

    def may_ask(self, raw: bytes | None) -> bool:
        """Whether this request may ask, given the note as it was read. True for at most one request a second."""
        now_s = self._now_s()
        if raw is None:
            return True
        if now_s < _NEXT.unpack(raw)[0]:
            return False
        try:
            return self._store.apply([Check(self.key, raw)], [self._note(now_s)]) is not None
        except StoreError:
            return False

    def fell_ill(self) -> None:
        try:
            self._store.apply([], [self._note(self._now_s())])
        except StoreError:
            return

    def got_well(self, raw: bytes | None) -> None:
        """To be called after a success, with the note as it was read before."""
        if raw is None:
            return
        try:
            self._store.apply([], [Delete(self.key)])
        except StoreError:
            return

    def _note(self, now_s: float) -> Put:
        return Put(self.key, _NEXT.pack(now_s + ASK_EVERY_S), _TTL_S)
