"""What an lmdb data file says of itself, read without lmdb, which trusts a file and dies on a truncated one.

Source: LMDB 0.9 mdb.c, `MDB_page` and `MDB_meta`; data format 1.
"""

import struct
from typing import NamedTuple

FORMAT_LIBRARY = 0
"""The `lib_version` of py-lmdb that reads and writes this format."""

_PAGE_HEAD_BYTES = 16
_META_FLAG = 0x08
_MAGIC = 0xBEEFC0DE
_VERSION = 1
_FLAGS = struct.Struct("=10xH")
_BEFORE_LAST_PAGE = "=IIQQ" + "IHHQQQQQ" * 2
_META = struct.Struct(_BEFORE_LAST_PAGE + "QQ")
LAST_PAGE_OFFSET_BYTES = _PAGE_HEAD_BYTES + struct.calcsize(_BEFORE_LAST_PAGE)
"""Where the first two pages of a file, each of which describes one state, hold the number of its last page."""

_SMALLEST_PAGE_BYTES = 512
_META_END_BYTES = _PAGE_HEAD_BYTES + _META.size


class Meta(NamedTuple):
    """The newest state that was committed."""

    page_bytes: int
    map_bytes: int
    last_page: int
    transaction: int

    @property
    def least_file_bytes(self) -> int:
        return (self.last_page + 1) * self.page_bytes


def read_meta(path: str) -> Meta | None:
    """None: the file is not one of lmdb's, or the pages that say so are damaged. Raises `OSError`."""
    with open(path, "rb") as file:
        first = _parse(file.read(_META_END_BYTES))
        if first is None:
            return None
        file.seek(first.page_bytes)
        second = _parse(file.read(_META_END_BYTES))
    if second is None or second.page_bytes != first.page_bytes:
        return None
    return max(first, second, key=lambda meta: meta.transaction)


def _parse(page: bytes) -> Meta | None:
    if len(page) < _META_END_BYTES or not _FLAGS.unpack_from(page)[0] & _META_FLAG:
        return None
    magic, version, _, map_bytes, page_bytes, *_, last_page, transaction = _META.unpack_from(page, _PAGE_HEAD_BYTES)
    if (magic, version) != (_MAGIC, _VERSION) or page_bytes < _SMALLEST_PAGE_BYTES:
        return None
    return Meta(page_bytes, map_bytes, last_page, transaction)
