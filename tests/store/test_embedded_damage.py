"""A damaged, missing or unusable folder: a cache starts anew, a durable store refuses until somebody has acted."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.store.embedded import EmbeddedStore
from gateway.store.embedded.folder import Folder
from gateway.store.errors import StoreCorrupted, StoreDown
from gateway.store.interface import Applied, Check, Put
from tests.store import processes
from tests.store.places import Hands, StoreAt

BOUND_BYTES = 4 << 20
PAGE_BYTES = 4096


def noise(length: int) -> bytes:
    return random.Random(11).randbytes(length)


def overwrite(file: Path, offset: int, data: bytes) -> None:
    with file.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)


def replace(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def truncate(file: Path, length: int) -> None:
    with file.open("r+b") as stream:
        stream.truncate(length)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "emptied": lambda file: truncate(file, 0),
    "cut within the first page": lambda file: truncate(file, 100),
    "cut after the first pages": lambda file: truncate(file, 2 * PAGE_BYTES),
    "cut in the middle": lambda file: truncate(file, 40 * PAGE_BYTES),
    "removed": lambda file: file.unlink(),
    "another kind of file": lambda file: replace(file, b"not a database\n" * 1000),
    "first pages overwritten": lambda file: overwrite(file, 0, noise(2 * PAGE_BYTES)),
    "first pages zeroed": lambda file: overwrite(file, 0, bytes(2 * PAGE_BYTES)),
    "second page overwritten": lambda file: overwrite(file, PAGE_BYTES, noise(PAGE_BYTES)),
    "all but the first pages overwritten": lambda file: overwrite(file, 2 * PAGE_BYTES, noise(BOUND_BYTES // 2)),
    "all but the first pages zeroed": lambda file: overwrite(file, 2 * PAGE_BYTES, bytes(BOUND_BYTES // 2)),
}
damaged = pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())


def cache_in(folder: Path, on_damage: Callable[[str], None] = lambda _: None) -> EmbeddedStore:
    return EmbeddedStore(str(folder), BOUND_BYTES, durable=False, evict=True, on_damage=on_damage)


def durable_in(folder: Path, monotonic: Callable[[], float] = lambda: 0.0) -> EmbeddedStore:
    return EmbeddedStore(str(folder), BOUND_BYTES, durable=True, evict=False, monotonic=monotonic)


def write_some(store: EmbeddedStore) -> None:
    for batch in range(8):
        store.apply([], [Put(b"entry %d" % (100 * batch + number), b"v" * 300, 600) for number in range(100)])


def data_file(folder: Path) -> Path:
    return folder / "data" / "data.mdb"


@damaged
def test_a_damaged_cache(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Starts anew and empty, says so once, and keeps the damaged files aside."""
    store = cache_in(tmp_path)
    write_some(store)
    store.close()
    damage(data_file(tmp_path))
    reports: list[str] = []
    store = cache_in(tmp_path, reports.append)
    assert store.get(b"entry 5") is None
    store.apply([], [Put(b"new", b"1", 600)])
    assert store.get(b"new") == b"1"
    assert len(reports) == 1
    assert str(tmp_path) in reports[0]
    assert (tmp_path / "damaged").is_dir()
    store.close()
    store = cache_in(tmp_path, reports.append)
    assert store.get(b"new") == b"1"
    assert len(reports) == 1
    store.close()


@damaged
def test_a_damaged_durable_store(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Refuses everything and touches nothing, also after a restart, until its files were moved away."""
    store = durable_in(tmp_path)
    write_some(store)
    store.close()
    damage(data_file(tmp_path))
    before = data_file(tmp_path).read_bytes() if data_file(tmp_path).exists() else None
    for _ in range(2):
        monotonic = Hands()
        store = durable_in(tmp_path, monotonic)
        for _ in range(3):
            monotonic.now_s += 10
            with pytest.raises(StoreCorrupted, match="data away"):
                store.get(b"entry 5")
            with pytest.raises(StoreCorrupted):
                store.apply([], [Put(b"new", b"1", 600)])
        assert not store.status().reachable
        assert (data_file(tmp_path).read_bytes() if data_file(tmp_path).exists() else None) == before
        store.close()
    store = durable_in(tmp_path, monotonic)
    with pytest.raises(StoreCorrupted):
        store.get(b"entry 5")
    (tmp_path / "data").rename(tmp_path / "for the operator")
    monotonic.now_s += 10
    store.apply([], [Put(b"new", b"1", 600)])
    assert store.get(b"new") == b"1"
    store.close()


def test_a_second_damage(tmp_path: Path) -> None:
    """Takes the place of the first one aside: damaged files do not pile up."""
    for _ in range(3):
        store = cache_in(tmp_path)
        write_some(store)
        store.close()
        data_file(tmp_path).write_bytes(b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "data", "generation", "write.lock"]


def test_damage_met_while_in_use(tmp_path: Path) -> None:
    """Makes every process change over to the new files together: what one writes there the other reads."""
    reports: list[str] = []
    store = cache_in(tmp_path, reports.append)
    write_some(store)
    with processes.helpers(processes.answer_reads, [(StoreAt(str(tmp_path.parent), tmp_path.name, BOUND_BYTES),)]) as (
        reader,
    ):
        reader.tell(b"entry 5")
        assert reader.hear() == b"v" * 300
        overwrite(data_file(tmp_path), 2 * PAGE_BYTES, noise(BOUND_BYTES // 2))
        assert store.get(b"entry 5") is None
        store.apply([], [Put(b"new", b"1", 600)])
        reader.tell(b"new")
        assert reader.hear() == b"1"
    assert len(reports) == 1
    store.close()


@pytest.mark.parametrize(
    "use, expected",
    [
        (lambda store: store.get(b"entry 5"), None),
        (lambda store: store.get_many([b"entry 5"]), [None]),
        (lambda store: store.apply([Check(b"entry 5", None)], []), Applied(())),
    ],
    ids=["read", "read many", "write"],
)
def test_files_put_aside_by_another_process(
    tmp_path: Path, use: Callable[[EmbeddedStore], object], expected: object
) -> None:
    """Are left at once by whoever still has them open, sound as they may look from there."""
    store = cache_in(tmp_path)
    write_some(store)
    other = Folder(str(tmp_path), lock_timeout_s=10)
    with other.lock:
        other.put_aside()
    assert use(store) == expected
    store.apply([], [Put(b"new", b"1", 600)])
    store.close()
    other.close()
    store = cache_in(tmp_path)
    assert store.get_many([b"new", b"entry 5"]) == [b"1", None]
    store.close()


def test_damage_to_a_durable_store_met_while_in_use(tmp_path: Path) -> None:
    """Is refused from then on, whatever of it might still be readable."""
    monotonic = Hands()
    store = durable_in(tmp_path, monotonic)
    write_some(store)
    overwrite(data_file(tmp_path), 2 * PAGE_BYTES, noise(BOUND_BYTES // 2))
    for _ in range(3):
        with pytest.raises(StoreCorrupted):
            store.get(b"entry 5")
        monotonic.now_s += 10
    store.close()


def test_a_cache_from_before_the_system_started_anew(tmp_path: Path) -> None:
    """Is discarded without a word: its last pages may never have reached the disk."""
    reports: list[str] = []
    store = cache_in(tmp_path)
    write_some(store)
    store.close()
    (tmp_path / "data" / "boot").write_text("another start of the system")
    store = cache_in(tmp_path, reports.append)
    assert store.get(b"entry 5") is None
    assert reports == []
    store.close()


def test_a_durable_store_from_before_the_system_started_anew(tmp_path: Path) -> None:
    """Has everything."""
    store = durable_in(tmp_path)
    write_some(store)
    store.close()
    (tmp_path / "data" / "boot").write_text("another start of the system")
    store = durable_in(tmp_path)
    assert store.get(b"entry 5") == b"v" * 300
    store.close()


def test_a_creation_that_was_cut_short(tmp_path: Path) -> None:
    """Is begun again."""
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "data.mdb").write_bytes(b"")
    store = durable_in(tmp_path)
    assert store.get(b"entry 5") is None
    store.close()


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    """Is a store that is down, and comes up by itself once the way is free."""
    monotonic = Hands()
    folder = tmp_path / "store"
    folder.write_text("in the way")
    store = durable_in(folder, monotonic)
    with pytest.raises(StoreDown, match="cannot be opened"):
        store.get(b"key")
    with pytest.raises(StoreDown):
        store.apply([], [Put(b"key", b"1", 600)])
    assert not store.status().reachable
    folder.unlink()
    monotonic.now_s += 10
    store.apply([], [Put(b"key", b"1", 600)])
    assert store.get(b"key") == b"1"
    store.close()


def test_one_folder_opened_twice_in_a_process(tmp_path: Path) -> None:
    """Is refused clearly, and the first goes on."""
    first, second = cache_in(tmp_path), cache_in(tmp_path)
    write_some(first)
    with pytest.raises(StoreDown, match="already open in this process"):
        second.get(b"entry 5")
    second.close()
    assert first.get(b"entry 5") is not None
    write_some(first)
    first.close()
    shutil.rmtree(tmp_path)
