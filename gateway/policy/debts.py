"""Stamps that could not be moved because the store could not be asked: they are moved as soon as it can be."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence

from gateway.policy.stamps import Stamps
from gateway.store.errors import StoreError

_TRY_EVERY_S = 0.25


class Debts:
    """What this process owes. While it owes anything it takes nothing from the cache."""

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps
        self._owed: dict[bytes, tuple[int, float]] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._paying = False
        self._pause = threading.Event()

    def any(self) -> bool:
        return bool(self._owed)

    def owe(self, keys: Sequence[bytes], until_s: float = 0.0) -> None:
        """Notes stamps to be moved, and sees to it that they are.

        `until_s` is until when a write of unknown outcome may be applied; 0 when its outcome is known.
        """
        with self._lock:
            for key in keys:
                _, before_s = self._owed.get(key, (0, 0.0))
                self._owed[key] = (next(self._numbers), max(until_s, before_s))
            if self._paying:
                return
            self._paying = True
        threading.Thread(target=self._pay_all, name="cache-debts", daemon=True).start()

    def _pay_all(self) -> None:
        while not self._pause.wait(_TRY_EVERY_S):
            with self._lock:
                owed = dict(self._owed)
                if not owed:
                    self._paying = False
                    return
            if self._pay(owed):
                self._strike_out(owed)

    def _pay(self, owed: Mapping[bytes, tuple[int, float]]) -> bool:
        try:
            self._stamps.move({key: until_s for key, (_, until_s) in owed.items()})
        except StoreError:
            return False
        return True

    def _strike_out(self, paid: Mapping[bytes, tuple[int, float]]) -> None:
        """What came to be owed anew while paying stays."""
        with self._lock:
            self._owed = {key: debt for key, debt in self._owed.items() if paid.get(key) != debt}
