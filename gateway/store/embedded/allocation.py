"""Disk space under the part of a file that the next batch may write through the map.

The file is one of holes. Whoever writes into a hole when the disk is full is killed (SIGBUS), because a store into
memory cannot fail; so the space is taken before, where a full disk is an error like any other.
"""

import errno
import mmap
import os

from gateway.store.embedded.lmdbfile import LAST_PAGE_OFFSET_BYTES
from gateway.store.errors import StoreFull

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_STEP_BYTES = 4 << 20
_WORD_BYTES = 8


class Allocation:
    """What one process knows to be allocated, from the start of the file on. All of it wants the folder's lock."""

    __slots__ = ("_allocated_bytes", "_file", "_file_bytes", "_first", "_page_bytes", "_second", "_words")

    def __init__(self, file: str, file_bytes: int, page_bytes: int) -> None:
        self._file = file
        self._file_bytes = file_bytes
        self._page_bytes = page_bytes
        self._allocated_bytes = 0
        self._first = LAST_PAGE_OFFSET_BYTES // _WORD_BYTES
        self._second = self._first + page_bytes // _WORD_BYTES
        with open(file, "rb") as opened:
            descriptions = mmap.mmap(opened.fileno(), 2 * page_bytes, access=mmap.ACCESS_READ)
        self._words = memoryview(descriptions).cast("Q")

    def reach(self, reach_bytes: int) -> None:
        """Takes the space for so many bytes beyond the last page that any process has used, within the file.

        Raises `StoreFull` when the disk has none, `OSError`.
        """
        last_page = max(self._words[self._first], self._words[self._second])
        end_bytes = (last_page + 1) * self._page_bytes + reach_bytes
        if end_bytes > self._allocated_bytes < self._file_bytes:
            self._allocate(min(end_bytes, self._file_bytes))

    def _allocate(self, end_bytes: int) -> None:
        """In steps, but on a disk with less room than a step as much as is wanted."""
        ample_bytes = min(-(-end_bytes // _STEP_BYTES) * _STEP_BYTES, self._file_bytes)
        file = os.open(self._file, os.O_RDWR | os.O_CLOEXEC)
        try:
            if not _allocated(file, ample_bytes):
                ample_bytes = end_bytes
                if not _allocated(file, ample_bytes):
                    raise StoreFull("no room left on the disk")
        finally:
            os.close(file)
        self._allocated_bytes = ample_bytes


def _allocated(file: int, end_bytes: int) -> bool:
    """From the start on: others may have left holes. What is allocated already costs next to nothing."""
    try:
        os.posix_fallocate(file, 0, end_bytes)
    except OSError as error:
        if error.errno in NO_SPACE:
            return False
        raise
    return True
