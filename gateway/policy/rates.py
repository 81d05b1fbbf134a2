"""How many requests a caller may make in a minute, counted by all workers and replicas together."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable

from gateway.errors import RateExceeded
from gateway.secret import Secret
from gateway.store.atomic import add
from gateway.store.errors import StoreError
from gateway.store.interface import Store

_WINDOW_S = 60


class Rates:
    """Counts per credential and minute of the clock. `per_minute` 0: nobody counts.

    When the store cannot be asked, requests are let in: the limit protects, it promises nothing. `clock` reads seconds
    that all sharers of the store agree on.
    """

    def __init__(self, store: Store, account: bytes, per_minute: int, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._account = account
        self._per_minute = per_minute
        self._clock = clock

    def count(self, credential: Secret) -> None:
        """Counts a request. Raises `RateExceeded` when the caller has used its minute up."""
        if not self._per_minute:
            return
        now_s = self._clock()
        try:
            made_total = add(self._store, self._key(credential, int(now_s // _WINDOW_S)), 1, 2 * _WINDOW_S)
        except StoreError:
            return
        if made_total > self._per_minute:
            wait_s = max(1, math.ceil(_WINDOW_S - now_s % _WINDOW_S))
            detail = f"More than {self._per_minute} requests in a minute."
            raise RateExceeded(detail, retry_after_s=wait_s)

    def _key(self, credential: Secret, window: int) -> bytes:
        """Keyed by the account, so that the store does not show who calls."""
        name = hashlib.blake2b(credential.reveal().encode("utf-8", "surrogatepass"), key=self._account, digest_size=16)
        return b"rate:" + name.hexdigest().encode() + b":%d" % window
