"""The embedded store keeps within its bound, and nothing in it grows for ever."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.atomic import add, compare_and_set
from gateway.store.embedded import EmbeddedStore
from gateway.store.embedded.environment import open_view
from gateway.store.embedded.folder import Folder
from gateway.store.errors import StoreFull
from gateway.store.interface import Delete, Put, Status
from tests.store import processes
from tests.store.inspection import index_matches_data
from tests.store.places import Hands, StoreAt

BOUND_BYTES = 4 << 20
VALUE = b"x" * 200


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def cache(tmp_path: Path, hands: Hands) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(str(tmp_path), BOUND_BYTES, durable=False, evict=True, clock=hands)
    yield store
    store.close()
    assert index_matches_data(str(tmp_path))
    assert file_bytes(tmp_path) <= BOUND_BYTES


@pytest.fixture
def records(tmp_path: Path, hands: Hands) -> Iterator[EmbeddedStore]:
    """Not durable only in order to be quick."""
    store = EmbeddedStore(str(tmp_path), BOUND_BYTES, durable=False, evict=False, clock=hands)
    yield store
    store.close()
    assert index_matches_data(str(tmp_path))
    assert file_bytes(tmp_path) <= BOUND_BYTES


def file_bytes(folder: Path) -> int:
    return (folder / "data" / "data.mdb").stat().st_size


def used_bytes(status: Status) -> int:
    assert status.used_bytes is not None
    return status.used_bytes


def fill(store: EmbeddedStore, value: bytes = VALUE) -> int:
    """How many entries found room."""
    for number in range(100_000):
        try:
            store.apply([], [Put(b"entry %d" % number, value, 100)])
        except StoreFull:
            return number
    raise AssertionError("never full")


def test_fifty_thousand_entries_where_there_is_room_for_a_few(cache: EmbeddedStore) -> None:
    """All find room, the last are there, and the store is put to use rather than emptied."""
    for number in range(50_000):
        cache.apply([], [Put(b"entry %d" % number, VALUE, 100)])
    last = [b"entry %d" % number for number in range(49_000, 50_000)]
    assert cache.get_many(last) == [VALUE] * 1000
    assert cache.get(b"entry 0") is None
    assert BOUND_BYTES * 0.5 < used_bytes(cache.status()) < BOUND_BYTES * 0.9


def test_what_would_expire_first(cache: EmbeddedStore) -> None:
    """Makes room, however late it was written; what lives longer stays."""
    cache.apply([], [Put(b"long-lived", b"1", 1000)])
    for number in range(30_000):
        cache.apply([], [Put(b"entry %d" % number, VALUE, 100)])
        if number % 1000 == 999:
            cache.apply([], [Put(b"short-lived %d" % number, VALUE, 10)])
    assert cache.get(b"long-lived") == b"1"
    assert cache.get_many([b"short-lived %d" % number for number in range(999, 15_000, 1000)]) == [None] * 15


@pytest.mark.parametrize("value_bytes", [1, 1_900, 1_901, 4_000, 4_068, 4_069, 30_000, 500_000])
def test_values_of_one_size_many_times_the_bound(cache: EmbeddedStore, value_bytes: int) -> None:
    """Find room, be they small or pages long."""
    value = b"v" * value_bytes
    for number in range(4 * BOUND_BYTES // max(value_bytes, 400)):
        cache.apply([], [Put(b"entry %d" % number, value, 100)])
        assert cache.get(b"entry %d" % number) == value


def test_small_entries_and_then_large_ones(cache: EmbeddedStore) -> None:
    """Find room although what is free lies scattered."""
    for number in range(20_000):
        cache.apply([], [Put(b"small %d" % number, VALUE, 100)])
    for number in range(30):
        cache.apply([], [Put(b"large %d" % number, b"x" * 500_000, 100)])
        assert cache.get(b"large %d" % number) is not None


def test_a_value_that_could_never_fit(cache: EmbeddedStore) -> None:
    """Is refused and drives nothing out."""
    cache.apply([], [Put(b"key", b"1", 100)])
    with pytest.raises(StoreFull, match="too large"):
        cache.apply([], [Put(b"huge", b"x" * BOUND_BYTES, 100)])
    assert cache.get(b"key") == b"1"


def test_expired_entries(cache: EmbeddedStore, hands: Hands) -> None:
    """Are swept by later writes, a few at a time."""
    for number in range(3000):
        cache.apply([], [Put(b"old %d" % number, VALUE, 100)])
    hands.now_s += 200
    for number in range(1500):
        cache.apply([], [Put(b"new %d" % number, b"", 100)])
    assert cache.status().entries == 1500


def test_one_entry_written_over_and_over(cache: EmbeddedStore, hands: Hands) -> None:
    """Takes the place of one."""
    for _ in range(5000):
        hands.now_s += 1.5
        add(cache, b"count", 1, 100)
        cache.apply([], [Put(b"key", VALUE, 100)])
    status = cache.status()
    assert status.entries == 2
    assert used_bytes(status) <= 4 * 4096


def test_a_full_store_that_may_not_evict(records: EmbeddedStore) -> None:
    """Refuses new keys and keeps every entry; what is there can be finished, counted and removed."""
    total = fill(records)
    assert records.get_many([b"entry %d" % number for number in range(total)]) == [VALUE] * total
    assert compare_and_set(records, b"entry 0", VALUE, b"y" * 300, 100)
    with pytest.raises(StoreFull):
        add(records, b"new count", 1, 100)
    assert records.get(b"new count") is None
    for number in range(total):
        records.apply([], [Delete(b"entry %d" % number)])
    records.apply([], [Put(b"new", VALUE, 100)])
    assert records.get(b"new") == VALUE


def test_a_full_store_overwritten_with_more(records: EmbeddedStore) -> None:
    """Refuses in time to stay able to remove: it is never so full that nothing works."""
    total = fill(records)
    assert fill(records, VALUE * 3) < total
    for number in range(total):
        records.apply([], [Delete(b"entry %d" % number)])
    assert records.status().entries == 0


def test_a_full_store_whose_entries_expire(records: EmbeddedStore, hands: Hands) -> None:
    """Takes new entries again by itself."""
    first = fill(records)
    hands.now_s += 200
    taken = 0
    for number in range(first):
        try:
            records.apply([], [Put(b"later %d" % number, VALUE, 100)])
            taken += 1
        except StoreFull:
            continue
    assert taken > first * 0.9


@pytest.mark.parametrize("durable", [False, True])
def test_a_new_file(tmp_path: Path, durable: bool) -> None:
    """Has its full length from the start, mostly in holes that take no space: a shorter one has been truncated."""
    store = EmbeddedStore(str(tmp_path), 256 << 20, durable=durable, evict=False)
    store.apply([], [Put(b"key", VALUE, 100)])
    store.close()
    facts = (tmp_path / "data" / "data.mdb").stat()
    assert facts.st_size == 256 << 20
    assert facts.st_blocks * 512 < (256 << 20) / 10


def test_a_store_that_may_evict_says_so(cache: EmbeddedStore, tmp_path: Path) -> None:
    """And one that may not says that, before it is used."""
    assert cache.status().evicts is True
    other = EmbeddedStore(str(tmp_path / "other"), BOUND_BYTES, durable=True, evict=False)
    assert other.status() == Status(True, 0, BOUND_BYTES, 0, False)
    other.close()


def test_a_bound_that_is_none(tmp_path: Path) -> None:
    """Is refused at once."""
    with pytest.raises(ValueError, match="bound"):
        EmbeddedStore(str(tmp_path), 1000, durable=False, evict=True)


def test_a_bound_that_was_changed(tmp_path: Path) -> None:
    """Holds what was there, and a process still at the smaller bound reads what one at the larger has written."""
    small = EmbeddedStore(str(tmp_path), 1 << 20, durable=False, evict=False)
    kept = fill(small)
    with processes.helpers(processes.answer_reads, [(StoreAt(str(tmp_path.parent), tmp_path.name, 1 << 20),)]) as (
        reader,
    ):
        reader.tell(b"entry 0")
        assert reader.hear() == VALUE
        small.close()
        large = EmbeddedStore(str(tmp_path), 8 << 20, durable=False, evict=False)
        assert large.get(b"entry 0") == VALUE
        assert fill(large) > 4 * kept
        large.close()
        reader.tell(b"entry %d" % (3 * kept))
        assert reader.hear() == VALUE
    small = EmbeddedStore(str(tmp_path), 1 << 20, durable=False, evict=False)
    assert small.get(b"entry %d" % (3 * kept)) == VALUE
    with pytest.raises(StoreFull):
        small.apply([], [Put(b"new", VALUE, 100)])
    small.close()


def test_a_process_that_comes_with_a_smaller_bound(tmp_path: Path) -> None:
    """Does not cut the file under a process that was opened with a larger one and has not written since."""
    small = StoreAt(str(tmp_path.parent), tmp_path.name, 1 << 20)
    first = small.open()
    first.apply([], [Put(b"key", VALUE, 100)])
    first.close()
    large = EmbeddedStore(str(tmp_path), 8 << 20, durable=False, evict=False)
    assert large.get(b"key") == VALUE
    with processes.helpers(processes.answer_reads, [(small,)]) as (reader,):
        reader.tell(b"key")
        assert reader.hear() == VALUE
        assert file_bytes(tmp_path) == 8 << 20
        assert fill(large) > 10_000
    large.close()


def test_a_disk_without_room(tmp_path: Path) -> None:
    """Refuses the write as full, still reads, and takes writes when there is room again."""
    with processes.helpers(processes.meet_file_limit, [(StoreAt(str(tmp_path), "store", durable=True),)]) as (writer,):
        assert writer.hear() == (True, [b"1", None], b"2")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("nobody but root may mount a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("evict", [False, True])
def test_a_full_disk_under_a_store_that_is_written_in_place(small_disk: Path, evict: bool) -> None:
    """Refuses writes and kills nobody, though the file is written through a map; when there is room it goes on."""
    at = StoreAt(str(small_disk), "store", 192 << 20, evict=evict)
    with processes.helpers(processes.fill_disk, [(at,), (at,)]) as writers:
        for size in ("60m", "80m"):
            for writer in writers:
                refused, written, first = writer.hear()
                assert (refused, first) == (50, b"1")
                assert written > 100
            subprocess.run(["mount", "-o", f"remount,size={size}", small_disk], check=True)
            for writer in writers:
                writer.tell("there is room")
    assert index_matches_data(at.url + "/store")


def test_how_a_store_is_written(tmp_path: Path, small_disk: Path) -> None:
    """What may be lost with the machine through the map, what must last by system calls."""
    for place, durable in ((small_disk, False), (tmp_path, True)):
        folder = Folder(str(place), lock_timeout_s=10)
        with folder.lock:
            view = open_view(folder, BOUND_BYTES, durable=durable)
        assert view.env.flags()["writemap"] is not durable
        view.env.close()
        folder.close()
