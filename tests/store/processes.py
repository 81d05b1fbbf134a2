"""What other processes do in these tests. Each function runs in a freshly started interpreter and reports by a pipe."""

import itertools
import multiprocessing
import os
import random
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import lmdb

from gateway.store.atomic import add, compare_and_set
from gateway.store.embedded.folder import Folder
from gateway.store.errors import StoreFull
from gateway.store.interface import Add, Check, Delete, Put
from gateway.store.lease import Lease
from tests.store.places import StoreAt

_SPAWN = multiprocessing.get_context("spawn")
_ANSWER_WITHIN_S = 60
LIFETIME_S = 600
NOBODY = 10001
"""A user, and a group, that the image has and this machine need not know."""


class Helper:
    """One process and its pipe."""

    def __init__(self, process: SpawnProcess, pipe: "Connection[Any, Any]") -> None:
        self.process = process
        self._pipe = pipe

    def hear(self) -> Any:
        if not self._pipe.poll(_ANSWER_WITHIN_S):
            raise TimeoutError("the helper process said nothing")
        return self._pipe.recv()

    def tell(self, word: object) -> None:
        self._pipe.send(word)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)


@contextmanager
def helpers(task: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> Iterator[list[Helper]]:
    """Runs `task(pipe, *arguments[i])` in one process each; all are gone afterwards."""
    started = [_start(task, each) for each in arguments]
    try:
        yield started
    finally:
        for helper in started:
            helper.kill()


def _start(task: Callable[..., None], arguments: tuple[Any, ...]) -> Helper:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=task, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    return Helper(process, ours)


def results(task: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What each of several processes, let loose at the same time, reports in the end."""
    with helpers(task, arguments) as started:
        for helper in started:
            assert helper.hear() == "ready"
        for helper in started:
            helper.tell("go")
        return [helper.hear() for helper in started]


def _ready(pipe: "Connection[Any, Any]") -> None:
    pipe.send("ready")
    pipe.recv()


def count(pipe: "Connection[Any, Any]", at: StoreAt, times: int) -> None:
    """Adds 1, so many times; reports every total it was given."""
    store = at.open()
    _ready(pipe)
    pipe.send([add(store, b"count", 1, LIFETIME_S) for _ in range(times)])


def count_as_nobody(pipe: "Connection[Any, Any]", at: StoreAt, times: int) -> None:
    """The same, without the rights of root."""
    if os.geteuid() == 0:
        # What is imported late may lie where only root may look: so it is imported now.
        add(at._replace(name="of root").open(), b"count", 1, LIFETIME_S)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    count(pipe, at, times)


def race(pipe: "Connection[Any, Any]", at: StoreAt, keys: int, me: bytes) -> None:
    """Tries to be the first on each key; reports where it was."""
    store = at.open()
    _ready(pipe)
    pipe.send([key for key in range(keys) if compare_and_set(store, b"race %d" % key, None, me, LIFETIME_S)])


def guarded_count(pipe: "Connection[Any, Any]", at: StoreAt, times: int, me: bytes) -> None:
    """Reads a number, and writes the next one in a second batch, under a lease."""
    store = at.open()
    lease = Lease(store, b"lease")
    _ready(pipe)
    for _ in range(times):
        while not lease.acquire(me, LIFETIME_S):
            time.sleep(0.001)
        seen = int(store.get(b"guarded") or b"0")
        store.apply([], [Put(b"guarded", b"%d" % (seen + 1), LIFETIME_S)])
        assert lease.release(me)
    pipe.send("done")


def hold_lease(pipe: "Connection[Any, Any]", at: StoreAt, me: bytes, ttl_s: float) -> None:
    """Acquires, reports whether it could, and stays."""
    pipe.send(Lease(at.open(), b"lease").acquire(me, ttl_s))
    pipe.recv()


def move_money(pipe: "Connection[Any, Any]", at: StoreAt) -> None:
    """Moves amounts between two entries whose sum is always 1000, until killed; says so once it has begun."""
    store = at.open()
    for turn in itertools.count():
        left = turn % 1001
        store.apply([], [Put(b"left", b"%d" % left, LIFETIME_S), Put(b"right", b"%d" % (1000 - left), LIFETIME_S)])
        if turn == 0:
            pipe.send("begun")


def write_pairs(pipe: "Connection[Any, Any]", at: StoreAt, me: int) -> None:
    """Writes the same bytes under two keys in every batch, small and large, until killed; reports each total it got."""
    store = at.open()
    for turn in itertools.count():
        value = (b"%d " % turn) * (1 + turn % 997)
        pair = [
            Put(b"a %d %d" % (me, turn % 50), value, LIFETIME_S),
            Put(b"b %d %d" % (me, turn % 50), value, LIFETIME_S),
        ]
        applied = store.apply([], [*pair, Add(b"total", 1, LIFETIME_S)])
        assert applied is not None
        pipe.send(applied.counters[0])


def answer_reads(pipe: "Connection[Any, Any]", at: StoreAt) -> None:
    """Reads each key it is told and reports the value."""
    store = at.open()
    while True:
        pipe.send(store.get(pipe.recv()))


def meet_file_limit(pipe: "Connection[Any, Any]", at: StoreAt) -> None:
    """Writes, is then allowed no byte beyond the start of the file, as on a full disk, and reports how that went."""
    store = at.open()
    store.apply([], [Put(b"before", b"1", LIFETIME_S)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        store.apply([], [Put(b"during", b"x" * 50_000, LIFETIME_S)])
        refused = False
    except StoreFull:
        refused = True
    read = store.get_many([b"before", b"during"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.apply([Check(b"during", None)], [Put(b"after", b"2", LIFETIME_S)])
    pipe.send((refused, read, store.get(b"after")))


def fill_disk(pipe: "Connection[Any, Any]", at: StoreAt) -> None:
    """Writes small and large, sweeps, evicts and removes until 50 writes found no room on the disk; reports how many
    did not and did, and what it still reads. Does it again when told."""
    store = at.open()
    dice = random.Random(7)
    store.apply([], [Put(b"first", b"1", LIFETIME_S)])
    while True:
        written = refused = 0
        while refused < 50 and written < 50_000:
            key = b"entry %d" % dice.randrange(20_000)
            size = dice.choice([10, 300, 1_500, 5_000, 200_000]) if written % 50 == 0 else 1_200
            try:
                store.apply([], [Put(key, b"x" * size, dice.choice([0.001, LIFETIME_S])), Delete(b"%d" % written)])
                written += 1
            except StoreFull:
                refused += 1
        pipe.send((refused, written, store.get(b"first")))
        pipe.recv()


def use_across_fork(pipe: "Connection[Any, Any]", at: StoreAt) -> None:
    """Uses one store object in a parent and three forked children, in turn; reports the exit codes and the count."""
    store = at.open()
    add(store, b"count", 1, LIFETIME_S)
    codes = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            good = int(store.get(b"count") or b"0") > 0 and add(store, b"count", 1, LIFETIME_S) > 1
            os._exit(0 if good else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        store.get(b"count")
        add(store, b"count", 1, LIFETIME_S)
    pipe.send((codes, store.get(b"count")))


def hold_writer_lock(pipe: "Connection[Any, Any]", at: StoreAt) -> None:
    """Stands in the middle of a batch: holds the writers' lock and an lmdb transaction with changes in it."""
    store = at.open()
    add(store, b"count", 1, LIFETIME_S)
    store.close()
    folder = Folder(os.path.join(at.url, at.name), lock_timeout_s=10)
    opened = lmdb.open(
        folder.data, max_dbs=3, map_size=at.bound_bytes, sync=at.durable, writemap=not at.durable, lib_version=0
    )
    with folder.lock, opened as env:
        data = env.open_db(b"data")
        with env.begin(data, write=True) as txn:
            for number in range(500):
                txn.put(b"half-written %d" % number, b"x" * 500)
            txn.delete(b"count")
            pipe.send("in the middle")
            pipe.recv()


def read_in_parent_and_child(pipe: "Connection[Any, Any]", at: StoreAt) -> None:
    """Reads before a fork, then in the child, then in the parent; reports the child's number. Both stay."""
    store = at.open()
    store.get(b"key")
    heard, told = os.pipe()
    stay, parent_lives = os.pipe()
    child = os.fork()
    store.get(b"key")
    if child == 0:
        os.write(told, b"read")
        os.close(parent_lives)
        os.read(stay, 1)
        os._exit(0)
    os.read(heard, 4)
    store.get(b"key")
    pipe.send(child)
    pipe.recv()


def fork_while_busy(pipe: "Connection[Any, Any]", at: StoreAt, forks: int) -> None:
    """Counts in four threads while the main thread forks children that count too; reports codes and counts."""
    store = at.open()
    over = threading.Event()
    totals: list[int] = []

    def count_on() -> None:
        while not over.is_set():
            totals.append(add(store, b"count", 1, LIFETIME_S))
            assert int(store.get(b"count") or b"0") >= totals[-1]

    threads = [threading.Thread(target=count_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    codes = []
    for _ in range(forks):
        child = os.fork()
        if child == 0:
            os._exit(0 if add(store, b"count", 1, LIFETIME_S) > 0 and store.get(b"count") else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    over.set()
    for thread in threads:
        thread.join()
    pipe.send((codes, len(totals) + forks, int(store.get(b"count") or b"0")))
