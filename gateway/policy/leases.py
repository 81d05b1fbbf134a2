"""One writer at a time per record, among all workers and replicas."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.deadline import Deadline
from gateway.errors import RecordBusy
from gateway.store.errors import StoreError
from gateway.store.interface import Store
from gateway.store.lease import Lease, new_owner

_MARGIN_S = 1.0
_PAUSE_MAX_S = 0.05


class RecordLeases:
    """Leases on records. A holder keeps one no longer than its own deadline, so the lease outlives every holder."""

    def __init__(self, store: Store, account: bytes, wait: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._account = account
        self._wait = wait

    @contextmanager
    def hold(self, resource: str, key: int, deadline: Deadline) -> Iterator[bool]:
        """The lease on a record, for as long as the block lasts.

        Yields False when the store cannot give one: then nobody is kept out. Raises `RecordBusy` when another writer
        does not finish before the deadline.
        """
        lease = Lease(self._store, b":".join([b"lease", self._account, resource.encode(), b"%d" % key]))
        owner = new_owner()
        try:
            self._acquire(lease, owner, deadline)
        except StoreError:
            yield False
            return
        try:
            yield True
        finally:
            try:
                lease.release(owner)
            except StoreError:
                pass

    def _acquire(self, lease: Lease, owner: bytes, deadline: Deadline) -> None:
        pause_s = 0.002
        while not lease.acquire(owner, deadline.remaining_s() + _MARGIN_S):
            if pause_s >= deadline.remaining_s():
                raise RecordBusy("Another change of this record did not finish in time.", retry_after_s=1)
            self._wait(random.uniform(pause_s / 2, pause_s))
            pause_s = min(pause_s * 1.5, _PAUSE_MAX_S)
