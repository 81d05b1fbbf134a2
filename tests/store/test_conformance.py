"""What every store promises, to one process."""

import threading

import pytest

from gateway.store.atomic import add, compare_and_set
from gateway.store.errors import StoreDown
from gateway.store.interface import LARGEST_COUNT, LONGEST_LIFETIME_S, Add, Applied, Check, Delete, Put, Store, Write
from tests.store.places import Place

EVERY_BYTE = bytes(range(256))
VALUES = [b"", b"\0", EVERY_BYTE, "ünïcode".encode(), b"0", b"=", EVERY_BYTE * 4096]


def put(store: Store, key: bytes, value: bytes, ttl_s: float = 60) -> None:
    assert store.apply([], [Put(key, value, ttl_s)]) == Applied(())


def test_a_key_never_written(store: Store) -> None:
    """Reads as None."""
    assert store.get(b"key") is None


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{len(value)} bytes {value[:2]!r}")
def test_a_value(store: Store, value: bytes) -> None:
    """Comes back byte for byte, empty or a mebibyte long, alone and among others."""
    put(store, b"key", value)
    assert store.get(b"key") == value
    assert store.get_many([b"other", b"key"]) == [None, value]


@pytest.mark.parametrize("key", [b"\0", EVERY_BYTE, b"k" * 446, b"k" * 447, b"k" * 511, b"k" * 512, b"k" * 100_000])
def test_a_key_of_any_bytes_and_length(store: Store, key: bytes) -> None:
    """Works everywhere a key stands."""
    put(store, key, b"one")
    assert store.get(key) == b"one"
    assert compare_and_set(store, key, b"one", b"two", 60)
    assert store.get_many([key]) == [b"two"]
    assert store.apply([], [Delete(key)]) is not None
    assert store.get(key) is None
    assert add(store, key, 5, 60) == 5


def test_long_keys_that_differ_at_the_end_only(store: Store) -> None:
    """Are different keys, also from the key that one of them is kept under."""
    put(store, b"k" * 1000 + b"a", b"a")
    put(store, b"k" * 1000 + b"b", b"b")
    put(store, b"k" * 446, b"short")
    assert store.get_many([b"k" * 1000 + b"a", b"k" * 1000 + b"b", b"k" * 446]) == [b"a", b"b", b"short"]


def test_many_keys(store: Store) -> None:
    """Come back in the order asked, a key asked twice twice; none asked, none come."""
    put(store, b"a", b"1")
    put(store, b"b", b"2")
    assert store.get_many([b"b", b"none", b"a", b"b"]) == [b"2", None, b"1", b"2"]
    assert store.get_many([]) == []


def test_a_batch_whose_checks_hold(store: Store) -> None:
    """Is written whole."""
    put(store, b"seen", b"1")
    put(store, b"gone", b"x")
    batch: list[Write] = [Put(b"new", b"2", 60), Delete(b"gone"), Add(b"count", 3, 60), Delete(b"never there")]
    assert store.apply([Check(b"seen", b"1"), Check(b"absent", None)], batch) == Applied((3,))
    assert store.get_many([b"seen", b"new", b"gone", b"count"]) == [b"1", b"2", None, b"3"]


@pytest.mark.parametrize(
    "broken",
    [Check(b"seen", b"2"), Check(b"seen", None), Check(b"absent", b"1"), Check(b"absent", b""), Check(b"seen", b"")],
)
def test_a_batch_with_one_check_that_fails(store: Store, broken: Check) -> None:
    """Writes nothing, whatever the other checks say."""
    put(store, b"seen", b"1")
    batch: list[Write] = [Put(b"new", b"2", 60), Delete(b"seen"), Add(b"count", 1, 60)]
    assert store.apply([Check(b"seen", b"1"), broken], batch) is None
    assert store.get_many([b"seen", b"new", b"count"]) == [b"1", None, None]


def test_an_empty_value(store: Store) -> None:
    """Is not the same as none."""
    put(store, b"key", b"")
    assert store.apply([Check(b"key", None)], []) is None
    assert store.apply([Check(b"key", b"")], []) == Applied(())


def test_a_batch_without_writes(store: Store) -> None:
    """Only tells whether its checks hold."""
    assert store.apply([Check(b"key", None)], []) == Applied(())
    assert store.apply([], []) == Applied(())


def test_compare_and_set(store: Store) -> None:
    """Sets once from each expected value."""
    assert compare_and_set(store, b"key", None, b"1", 60)
    assert not compare_and_set(store, b"key", None, b"2", 60)
    assert compare_and_set(store, b"key", b"1", b"2", 60)
    assert not compare_and_set(store, b"key", b"1", b"3", 60)
    assert store.get(b"key") == b"2"


def test_a_counter(store: Store) -> None:
    """Starts from 0, goes both ways, reads as decimal text and takes a number that was put."""
    assert [add(store, b"count", amount, 60) for amount in (1, 41, -50, 0)] == [1, 42, -8, -8]
    assert store.get(b"count") == b"-8"
    put(store, b"count", b"100")
    assert add(store, b"count", 1, 60) == 101


def test_several_counters_in_one_batch(store: Store) -> None:
    """Answer in the batch's order."""
    add(store, b"b", 10, 60)
    assert store.apply([], [Add(b"a", 1, 60), Put(b"x", b"", 60), Add(b"b", 2, 60)]) == Applied((1, 12))


def test_a_counter_at_its_limits(store: Store) -> None:
    """Is exact up to the limit and refuses the step beyond it, writing nothing of that batch."""
    assert add(store, b"count", LARGEST_COUNT - 1, 60) == LARGEST_COUNT - 1
    assert add(store, b"count", 1, 60) == LARGEST_COUNT
    with pytest.raises(ValueError, match="counter"):
        store.apply([], [Put(b"new", b"1", 60), Add(b"count", 1, 60)])
    assert store.get_many([b"count", b"new"]) == [b"%d" % LARGEST_COUNT, None]
    assert add(store, b"low", -LARGEST_COUNT, 60) == -LARGEST_COUNT


@pytest.mark.parametrize(
    "value",
    [b"", b"x", b"1.5", b" 1", b"1e3", b"0x10", b"-", b"--1", b"9" * 17, b"9" * 16, b"-9007199254740993", b"1" * 400],
)
def test_adding_to_something_else(store: Store, value: bytes) -> None:
    """Is refused, and nothing of that batch is written."""
    put(store, b"key", value)
    with pytest.raises(ValueError, match="not a counter"):
        store.apply([], [Put(b"new", b"1", 60), Delete(b"other"), Add(b"key", 1, 60)])
    assert store.get_many([b"key", b"new"]) == [value, None]


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan"), float("inf"), LONGEST_LIFETIME_S * 2])
def test_a_lifetime_that_is_none(store: Store, ttl_s: float) -> None:
    """Is refused."""
    with pytest.raises(ValueError, match="lifetime"):
        store.apply([], [Put(b"key", b"", ttl_s)])
    with pytest.raises(ValueError, match="lifetime"):
        store.apply([], [Add(b"key", 1, ttl_s)])


def test_the_longest_lifetime_and_the_shortest(store: Store) -> None:
    """Are taken."""
    put(store, b"long", b"1", LONGEST_LIFETIME_S)
    put(store, b"short", b"1", 1e-9)
    assert store.get(b"long") == b"1"


def test_an_empty_key(store: Store) -> None:
    """Is refused wherever a key can stand."""
    for use in (
        lambda: store.get(b""),
        lambda: store.get_many([b"a", b""]),
        lambda: store.apply([Check(b"", None)], []),
        lambda: store.apply([], [Delete(b"")]),
    ):
        with pytest.raises(ValueError, match="empty"):
            use()


def test_a_key_in_two_writes(store: Store) -> None:
    """Is refused: which of them should stand?"""
    with pytest.raises(ValueError, match="two writes"):
        store.apply([], [Put(b"key", b"1", 60), Delete(b"key")])
    assert store.get(b"key") is None


def test_an_entry_whose_lifetime_is_over(store: Store, place: Place) -> None:
    """Is absent: for reads, for checks, for counters."""
    put(store, b"value", b"1", 100)
    add(store, b"count", 7, 100)
    place.pass_time(101)
    assert store.get(b"value") is None
    assert store.get_many([b"value", b"count"]) == [None, None]
    assert not compare_and_set(store, b"value", b"1", b"2", 60)
    assert compare_and_set(store, b"value", None, b"2", 60)
    assert add(store, b"count", 1, 60) == 1


def test_an_entry_shortly_before_its_end(store: Store, place: Place) -> None:
    """Is whole."""
    put(store, b"value", b"1", 1000)
    place.pass_time(900)
    assert store.get(b"value") == b"1"
    assert store.apply([Check(b"value", b"1")], []) is not None


def test_every_write_begins_the_lifetime_anew(store: Store, place: Place) -> None:
    """Longer or shorter than what was left."""
    for key, first_s, then_s in ((b"longer", 100, 1000), (b"shorter", 1000, 100)):
        put(store, key, b"1", first_s)
        put(store, key, b"2", then_s)
        add(store, key + b" count", 1, first_s)
        add(store, key + b" count", 1, then_s)
    place.pass_time(500)
    assert store.get_many([b"longer", b"longer count"]) == [b"2", b"2"]
    assert store.get_many([b"shorter", b"shorter count"]) == [None, None]


def test_a_failed_batch(store: Store, place: Place) -> None:
    """Does not prolong anything."""
    put(store, b"key", b"1", 100)
    assert not compare_and_set(store, b"key", b"other", b"2", 1000)
    place.pass_time(500)
    assert store.get(b"key") is None


def test_two_names_at_one_address(store: Store, place: Place) -> None:
    """Are two stores."""
    other = place.at._replace(name="second").open()
    put(store, b"key", b"1")
    assert other.get(b"key") is None
    other.close()


def test_threads_on_one_store(store: Store) -> None:
    """Count exactly."""
    totals: list[int] = []

    def count() -> None:
        totals.extend(add(store, b"count", 1, 60) for _ in range(50))

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(totals) == list(range(1, 401))


def test_status(store: Store) -> None:
    """Tells that the store answers and about how much it holds."""
    put(store, b"key", b"x" * 100_000)
    status = store.status()
    assert status.reachable
    assert status.used_bytes is not None
    assert status.used_bytes > 100_000
    assert status.evicts is False


def test_a_closed_store(store: Store) -> None:
    """Refuses with `StoreDown`; closing twice is no error."""
    put(store, b"key", b"1")
    store.close()
    store.close()
    for use in (lambda: store.get(b"key"), lambda: store.get_many([b"key"]), lambda: store.apply([], [])):
        with pytest.raises(StoreDown, match="closed"):
            use()
    assert not store.status().reachable


def test_what_was_written_before_a_close(store: Store, place: Place) -> None:
    """Is there for whoever opens the store next."""
    put(store, b"key", b"1")
    store.close()
    again = place.at.open()
    assert again.get(b"key") == b"1"
    again.close()
