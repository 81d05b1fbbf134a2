"""Nobody waits for ever for an embedded store, whatever became of the others that use it."""

import signal
import threading
from pathlib import Path

import pytest

from gateway.store.atomic import add
from gateway.store.embedded import EmbeddedStore
from gateway.store.errors import StoreDown
from tests.store import processes
from tests.store.places import Hands, StoreAt


def at(folder: Path) -> StoreAt:
    return StoreAt(str(folder.parent), folder.name)


def quick_store(folder: Path, monotonic: Hands) -> EmbeddedStore:
    return EmbeddedStore(str(folder), 16 << 20, durable=False, evict=False, lock_timeout_s=0.05, monotonic=monotonic)


def test_a_writer_killed_in_the_middle(tmp_path: Path) -> None:
    """Leaves nothing of its batch, and the next writer goes on at once."""
    with processes.helpers(processes.hold_writer_lock, [(at(tmp_path),)]) as (writer,):
        assert writer.hear() == "in the middle"
        writer.kill()
    store = quick_store(tmp_path, Hands())
    assert store.get_many([b"count", b"half-written 0"]) == [b"1", None]
    assert add(store, b"count", 1, 60) == 2
    store.close()


def test_a_writer_stopped_in_the_middle(tmp_path: Path) -> None:
    """Lets others read, refuses their writes in bounded time, and writing goes on when it is gone."""
    monotonic = Hands()
    store = quick_store(tmp_path, monotonic)
    store.get(b"count")
    with processes.helpers(processes.hold_writer_lock, [(at(tmp_path),)]) as (writer,):
        assert writer.hear() == "in the middle"
        writer.signal(signal.SIGSTOP)
        assert store.get(b"count") == b"1"
        with pytest.raises(StoreDown, match="another process held"):
            add(store, b"count", 1, 60)
        assert store.get(b"count") == b"1"
        writer.kill()
    with pytest.raises(StoreDown):
        add(store, b"count", 1, 60)
    monotonic.now_s += 1
    assert add(store, b"count", 1, 60) == 2
    store.close()


def test_threads_that_meet_a_stopped_writer(tmp_path: Path) -> None:
    """Are all refused, the later ones at once: each further wait would be another timeout."""
    store = quick_store(tmp_path, Hands())
    store.get(b"count")
    refused: list[StoreDown] = []

    def write() -> None:
        try:
            add(store, b"count", 1, 60)
        except StoreDown as error:
            refused.append(error)

    with processes.helpers(processes.hold_writer_lock, [(at(tmp_path),)]) as (writer,):
        assert writer.hear() == "in the middle"
        threads = [threading.Thread(target=write) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(refused) == 8
        for _ in range(10_000):
            write()
        assert len(refused) == 10_008
    store.close()


def test_a_first_use_while_a_writer_is_stopped(tmp_path: Path) -> None:
    """Is refused in bounded time, and works afterwards."""
    monotonic = Hands()
    store = quick_store(tmp_path, monotonic)
    with processes.helpers(processes.hold_writer_lock, [(at(tmp_path),)]) as (writer,):
        assert writer.hear() == "in the middle"
        with pytest.raises(StoreDown):
            store.get(b"count")
        assert not store.status().reachable
    monotonic.now_s += 1
    assert store.get(b"count") == b"1"
    store.close()
