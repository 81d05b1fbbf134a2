"""A batch inside a transaction, and the bound: what is swept, evicted or refused so that nothing grows for ever.

Each write pays a bounded share: it removes at most a few times the entries and bytes it brings.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from gateway.store.embedded.entries import LONGEST_PLAIN_KEY_BYTES, Entries, entry_bytes, stored_key
from gateway.store.errors import StoreFull
from gateway.store.interface import Add, Applied, Check, Delete, Put, Write, read_count, vet_count

if TYPE_CHECKING:
    import lmdb

_NOTHING_COUNTED = Applied(())
_Part = TypeVar("_Part", Check, Write)
_NEW_KEYS_UNTIL = 0.75
_KNOWN_KEYS_UNTIL = 0.9
_LARGEST_SHARE = 0.125
_WRITES_PER_TURN = 16
_BYTES_PER_TURN = 65_536
_SWEPT_PER_WRITE = 4
_EVICTED_PER_WRITTEN = 2
_BATCHES_IN_WAITING = 3
_UNMEASURED_SHARE = 1 / 64
_UNMEASURED_BYTES_MAX = 1 << 20
_REACH_BYTES = 16 << 20
_REACH_PER_WRITE_BYTES = 5 * (1 << 16)
_REACH_PER_WRITTEN_BYTE = 256


class Batch:
    """Checks and writes under stored keys."""

    __slots__ = ("checks", "writes", "written_bytes")

    def __init__(self, checks: Sequence[Check], writes: Sequence[Write]) -> None:
        self.checks = checks
        self.writes = writes
        for part in (*checks, *writes):
            if len(part.key) > LONGEST_PLAIN_KEY_BYTES:
                self.checks, self.writes = _stored(checks), _stored(writes)
                break
        self.written_bytes = 0
        for write in self.writes:
            if type(write) is Put:
                self.written_bytes += entry_bytes(write.key, len(write.value))
            elif type(write) is Add:
                self.written_bytes += entry_bytes(write.key, 0)

    def holds(self, entries: Entries, txn: "lmdb.Transaction[bytes]", now_s: float) -> bool:
        for check in self.checks:  # noqa: SIM110 - a generator would take half as long again
            if entries.live(txn, check.key, now_s) != check.expected:
                return False
        return True


class Counts(NamedTuple):
    """What has been written since entries were last swept, and what may be until the store is measured again."""

    unswept_writes: int
    unswept_bytes: int
    unmeasured_bytes: int


class Room:
    """Keeps one store's entries within `bound_bytes`. Used by one writer at a time."""

    def __init__(self, bound_bytes: int, *, evict: bool) -> None:
        self._bound_bytes = bound_bytes
        self._evict = evict
        self.counts = Counts(0, 0, 0)
        """To be put back when a transaction is aborted."""

    def vet(self, batch: Batch) -> None:
        """Raises `StoreFull` for what would not fit in an empty store, with the pages a change needs beside it."""
        if batch.written_bytes > self._bound_bytes * _LARGEST_SHARE:
            raise StoreFull(f"a batch of {batch.written_bytes} bytes is too large for a store of {self._bound_bytes}")

    def reach_bytes(self, batches: Sequence[Batch]) -> int:
        """How much of the file batches may touch at the very most, with all that is swept and evicted on the way.

        An entry that goes touches 16 pages at most and commonly one, of which it took 64 bytes or more; each write may
        sweep four, and each byte written evict four. What was left over from smaller batches is in the fixed part.
        """
        reach_bytes = _REACH_BYTES
        for batch in batches:
            reach_bytes += _REACH_PER_WRITE_BYTES * len(batch.writes) + _REACH_PER_WRITTEN_BYTE * batch.written_bytes
        return reach_bytes

    def apply(self, entries: Entries, txn: "lmdb.Transaction[bytes]", batch: Batch, now_s: float) -> Applied | None:
        """Raises `StoreFull` with nothing of the batch in the transaction, which may have swept and can be committed.

        After any other error the transaction must be aborted.
        """
        if not batch.holds(entries, txn, now_s):
            return None
        self._tidy(entries, txn, batch, now_s)
        if not self._evict and batch.written_bytes and self._too_full(entries, txn, batch, now_s):
            raise StoreFull("the store is full")
        return _write_all(entries, txn, batch.writes, now_s)

    def make(self, entries: Entries, txn: "lmdb.Transaction[bytes]", batch: Batch, now_s: float) -> None:
        """More than a usual turn: after lmdb found no free page, or none that no reader may still look at."""
        entries.sweep(txn, now_s, 4 * _WRITES_PER_TURN)
        entries.evict(txn, _BYTES_PER_TURN + 4 * batch.written_bytes)

    def _tidy(self, entries: Entries, txn: "lmdb.Transaction[bytes]", batch: Batch, now_s: float) -> None:
        writes, unswept_bytes, unmeasured_bytes = self.counts
        writes += len(batch.writes)
        unswept_bytes += batch.written_bytes
        if writes >= _WRITES_PER_TURN or unswept_bytes >= _BYTES_PER_TURN:
            more_expired = entries.sweep(txn, now_s, _SWEPT_PER_WRITE * max(writes, _WRITES_PER_TURN)) <= 0
            unmeasured_bytes -= unswept_bytes
            if self._evict and unmeasured_bytes <= 0:
                unmeasured_bytes = self._evict_above_brim(entries, txn, batch, unswept_bytes)
            writes, unswept_bytes = _WRITES_PER_TURN if more_expired else 0, 0
        self.counts = Counts(writes, unswept_bytes, unmeasured_bytes)

    def _evict_above_brim(
        self, entries: Entries, txn: "lmdb.Transaction[bytes]", batch: Batch, unswept_bytes: int
    ) -> int:
        """How many bytes may be written until the next time: measuring costs more than writing, so it may wait while
        this process can fill but a small share of what is left, as may all others that write."""
        left_bytes = self._brim_bytes(batch) - entries.used_bytes(txn)
        if left_bytes < 0:
            entries.evict(txn, _EVICTED_PER_WRITTEN * unswept_bytes)
        return min(int(left_bytes * _UNMEASURED_SHARE), _UNMEASURED_BYTES_MAX)

    def _brim_bytes(self, batch: Batch) -> float:
        """From how much on to evict: what this batch frees can be written to by the second after it at the earliest.

        Small batches are written together, so it may take longer; what then finds no room makes some.
        """
        return self._bound_bytes * _NEW_KEYS_UNTIL - _BATCHES_IN_WAITING * batch.written_bytes

    def _too_full(self, entries: Entries, txn: "lmdb.Transaction[bytes]", batch: Batch, now_s: float) -> bool:
        if self._fits(entries, txn, batch, _NEW_KEYS_UNTIL):
            return False
        entries.sweep(txn, now_s, 4 * _WRITES_PER_TURN)
        all_known = all(
            isinstance(write, Delete) or entries.live(txn, write.key, now_s) is not None for write in batch.writes
        )
        return not self._fits(entries, txn, batch, _KNOWN_KEYS_UNTIL if all_known else _NEW_KEYS_UNTIL)

    def _fits(self, entries: Entries, txn: "lmdb.Transaction[bytes]", batch: Batch, share: float) -> bool:
        return entries.used_bytes(txn) + batch.written_bytes <= self._bound_bytes * share


def _write_all(entries: Entries, txn: "lmdb.Transaction[bytes]", writes: Sequence[Write], now_s: float) -> Applied:
    counters = []
    for write in writes:
        if type(write) is Put:
            entries.put(txn, write.key, write.value, now_s + write.ttl_s)
        elif type(write) is Add:
            count = read_count(entries.live(txn, write.key, now_s)) + write.amount
            vet_count(count)
            entries.put(txn, write.key, b"%d" % count, now_s + write.ttl_s)
            counters.append(count)
        else:
            entries.delete(txn, write.key)
    return Applied(tuple(counters)) if counters else _NOTHING_COUNTED


def _stored(parts: Sequence[_Part]) -> Sequence[_Part]:
    """Under keys that lmdb takes."""
    return [msgspec.structs.replace(one, key=stored_key(one.key)) for one in parts]
