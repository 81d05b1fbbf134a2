"""A lease has one owner, for as long as it lasts."""

from gateway.store.interface import Check, Put, Store
from gateway.store.lease import Lease, new_owner
from tests.store.places import Place

ONE, OTHER = b"one", b"other"


def test_a_free_lease(store: Store) -> None:
    """Goes to the first who asks, and only to it."""
    lease = Lease(store, b"lease")
    assert lease.acquire(ONE, 60)
    assert not lease.acquire(OTHER, 60)
    assert store.get(lease.key) == ONE


def test_an_owner_who_asks_again(store: Store, place: Place) -> None:
    """Has it, from now on for the whole time: its first answer may have been lost on the way."""
    lease = Lease(store, b"lease")
    assert lease.acquire(ONE, 100)
    assert lease.acquire(ONE, 1000)
    place.pass_time(500)
    assert not lease.acquire(OTHER, 100)


def test_renewing(store: Store, place: Place) -> None:
    """Is for the owner alone, and prolongs."""
    lease = Lease(store, b"lease")
    assert not lease.renew(ONE, 100)
    assert lease.acquire(ONE, 100)
    assert not lease.renew(OTHER, 1000)
    assert lease.renew(ONE, 1000)
    place.pass_time(500)
    assert store.get(lease.key) == ONE


def test_releasing(store: Store) -> None:
    """Is for the owner alone, and frees at once."""
    lease = Lease(store, b"lease")
    assert lease.acquire(ONE, 60)
    assert not lease.release(OTHER)
    assert not lease.acquire(OTHER, 60)
    assert lease.release(ONE)
    assert not lease.release(ONE)
    assert lease.acquire(OTHER, 60)


def test_an_owner_who_is_late(store: Store, place: Place) -> None:
    """Can neither renew nor release what is another's by now, nor write under it."""
    lease = Lease(store, b"lease")
    assert lease.acquire(ONE, 100)
    place.pass_time(200)
    assert lease.acquire(OTHER, 100)
    assert not lease.renew(ONE, 100)
    assert not lease.release(ONE)
    assert store.apply([Check(lease.key, ONE)], [Put(b"result", b"late", 60)]) is None
    assert store.get(lease.key) == OTHER


def test_two_leases(store: Store) -> None:
    """Have nothing to do with each other."""
    assert Lease(store, b"a").acquire(ONE, 60)
    assert Lease(store, b"b").acquire(OTHER, 60)


def test_new_owners() -> None:
    """Are never the same."""
    assert len({new_owner() for _ in range(1000)}) == 1000
