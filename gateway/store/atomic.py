"""The single-key forms of a batch."""

from gateway.store.interface import Add, Check, Put, Store


def compare_and_set(store: Store, key: bytes, expected: bytes | None, new: bytes, ttl_s: float) -> bool:
    """Sets `new` for `ttl_s` seconds if the live value is `expected` (None: absent). Raises as `Store.apply`."""
    return store.apply([Check(key, expected)], [Put(key, new, ttl_s)]) is not None


def add(store: Store, key: bytes, amount: int, ttl_s: float) -> int:
    """Adds to a counter, whose lifetime of `ttl_s` seconds begins anew, and tells its new value."""
    applied = store.apply([], [Add(key, amount, ttl_s)])
    if applied is None:
        raise RuntimeError("a batch without checks was not applied")
    return applied.counters[0]
