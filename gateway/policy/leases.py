"""One writer at a time per record, among all workers and replicas."""

from __future__ import annotations

import random
import threading
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
_RETURN_PAUSE_S = 0.3
_RETURNS_MAX = 32


class RecordLeases:
    """Leases on records. A holder keeps one no longer than its own deadline, so the lease outlives every holder."""

    def __init__(self, store: Store, account: bytes, wait: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._account = account
        self._wait = wait
        self._places = threading.BoundedSemaphore(_RETURNS_MAX)

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
            self._return_later(lease, owner, deadline)  # only the answer may have been lost
            yield False
            return
        try:
            yield True
        finally:
            try:
                lease.release(owner)
            except StoreError:
                self._return_later(lease, owner, deadline)

    def _acquire(self, lease: Lease, owner: bytes, deadline: Deadline) -> None:
        pause_s = 0.002
        while not lease.acquire(owner, deadline.remaining_s() + _MARGIN_S):
            if pause_s >= deadline.remaining_s():
                raise RecordBusy("Another change of this record did not finish in time.", retry_after_s=1)
            self._wait(random.uniform(pause_s / 2, pause_s))
            pause_s = min(pause_s * 1.5, _PAUSE_MAX_S)

    def _return_later(self, lease: Lease, owner: bytes, deadline: Deadline) -> None:
        """Or every other writer would wait until the lease ends by itself. When many are due already, this one does."""
        if self._places.acquire(blocking=False):
            threading.Thread(target=self._return, args=(lease, owner, deadline), daemon=True).start()

    def _return(self, lease: Lease, owner: bytes, deadline: Deadline) -> None:
        """Tries until the store has it back, or it has ended by itself."""
        try:
            while not deadline.passed:
                self._wait(_RETURN_PAUSE_S)
                try:
                    lease.release(owner)
                    return
                except StoreError:
                    pass
        finally:
            self._places.release()
