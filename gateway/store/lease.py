"""A lease: at most one owner at a time, and never longer than its lifetime without a renewal."""

import os

from gateway.store.atomic import compare_and_set
from gateway.store.interface import Check, Delete, Store


def new_owner() -> bytes:
    """A name nobody else has."""
    return os.urandom(16)


class Lease:
    """The lease under `key`. Its owner is whoever knows the bytes in the store; expiry frees it.

    An owner that may have been stopped for longer than `ttl_s` must check that the lease is still its own in the very
    batch that depends on it: `Check(lease.key, owner)`.
    """

    __slots__ = ("_store", "key")

    def __init__(self, store: Store, key: bytes) -> None:
        self._store = store
        self.key = key

    def acquire(self, owner: bytes, ttl_s: float) -> bool:
        """True: `owner` holds it for `ttl_s` seconds from now.

        An owner that holds it already renews it: so may one that never saw the answer to its first try.
        """
        return compare_and_set(self._store, self.key, None, owner, ttl_s) or self.renew(owner, ttl_s)

    def renew(self, owner: bytes, ttl_s: float) -> bool:
        """False: it is no longer the owner's."""
        return compare_and_set(self._store, self.key, owner, owner, ttl_s)

    def release(self, owner: bytes) -> bool:
        """False: it was no longer the owner's, and stays as it is."""
        return self._store.apply([Check(self.key, owner)], [Delete(self.key)]) is not None
