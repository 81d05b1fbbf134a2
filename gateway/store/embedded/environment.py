"""An opened lmdb environment, and what lmdb's errors mean for whoever uses the store."""

import os
from collections.abc import Sequence
from enum import Enum, auto

import lmdb

from gateway.store.embedded.allocation import NO_SPACE, Allocation
from gateway.store.embedded.entries import Entries
from gateway.store.embedded.examination import overwrites_in_place, read_mounts
from gateway.store.embedded.folder import Folder
from gateway.store.embedded.lmdbfile import FORMAT_LIBRARY

_LARGEST_READERS = 4_096
_READER_BYTES = 64
_OPENING_BYTES = 1 << 16


class Meaning(Enum):
    """What is to be done about an error of lmdb's."""

    FULL = auto()
    DAMAGED = auto()
    READERS = auto()
    REOPEN = auto()


_DAMAGED = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.IncompatibleError,
    lmdb.ProblemError,
    lmdb.BadChecksumError,
)


def meaning_of(error: lmdb.Error) -> Meaning:
    if isinstance(error, lmdb.MapFullError | lmdb.TxnFullError | lmdb.DiskError) or error.code in NO_SPACE:
        return Meaning.FULL
    if isinstance(error, _DAMAGED):
        return Meaning.DAMAGED
    return Meaning.READERS if isinstance(error, lmdb.ReadersFullError) else Meaning.REOPEN


class View:
    """One process's look at the data of one generation. `allocation`: what a batch must reach first; None: nothing."""

    __slots__ = ("allocation", "begin", "data", "entries", "env", "folder", "generation", "stamp")

    def __init__(self, env: lmdb.Environment, entries: Entries, folder: Folder, allocation: Allocation | None) -> None:
        self.folder = folder
        self.allocation = allocation
        self.env = env
        self.begin = env.begin
        self.entries = entries
        self.data = entries.data
        self.stamp = folder.stamp
        self.generation: int = folder.stamp[0]

    def moved(self) -> bool:
        """Whether these files are no longer the store's."""
        return bool(self.stamp[0] != self.generation)

    def read(self, keys: Sequence[bytes], now_s: float) -> list[bytes | None]:
        """The live values under stored keys, from one snapshot."""
        txn = self.begin(self.data)
        try:
            return self.entries.values(txn, keys, now_s)
        finally:
            txn.abort()


def open_view(folder: Folder, bound_bytes: int, *, durable: bool) -> View:
    """Wants the folder's lock held. Raises `StoreCorrupted`, `StoreFull`, `lmdb.Error`, `OSError`.

    What may be lost with the machine is written through the map, which saves a system call a page, if the file system
    lets space be taken beforehand. A process that writes by system calls beside such a one sees and shows the same
    pages; lmdb warns of that mixture only because of what reaches the disk when. The map is never shorter than the
    file, which lmdb would cut to it under the feet of processes that were opened with a larger bound.
    """
    folder.create()
    meta = folder.inspect()
    map_bytes = folder.fill_up(max(bound_bytes, meta.map_bytes))
    allocation = None
    if not durable and overwrites_in_place(os.path.realpath(folder.path), read_mounts()):
        allocation = Allocation(folder.file, map_bytes, meta.page_bytes)
        allocation.reach(_OPENING_BYTES)
    _allocate_readers(folder)
    env = lmdb.open(
        folder.data,
        map_size=map_bytes,
        max_dbs=3,
        max_readers=_LARGEST_READERS,
        max_spare_txns=1,
        mode=0o600,
        sync=durable,
        metasync=durable,
        writemap=allocation is not None,
        readahead=False,
        lib_version=FORMAT_LIBRARY,
    )
    try:
        env.reader_check()
        entries = Entries(env)
    except BaseException:
        env.close()
        raise
    return View(env, entries, folder, allocation)


def _allocate_readers(folder: Folder) -> None:
    """lmdb's table of readers is a map with holes as well, and every process writes to it."""
    file = os.open(os.path.join(folder.data, "lock.mdb"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(file, 0, (_LARGEST_READERS + 64) * _READER_BYTES)
    finally:
        os.close(file)
