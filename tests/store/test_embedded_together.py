"""What several want to write at once is written in one transaction, and each of them is told what became of its own."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.store.atomic import add
from gateway.store.embedded import EmbeddedStore
from gateway.store.embedded.line import Line
from gateway.store.embedded.room import Batch
from gateway.store.errors import StoreDown, StoreFull
from gateway.store.interface import Add, Applied, Check, Delete, Put, Write
from tests.store import processes
from tests.store.inspection import index_matches_data
from tests.store.places import FolderPlace, Hands, StoreAt
from tests.store.test_model import KEY, KEYS, VALUES, WRITES
from tests.support.loop import Loop

End = Applied | Exception | None
Ask = tuple[list[Check], list[Write]]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(str(tmp_path), 4 << 20, durable=False, evict=False, clock=Hands())
    store.apply([], [Put(b"text", b"no number", 60)])
    yield store
    store.close()
    assert index_matches_data(str(tmp_path))


def apply(store: EmbeddedStore, ask: Ask) -> End:
    try:
        return store.apply(*ask)
    except Exception as error:  # noqa: BLE001  what it was is looked at
        return error


def together(store: EmbeddedStore, asks: list[Ask]) -> list[End]:
    """How each ended, of tasks of one loop that all want to write in the same round."""
    ends: list[End] = [None] * len(asks)

    def task(number: int, ask: Ask) -> None:
        ends[number] = apply(store, ask)

    loop = Loop()
    loop.run(*(partial(task, number, ask) for number, ask in enumerate(asks)))
    loop.poller.close()
    return ends


def transactions(store: EmbeddedStore, act: Callable[[], object]) -> int:
    """How many it took."""
    ids = []
    for step in (lambda: None, act):
        step()
        snapshot = store.snapshot()
        ids.append(snapshot.id[1])
        snapshot.close()
    return ids[1] - ids[0]


def put(number: int, value: bytes = b"x") -> Ask:
    return [], [Put(b"entry %d" % number, value, 60)]


def test_those_of_one_round_are_one_transaction(store: EmbeddedStore) -> None:
    """Beginning and ending one costs as much as many batches."""
    assert transactions(store, lambda: together(store, [put(number) for number in range(20)])) == 1
    assert store.get_many([b"entry %d" % number for number in range(20)]) == [b"x"] * 20


def test_each_sees_what_those_before_it_wrote(store: EmbeddedStore) -> None:
    """As if they had been written one after the other: a place goes to one, and a counter counts all."""
    asks: list[Ask] = [([Check(b"place", None)], [Put(b"place", b"%d" % number, 60)]) for number in range(5)]
    assert together(store, asks) == [Applied(()), None, None, None, None]
    assert store.get(b"place") == b"0"
    assert together(store, [([], [Add(b"count", 2, 60)])] * 3) == [Applied((2,)), Applied((4,)), Applied((6,))]


def test_one_that_is_wrong_takes_nobody_along(store: EmbeddedStore) -> None:
    """It alone is told so."""
    before, wrong, after = together(store, [put(1), ([], [Add(b"text", 1, 60), *put(3)[1]]), put(2)])
    assert (before, after) == (Applied(()), Applied(()))
    assert isinstance(wrong, ValueError)
    assert store.get_many([b"entry 1", b"entry 2", b"entry 3", b"text"]) == [b"x", b"x", None, b"no number"]


def test_one_for_which_there_is_no_room_takes_nobody_along(store: EmbeddedStore) -> None:
    """Of a full store what is known can still be changed."""
    number = add(store, b"count", 0, 60)
    while not isinstance(apply(store, put(number, b"x" * 2_000)), StoreFull):
        number += 1
    counted: Ask = ([], [Add(b"count", 1, 60)])
    gone: Ask = ([], [Delete(b"entry 1")])
    changed, refused, deleted = together(store, [counted, put(number, b"x" * 2_000), gone])
    assert isinstance(refused, StoreFull)
    assert (changed, deleted) == (Applied((1,)), Applied(()))
    assert store.get_many([b"count", b"entry 1", b"entry %d" % number]) == [b"1", None, None]


@pytest.mark.parametrize(
    "asks, total",
    [
        ([put(number, b"x" * 40_000) for number in range(4)], 4),
        ([put(number, b"x" * 9_000) for number in range(6)], 3),
        ([put(number) for number in range(100)], 4),
    ],
    ids=["large ones", "middling ones", "small ones"],
)
def test_much_at_once_is_several_transactions(store: EmbeddedStore, asks: list[Ask], total: int) -> None:
    """None touches much more of the file than a batch may by itself."""
    ends: list[End] = []
    assert transactions(store, lambda: ends.extend(together(store, asks))) == total
    assert ends == [apply(store, ask) for ask in asks]


@pytest.mark.parametrize(
    "batch", [Batch([], [Delete(b"entry")]), Batch([Check(b"entry", None)], [])], ids=["deletions", "checks"]
)
def test_much_that_brings_nothing_is_several_groups(batch: Batch) -> None:
    """A deletion touches the file as well, and what is only asked takes time."""
    line = Line()
    for _ in range(70):
        line.put(batch)
    groups = [line.take() for _ in range(4)]
    assert [len(group) for group in groups] == [32, 32, 6, 0]


def test_who_is_refused_has_written_nothing(tmp_path: Path) -> None:
    """Threads write together while another holds the files now and then, sometimes for too long: what each is told is
    true, also of those whose turn never came while somebody wrote for them."""
    store = EmbeddedStore(
        str(tmp_path), 4 << 20, durable=False, evict=False, lock_timeout_s=0.02, outage_memory_s=0.0, clock=Hands()
    )
    store.get(b"any")
    told: dict[bytes, End] = {}
    writing = True

    def write(name: int) -> None:
        for number in range(150):
            key = b"%d of %d" % (number, name)
            told[key] = apply(store, ([Check(key, None)], [Put(key, b"x", 60)]))

    def disturb() -> None:
        with (tmp_path / "write.lock").open("rb") as file:
            while writing:
                for hold_s in (0.015, 0.015, 0.015, 0.015, 0.03):
                    fcntl.flock(file, fcntl.LOCK_EX)
                    time.sleep(hold_s)
                    fcntl.flock(file, fcntl.LOCK_UN)
                    time.sleep(0.001)

    other = threading.Thread(target=disturb)
    threads = [threading.Thread(target=write, args=(name,)) for name in range(6)]
    for thread in (other, *threads):
        thread.start()
    for thread in threads:
        thread.join(60)
    writing = False
    other.join(60)
    kinds = {type(end) for end in told.values()}
    assert kinds <= {Applied, StoreDown}
    written = {key for key in told if store.get(key) is not None}
    assert written == {key for key, end in told.items() if isinstance(end, Applied)}
    store.close()


def test_a_store_that_is_down_is_waited_for_once(tmp_path: Path) -> None:
    """Another process holds it: all are refused after one wait, and what was refused is not written later."""
    at = StoreAt(str(tmp_path.parent), tmp_path.name)
    monotonic = Hands()
    store = EmbeddedStore(str(tmp_path), 16 << 20, durable=False, evict=False, lock_timeout_s=1, monotonic=monotonic)
    store.get(b"count")
    with processes.helpers(processes.hold_writer_lock, [(at,)]) as (writer,):
        assert writer.hear() == "in the middle"
        ends = together(store, [put(number) for number in range(200)])
        assert [type(end) for end in ends] == [StoreDown] * 200
        assert len({id(end) for end in ends}) == 200
        writer.kill()
    monotonic.now_s += 1
    assert add(store, b"count", 1, 60) == 2
    assert store.get_many([b"entry %d" % number for number in range(200)]) == [None] * 200
    store.close()


def test_a_closed_store_refuses_each(store: EmbeddedStore) -> None:
    """Also those that had begun to wait."""
    store.close()
    assert [type(end) for end in together(store, [put(1), put(2)])] == [StoreDown] * 2


@pytest.mark.parametrize("durable", [False, True])
def test_threads_that_write_at_once(tmp_path: Path, durable: bool) -> None:
    """Each is told of its own: every number of a counter once, and none is lost."""
    store = EmbeddedStore(str(tmp_path), 4 << 20, durable=durable, evict=False, lock_timeout_s=30)
    start = threading.Barrier(8)
    told: list[int] = []

    def write() -> None:
        start.wait(30)
        told.extend(add(store, b"count", 1, 60) for _ in range(50))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    store.close()
    assert sorted(told) == list(range(1, 401))


ASKS = st.lists(st.tuples(st.lists(st.builds(Check, KEY, st.none() | VALUES), max_size=1), WRITES), max_size=8)


@given(before=ASKS, asks=ASKS)
@settings(max_examples=60)
def test_together_they_do_what_they_do_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, before: list[Ask], asks: list[Ask]
) -> None:
    """Any batches: the same ends, the same entries."""
    ends, entries = [], []
    for act in (together, lambda store, asks: [apply(store, ask) for ask in asks]):
        place = FolderPlace(tmp_path_factory.mktemp("together"))
        store = place.fresh()
        assert isinstance(store, EmbeddedStore)
        for ask in before:
            apply(store, ask)
        ends.append([repr(end) for end in act(store, asks)])
        entries.append(store.get_many(KEYS))
        store.close()
    assert ends[0] == ends[1]
    assert entries[0] == entries[1]
