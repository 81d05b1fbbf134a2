"""An opened lmdb environment, and what lmdb's errors mean for whoever uses the store."""

import errno
from collections.abc import Sequence
from enum import Enum, auto

import lmdb

from gateway.store.embedded.entries import Entries
from gateway.store.embedded.folder import Folder
from gateway.store.embedded.lmdbfile import FORMAT_LIBRARY

_LARGEST_READERS = 4_096


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
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def meaning_of(error: lmdb.Error) -> Meaning:
    if isinstance(error, lmdb.MapFullError | lmdb.TxnFullError | lmdb.DiskError) or error.code in _NO_SPACE:
        return Meaning.FULL
    if isinstance(error, _DAMAGED):
        return Meaning.DAMAGED
    return Meaning.READERS if isinstance(error, lmdb.ReadersFullError) else Meaning.REOPEN


class View:
    """One process's look at the data of one generation."""

    __slots__ = ("begin", "data", "entries", "env", "folder", "generation", "stamp")

    def __init__(self, env: lmdb.Environment, entries: Entries, folder: Folder) -> None:
        self.folder = folder
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
    """Wants the folder's lock held. Raises `StoreCorrupted`, `lmdb.Error`, `OSError`."""
    folder.create()
    map_bytes = max(bound_bytes, folder.inspect().map_bytes)
    folder.fill_up(map_bytes)
    env = lmdb.open(
        folder.data,
        map_size=map_bytes,
        max_dbs=3,
        max_readers=_LARGEST_READERS,
        max_spare_txns=1,
        mode=0o600,
        sync=durable,
        metasync=durable,
        readahead=False,
        lib_version=FORMAT_LIBRARY,
    )
    try:
        env.reader_check()
        entries = Entries(env)
    except BaseException:
        env.close()
        raise
    return View(env, entries, folder)
