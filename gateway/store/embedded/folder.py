"""The files of an embedded store, and what becomes of damaged ones.

write.lock    locked by whoever writes or changes these files
generation    a number that every process has mapped; it moves when `data` is replaced or condemned
data/         lmdb's files; `boot` names the system start they were made in, `condemned` says nobody may use them
damaged/      the last `data` that was put aside
"""

import contextlib
import mmap
import os
import shutil

import lmdb

from gateway.store.embedded.filelock import FileLock
from gateway.store.embedded.lmdbfile import FORMAT_LIBRARY, Meta, read_meta
from gateway.store.errors import StoreCorrupted

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_STAMP_BYTES = 8


class Folder:
    """Opened by path. All methods but `close` want `lock` held; any may raise `OSError`."""

    def __init__(self, path: str, lock_timeout_s: float) -> None:
        self.path = path
        self.data = os.path.join(path, "data")
        self.file = os.path.join(self.data, "data.mdb")
        self._condemned = os.path.join(self.data, "condemned")
        os.makedirs(path, mode=0o700, exist_ok=True)
        self.lock = FileLock(os.path.join(path, "write.lock"), lock_timeout_s)
        try:
            self.stamp = _map_stamp(os.path.join(path, "generation"))
        except BaseException:
            self.lock.close()
            raise

    def close(self) -> None:
        self.lock.close()

    def create(self) -> None:
        """Makes `data` when there is none. It appears complete or not at all, so an empty file in it is damage."""
        if os.path.isdir(self.data):
            return
        new = os.path.join(self.path, "data.new")
        shutil.rmtree(new, ignore_errors=True)
        # Made here: lmdb would give the folder the mode of its files, and only root can use a folder without x.
        os.mkdir(new, 0o700)
        lmdb.open(new, map_size=1 << 20, lib_version=FORMAT_LIBRARY, mode=0o600).close()
        with open(os.path.join(new, "boot"), "w", encoding="ascii") as file:
            file.write(_boot_id())
        os.rename(new, self.data)
        _sync_folder(self.path)

    def inspect(self) -> Meta:
        """Raises `StoreCorrupted` for files that must not be opened."""
        if os.path.exists(self._condemned):
            raise StoreCorrupted("it was found damaged before")
        meta = read_meta(self.file) if os.path.exists(self.file) else None
        if meta is None:
            raise StoreCorrupted("its file is missing or not one of lmdb's")
        if os.path.getsize(self.file) < meta.least_file_bytes:
            raise StoreCorrupted("its file has been truncated")
        return meta

    def fill_up(self, least_bytes: int) -> int:
        """Gives the file its full length, in holes that take no space; tells that length.

        From then on a file shorter than its last page has been truncated, and no look into the map can fall off it.
        """
        if os.path.getsize(self.file) < least_bytes:
            os.truncate(self.file, least_bytes)
        return os.path.getsize(self.file)

    def made_before_boot(self) -> bool:
        """Whether the system has started anew since: then what was not synced may be half written."""
        with contextlib.suppress(OSError), open(os.path.join(self.data, "boot"), encoding="ascii") as file:
            return file.read() != _boot_id()
        return False

    def discard(self) -> None:
        """Removes `data`."""
        self.stamp[0] += 1
        shutil.rmtree(self.data, ignore_errors=True)

    def put_aside(self) -> None:
        """Moves `data` to `damaged`, in place of what was there."""
        self.stamp[0] += 1
        damaged = os.path.join(self.path, "damaged")
        shutil.rmtree(damaged, ignore_errors=True)
        os.rename(self.data, damaged)

    def condemn(self) -> None:
        """Leaves `data` as it is, for an operator, and lets no process use it."""
        if not os.path.exists(self._condemned):
            with open(self._condemned, "w", encoding="ascii"):
                pass
            self.stamp[0] += 1


def _map_stamp(path: str) -> memoryview:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(file).st_size < _STAMP_BYTES:
            os.posix_fallocate(file, 0, _STAMP_BYTES)  # no hole: it is written through the map, on a full disk too
        return memoryview(mmap.mmap(file, _STAMP_BYTES)).cast("Q")
    finally:
        os.close(file)


def _boot_id() -> str:
    try:
        with open(_BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _sync_folder(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
