"""The store in a folder, for all processes of one machine: lmdb, read without locks, written by one at a time.

What threads and tasks of one process want to write at once is written in one transaction, batch after batch: beginning
and ending one, and syncing it, costs as much as many batches.

A process killed at any point leaves the last whole batch. What is read is never older than the last batch that any
process has finished. Not for network file systems.
"""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import lmdb

from gateway import waiting
from gateway.store.embedded.entries import HEAD, LONGEST_PLAIN_KEY_BYTES, read_head, stored_key
from gateway.store.embedded.environment import View
from gateway.store.embedded.line import Line, Pending
from gateway.store.embedded.opening import Opening
from gateway.store.embedded.room import Batch, Counts, Room
from gateway.store.embedded.snapshot import Snapshot
from gateway.store.errors import StoreCorrupted, StoreDown, StoreError, StoreFull
from gateway.store.fork import tell_of_forks
from gateway.store.interface import Applied, Check, Status, Write, vet, vet_key
from gateway.store.outage import Outage

LEAST_BOUND_BYTES = 1 << 20
_TRIES = 4
_WRITER_TIMEOUTS_MAX = 50
_DOWN = (StoreDown, StoreCorrupted)
_T = TypeVar("_T")


class _MovedError(Exception):
    """Another process has replaced the files; look again."""


class _CommitError(Exception):
    """The batch may have been applied, so it must not be tried again."""

    def __init__(self, error: lmdb.Error) -> None:
        super().__init__()
        self.error = error


class EmbeddedStore:
    """Opened at first use, anew in every forked child. One folder can be open once in a process.

    `durable`: a batch is on the disk before `apply` returns, and damage raises `StoreCorrupted` until an operator has
    moved the files away. Otherwise the store forgets with the machine, and a damaged one is put aside, told to
    `on_damage` once, and replaced by an empty one.
    `evict`: near the bound, what would expire first makes room. Otherwise `StoreFull`: new keys from 75 % on, larger
    values under known keys from 90 % on, so that what was begun can be finished.
    The file never grows beyond `bound_bytes`; a lowered bound holds for entries at once, for the file once it is new.
    """

    def __init__(
        self,
        path: str,
        bound_bytes: int,
        *,
        durable: bool,
        evict: bool,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        lock_timeout_s: float | None = None,
        outage_memory_s: float = 0.25,
        on_damage: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Touches nothing yet. `lock_timeout_s` bounds the wait for another writer: 0.5, or 1 when durable.

        Raises `ValueError` for a bound under 1 MiB.
        """
        if bound_bytes < LEAST_BOUND_BYTES:
            raise ValueError(f"a store needs a bound of at least {LEAST_BOUND_BYTES} bytes")
        self._bound_bytes = bound_bytes
        self._evict = evict
        self._clock = clock
        self._opening = Opening(
            os.path.abspath(path),
            bound_bytes,
            durable=durable,
            lock_timeout_s=lock_timeout_s or (1.0 if durable else 0.5),
            outage=Outage(outage_memory_s, monotonic),
            on_damage=on_damage,
        )
        self._writing = Outage(outage_memory_s, monotonic)
        self._line = Line()
        self._room = Room(bound_bytes, evict=evict)
        tell_of_forks(self)

    def __repr__(self) -> str:
        return f"EmbeddedStore({self._opening.path!r})"

    def get(self, key: bytes) -> bytes | None:
        if len(key) > LONGEST_PLAIN_KEY_BYTES:
            return self._get_many_anew((key,))[0]
        view = self._opening.view
        if view is None or view.stamp[0] != view.generation:
            return self._get_many_anew((key,))[0]
        try:
            txn = view.begin(view.data)
            raw = txn.get(key)
            if raw is None:
                txn.abort()
                return None
            expires_at_s, chunk_total = read_head(raw)
            value = view.entries.join(txn, key, chunk_total) if chunk_total else raw[HEAD.size :]
            txn.abort()
        except lmdb.Error:
            return self._get_many_anew((key,))[0]
        return value if expires_at_s > self._clock() else None

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        view = self._opening.view
        if view is None or view.stamp[0] != view.generation:
            return self._get_many_anew(keys)
        for key in keys:
            if not 0 < len(key) <= LONGEST_PLAIN_KEY_BYTES:
                return self._get_many_anew(keys)
        try:
            return view.read(keys, self._clock())
        except lmdb.Error:
            return self._get_many_anew(keys)

    def snapshot(self) -> Snapshot:
        """The entries as they lie here at this instant. Raises `StoreError`."""
        view = self._opening.view
        if view is None or view.stamp[0] != view.generation:
            view = self._opening.enter()
        try:
            return Snapshot(view)
        except lmdb.Error as error:
            raise self._opening.learn(view, error) from None

    def _get_many_anew(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """As `get_many`, for any keys and whatever has become of the view."""
        for key in keys:
            vet_key(key)
        stored = [stored_key(key) for key in keys]
        return self._with_view(lambda view: view.read(stored, self._clock()))

    def apply(self, checks: Sequence[Check], writes: Sequence[Write]) -> Applied | None:
        vet(checks, writes)
        batch = Batch(checks, writes)
        self._room.vet(batch)
        pending = self._line.put(batch)
        try:
            waiting.give_way()
            if not pending.ended:
                self._write_until(pending)
        finally:
            if not pending.ended:
                self._line.withdraw(pending)
        return pending.result()

    def status(self) -> Status:
        try:
            return self._with_view(self._status_of)
        except StoreError:
            return Status(reachable=False, bound_bytes=self._bound_bytes, evicts=self._evict)

    def close(self) -> None:
        self._opening.close()

    def before_fork(self) -> None:
        self._opening.before_fork()

    def after_fork_in_parent(self) -> None:
        self._opening.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        self._opening.after_fork_in_child()
        self._writing.forget()
        self._line = Line()

    def _status_of(self, view: View) -> Status:
        with view.env.begin() as txn:
            used_bytes = view.entries.used_bytes(txn)
            entries = txn.stat(view.entries.data)["entries"]
        return Status(True, used_bytes, self._bound_bytes, entries, self._evict)

    def _with_view(self, action: Callable[[View], _T], batch: Batch | None = None) -> _T:
        """Runs `action`, again where a new look or more room may help. Raises `StoreError`."""
        refusal: StoreError | None = None
        for _ in range(_TRIES):
            view = self._opening.enter()
            try:
                return action(view)
            except _MovedError:
                continue
            except _CommitError as failure:
                raise self._opening.learn(view, failure.error) from None
            except lmdb.Error as error:
                refusal = self._opening.learn(view, error)
            if isinstance(refusal, StoreCorrupted) or (isinstance(refusal, StoreFull) and not self._evict):
                break
            if isinstance(refusal, StoreFull) and batch is not None:
                self._make_room(view, batch)
        raise refusal or StoreDown(f"the files in {self._opening.path} keep changing")

    def _write_until(self, pending: Pending) -> None:
        """Writes what waits, in order, until this is written: here, or by others while it waited for its turn."""
        try:
            with self._writing.guard(), self._opening.turn:
                while not pending.ended:
                    group = self._line.take()
                    if (down := self._write_group(group)) is not None:
                        raise _again(down)
                    if not group:
                        raise StoreDown(f"a batch for the store in {self._opening.path} was lost")
        except StoreError:
            if not pending.ended and not self._line.withdraw(pending):
                self._await_writer(pending)
            if not pending.ended:
                raise

    def _await_writer(self, pending: Pending) -> None:
        """Somebody is writing it just now, within a few timeouts: how it ends is to be told, not that it took long."""
        for _ in range(_WRITER_TIMEOUTS_MAX):
            if pending.ended:
                return
            with contextlib.suppress(StoreDown), self._opening.turn:
                pass

    def _write_group(self, group: list[Pending]) -> StoreError | None:
        """Ends each of them. What makes the store unusable is told to all that it keeps from being written."""
        down: StoreError | None = None
        try:
            if len(group) > 1 and self._write_together(group):
                return None
            for one in group:
                if down is None:
                    down = self._write_alone(one)
                else:  # to wait for each of them would hold up all
                    one.end(None, _again(down))
        except StoreError as error:
            down = error
        finally:
            for one in group:
                if not one.ended:
                    one.end(None, _again(down) if down else StoreDown("the thread that was to write this has ended"))
        return down

    def _write_alone(self, one: Pending) -> StoreError | None:
        try:
            one.end(self._with_view(partial(self._write, batches=[one.batch]), one.batch)[0])
        except Exception as error:  # noqa: BLE001  told to whoever wanted it written
            one.end(None, error)
            return error if isinstance(error, _DOWN) else None
        return None

    def _write_together(self, group: list[Pending]) -> bool:
        """False: nothing was written, because one of them failed; so that each can be tried by itself.

        Raises `StoreError` when that would be of no use, or when nobody knows what was written.
        """
        try:
            view = self._opening.enter()
            for one, applied in zip(group, self._write(view, [one.batch for one in group]), strict=True):
                one.end(applied)
        except _CommitError as failure:
            raise self._opening.learn(view, failure.error) from None
        except _DOWN:
            raise
        except Exception:  # noqa: BLE001  it comes again for whoever is to be told
            return False
        return True

    def _write(self, view: View, batches: Sequence[Batch]) -> list[Applied | None]:
        """All of them, in their order, in one transaction."""
        with view.folder.lock:
            if view.moved():
                raise _MovedError
            self._reach(view, batches)
            now_s, counts = self._clock(), self._room.counts
            txn = view.begin(write=True)
            try:
                applied = [self._room.apply(view.entries, txn, batch, now_s) for batch in batches]
            except StoreFull:
                if len(batches) == 1:
                    _commit(txn)  # what has been swept
                else:
                    self._abort(txn, counts)
                raise
            except BaseException:
                self._abort(txn, counts)
                raise
            _commit(txn)
        return applied

    def _abort(self, txn: "lmdb.Transaction[bytes]", counts: Counts) -> None:
        txn.abort()
        self._room.counts = counts

    def _make_room(self, view: View, batch: Batch) -> None:
        """Also asks for the pages that dead readers still hold. If even this finds no room, the batch is refused."""
        view.env.reader_check()
        with contextlib.suppress(lmdb.MapFullError), view.folder.lock:
            self._reach(view, [batch])
            with view.begin(write=True) as txn:
                self._room.make(view.entries, txn, batch, self._clock())

    def _reach(self, view: View, batches: Sequence[Batch]) -> None:
        if view.allocation is not None:
            view.allocation.reach(self._room.reach_bytes(batches))


def _again(error: StoreError) -> StoreError:
    """The same for somebody else."""
    return type(error)(*error.args)


def _commit(txn: "lmdb.Transaction[bytes]") -> None:
    try:
        txn.commit()
    except lmdb.MapFullError:
        raise
    except lmdb.Error as error:
        raise _CommitError(error) from None
