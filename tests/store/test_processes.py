"""What every store promises to several processes at once, and to those that outlive a killed one."""

import os
import random
import tempfile
from pathlib import Path

import pytest

from gateway.store.atomic import add
from gateway.store.interface import Put, Store
from gateway.store.lease import Lease
from tests.store import processes
from tests.store.inspection import index_matches_data, reading_processes
from tests.store.places import FolderPlace, Place, StoreAt


def test_four_processes_that_count(place: Place, store: Store) -> None:
    """Lose and invent nothing, and each is told a total of its own."""
    totals = processes.results(processes.count, [(place.at, 500)] * 4)
    assert sorted(total for each in totals for total in each) == list(range(1, 2001))
    assert store.get(b"count") == b"2000"


def test_four_processes_that_race(place: Place, store: Store) -> None:
    """Have one winner on each key, and it is the one whose value stands there."""
    names = [b"one", b"two", b"three", b"four"]
    won = processes.results(processes.race, [(place.at, 200, name) for name in names])
    assert sorted(key for each in won for key in each) == list(range(200))
    for name, keys in zip(names, won, strict=True):
        assert set(store.get_many([b"race %d" % key for key in keys])) <= {name}


def test_four_processes_under_one_lease(place: Place, store: Store) -> None:
    """Never act at the same time: an unguarded read and write loses nothing."""
    done = processes.results(processes.guarded_count, [(place.at, 50, b"%d" % me) for me in range(4)])
    assert done == ["done"] * 4
    assert store.get(b"guarded") == b"200"


def test_a_lease_whose_owner_was_killed(place: Place, store: Store) -> None:
    """Stays taken until its lifetime is over, and is then free."""
    lease = Lease(store, b"lease")
    with processes.helpers(processes.hold_lease, [(place.at, b"killed", 300)]) as (holder,):
        assert holder.hear() is True
        holder.kill()
    assert not lease.acquire(b"next", 300)
    place.pass_time(600)
    assert lease.acquire(b"next", 300)


def test_reading_while_another_process_writes(place: Place, store: Store) -> None:
    """Sees batches whole: what moves between two entries is never missing and never there twice."""
    with processes.helpers(processes.move_money, [(place.at,)]) as (mover,):
        assert mover.hear() == "begun"
        seen: set[bytes] = set()
        reads = 0
        while reads < 2000 or len(seen) < 2:
            reads += 1
            left, right = store.get_many([b"left", b"right"])
            assert left is not None
            assert right is not None
            assert int(left) + int(right) == 1000
            seen.add(left)


def test_writers_killed_at_any_point(place: Place, store: Store) -> None:
    """Leave whole batches only, every one that they were told of, and a store that goes on."""
    dice = random.Random(3)
    for _ in range(6):
        with processes.helpers(processes.write_pairs, [(place.at, 1), (place.at, 2)]) as writers:
            told = 0
            for _ in range(dice.randrange(20, 200)):
                told = max(told, *(writer.hear() for writer in writers))
            for writer in writers:
                writer.kill()
        pairs = [(b"a %d %d" % (me, turn), b"b %d %d" % (me, turn)) for me in (1, 2) for turn in range(50)]
        values = store.get_many([key for pair in pairs for key in pair])
        assert values[::2] == values[1::2]
        assert any(values)
        assert int(store.get(b"total") or 0) >= told
        assert add(store, b"mine", 1, 600) >= 1
    store.close()
    if isinstance(place, FolderPlace):
        assert index_matches_data(f"{place.at.url}/{place.at.name}")


def test_a_write_in_one_process(place: Place, store: Store) -> None:
    """Is what the next read in another sees."""
    with processes.helpers(processes.answer_reads, [(place.at,)]) as (reader,):
        for turn in range(200):
            store.apply([], [Put(b"key", b"%d" % turn, 600)])
            reader.tell(b"key")
            assert reader.hear() == b"%d" % turn


@pytest.mark.usefixtures("store")
def test_a_store_used_before_a_fork(place: Place) -> None:
    """Works in the children and still works in the parent."""
    with processes.helpers(processes.use_across_fork, [(place.at,)]) as (parent,):
        assert parent.hear() == ([0, 0, 0], b"7")


@pytest.mark.usefixtures("store")
def test_forks_while_threads_are_at_work(place: Place) -> None:
    """Disturb nothing on either side: every addition counts once."""
    with processes.helpers(processes.fork_while_busy, [(place.at, 20)]) as (parent,):
        codes, expected, count = parent.hear()
    assert codes == [0] * 20
    assert count == expected > 20


def test_a_user_who_is_not_root() -> None:
    """Has an embedded store that works, and is the same in another process of that user."""
    with tempfile.TemporaryDirectory(prefix="gateway-store-") as folder:
        if os.geteuid() == 0:
            os.chown(folder, processes.NOBODY, processes.NOBODY)
        at = StoreAt(folder, "store")
        (totals,) = processes.results(processes.count_as_nobody, [(at, 2)])
        (more_totals,) = processes.results(processes.count_as_nobody, [(at, 2)])
    assert [*totals, *more_totals] == [1, 2, 3, 4]


def test_an_embedded_store_in_a_forked_child(tmp_path: Path) -> None:
    """Is a reader of its own there: the parent's place among the readers is the parent's alone."""
    with processes.helpers(processes.read_in_parent_and_child, [(StoreAt(str(tmp_path), "store"),)]) as (parent,):
        child_number = parent.hear()
        assert {parent.process.pid, child_number} <= reading_processes(f"{tmp_path}/store")
