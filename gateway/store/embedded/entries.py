"""The entries of an embedded store inside one lmdb transaction: values with their expiry, and an index by expiry.

Invariant: `data[key]` begins with an expiry that rounds up to second S, exactly when `index[S + key]` exists. So what
expires first is always first in the index, and neither sweeping nor evicting ever searches.

A value too long for one page lies in `chunks[key + number]`, a page each: lmdb would want a run of free pages for it,
and a store that has been full of small entries for a while has no such run.
"""

import hashlib
import struct
from collections.abc import Sequence
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING

import lmdb

if TYPE_CHECKING:
    from lmdb import _Database

LONGEST_PLAIN_KEY_BYTES = 446
HEAD = struct.Struct(">dI")
"""Before every value: the instant of expiry, seconds since 1970, and the number of chunks that hold the value.

No chunks: the value follows the head.
"""
read_head = HEAD.unpack_from
_HEAD_BYTES = HEAD.size

_SECOND = struct.Struct(">Q")
_NUMBER = struct.Struct(">I")
_DIGEST_BYTES = 64
_OVERHEAD_BYTES = 64
_LARGEST_SHARING_A_PAGE_BYTES = 1_900
_PAGE_BYTES = 4_096
_CHUNK_BYTES = _PAGE_BYTES - 16
_LARGEST_WHOLE_BYTES = _CHUNK_BYTES - HEAD.size


def shorten(key: bytes) -> bytes:
    """The stand-in for a key longer than lmdb takes (511 bytes, the index's second included).

    One byte longer than any plain key, so that no plain key can equal it.
    """
    kept = LONGEST_PLAIN_KEY_BYTES + 1 - _DIGEST_BYTES
    return key[:kept] + hashlib.blake2b(key, digest_size=_DIGEST_BYTES).digest()


def stored_key(key: bytes) -> bytes:
    return key if len(key) <= LONGEST_PLAIN_KEY_BYTES else shorten(key)


def entry_bytes(key: bytes, value_bytes: int) -> int:
    """About what an entry takes in the file; never less than 64."""
    if value_bytes <= _LARGEST_SHARING_A_PAGE_BYTES:
        return _OVERHEAD_BYTES + 2 * len(key) + value_bytes
    pages = max(1, _chunk_total(value_bytes))
    return _OVERHEAD_BYTES + 2 * len(key) + pages * (_PAGE_BYTES + _OVERHEAD_BYTES + len(key))


class Entries:
    """Three databases of one environment; every method works inside the transaction it is given."""

    __slots__ = ("chunks", "data", "index")

    def __init__(self, env: lmdb.Environment) -> None:
        self.data: _Database = env.open_db(b"data")
        self.index: _Database = env.open_db(b"expiry")
        self.chunks: _Database = env.open_db(b"chunks")

    def live(self, txn: "lmdb.Transaction[bytes]", key: bytes, now_s: float) -> bytes | None:
        raw = txn.get(key, None, self.data)
        if raw is None:
            return None
        expires_at_s, chunk_total = read_head(raw)
        if expires_at_s <= now_s:
            return None
        return self.join(txn, key, chunk_total) if chunk_total else raw[HEAD.size :]

    def values(self, txn: "lmdb.Transaction[bytes]", keys: Sequence[bytes], now_s: float) -> list[bytes | None]:
        """The live value of each key, in a transaction whose database is that of the data."""
        values: list[bytes | None] = []
        for key, raw in zip(keys, map(txn.get, keys), strict=True):
            if raw is None:
                values.append(None)
                continue
            expires_at_s, chunk_total = read_head(raw)
            live = self.join(txn, key, chunk_total) if chunk_total else raw[_HEAD_BYTES:]
            values.append(live if expires_at_s > now_s else None)
        return values

    def join(self, txn: "lmdb.Transaction[bytes]", key: bytes, chunk_total: int) -> bytes:
        """The value of an entry whose head tells of chunks."""
        cursor = txn.cursor(self.chunks)
        cursor.set_key(key + _NUMBER.pack(0))
        return b"".join(islice(cursor.iternext(keys=False), chunk_total))

    def put(self, txn: "lmdb.Transaction[bytes]", key: bytes, value: bytes, expires_at_s: float) -> None:
        chunk_total = _chunk_total(len(value))
        index_key = _index_key(key, expires_at_s)
        raw = HEAD.pack(expires_at_s, chunk_total) + (b"" if chunk_total else value)
        if txn.put(key, raw, overwrite=False, db=self.data):
            txn.put(index_key, b"", db=self.index)
        else:
            self._forget(txn, key, txn.get(key, b"", self.data), kept=index_key)
            txn.put(key, raw, db=self.data)
        if chunk_total:
            self._put_chunks(txn, key, value, chunk_total)

    def delete(self, txn: "lmdb.Transaction[bytes]", key: bytes) -> int:
        """Tells about how many bytes that freed."""
        before = txn.pop(key, self.data)
        if before is None:
            return 0
        chunk_total = self._forget(txn, key, before)
        return entry_bytes(key, chunk_total * _CHUNK_BYTES or len(before) - HEAD.size)

    def sweep(self, txn: "lmdb.Transaction[bytes]", now_s: float, limit: int) -> int:
        """Removes expired entries, `limit` of them or as many pages; tells how many of `limit` are left."""
        cursor = txn.cursor(self.index)
        while limit > 0 and cursor.first() and _SECOND.unpack_from(cursor.key())[0] <= now_s:
            limit -= 1 + self.delete(txn, cursor.key()[_SECOND.size :]) // _PAGE_BYTES
        return limit

    def evict(self, txn: "lmdb.Transaction[bytes]", wanted_bytes: int) -> None:
        """Removes the entries that would expire first until about `wanted_bytes` are free."""
        cursor = txn.cursor(self.index)
        while wanted_bytes > 0 and cursor.first():
            wanted_bytes -= self.delete(txn, cursor.key()[_SECOND.size :])

    def _put_chunks(self, txn: "lmdb.Transaction[bytes]", key: bytes, value: bytes, chunk_total: int) -> None:
        for number in range(chunk_total):
            chunk = value[number * _CHUNK_BYTES : (number + 1) * _CHUNK_BYTES]
            txn.put(key + _NUMBER.pack(number), chunk, db=self.chunks)

    def _forget(self, txn: "lmdb.Transaction[bytes]", key: bytes, before: bytes, kept: bytes = b"") -> int:
        """Takes an entry out of the index, if it stands under another key than `kept` there, and removes its chunks."""
        expires_at_s, chunk_total = read_head(before)
        index_key = _index_key(key, expires_at_s)
        if index_key != kept:
            txn.delete(index_key, db=self.index)
            if kept:
                txn.put(kept, b"", db=self.index)
        for number in range(chunk_total):
            txn.delete(key + _NUMBER.pack(number), db=self.chunks)
        return int(chunk_total)

    def used_bytes(self, txn: "lmdb.Transaction[bytes]") -> int:
        """The pages that hold entries; pages waiting for reuse do not count."""
        return sum(_pages_bytes(txn, db) for db in (self.data, self.index, self.chunks))


def _index_key(key: bytes, expires_at_s: float) -> bytes:
    return _SECOND.pack(ceil(expires_at_s)) + key


def _chunk_total(value_bytes: int) -> int:
    return 0 if value_bytes <= _LARGEST_WHOLE_BYTES else -(-value_bytes // _CHUNK_BYTES)


def _pages_bytes(txn: "lmdb.Transaction[bytes]", db: "_Database") -> int:
    stat = txn.stat(db)
    return stat["psize"] * (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"])
