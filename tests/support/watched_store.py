"""A store that tells what it is asked for, lets a batch wait and can be cut off."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from gateway.store.errors import StoreDown
from gateway.store.interface import Applied, Check, Delete, Status, Store, Write

SAFETY_S = 30.0
"""No wait is longer, so that a defect fails a test instead of hanging it."""


class Gate:
    """Where one batch waits."""

    def __init__(self, prefix: bytes, when: Callable[[Write], bool] | None) -> None:
        self.prefix = prefix
        self._when = when
        self.reached, self.opened = threading.Event(), threading.Event()

    def holds(self, checks: Sequence[Check], writes: Sequence[Write]) -> bool:
        """Whether this is the batch that is to wait."""
        when = self._when
        touching = [*checks, *writes] if when is None else [one for one in writes if when(one)]
        return any(one.key.startswith(self.prefix) for one in touching)


class WatchedStore:
    """A store that tells who has asked it for what, and that can be cut off (`is_down`)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._asked: set[tuple[int, bytes]] = set()
        self._writes: Counter[bytes] = Counter()
        self._deletions: Counter[bytes] = Counter()
        self._batches_total = 0
        self._gate: Gate | None = None
        self.is_down = False

    def get(self, key: bytes) -> bytes | None:
        self._note([key])
        return self._store.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._note(keys)
        return self._store.get_many(keys)

    def apply(self, checks: Sequence[Check], writes: Sequence[Write]) -> Applied | None:
        keys = [one.key for one in (*checks, *writes)]
        self._note(keys)
        self._wait_if_held(checks, writes)
        applied = self._store.apply(checks, writes)
        if applied is not None:
            with self._changed:
                self._batches_total += 1
                self._writes.update(_kind(one.key) for one in writes)
                self._deletions.update(_kind(one.key) for one in writes if isinstance(one, Delete))
                self._changed.notify_all()
        return applied

    def status(self) -> Status:
        return self._store.status()

    def close(self) -> None:
        self._store.close()

    def wait_for(self, prefix: bytes, threads: int) -> None:
        """Waits until so many threads have asked for keys that begin so."""

        def count() -> int:
            return len({thread for thread, key in self._asked if key.startswith(prefix)})

        with self._changed:
            assert self._changed.wait_for(lambda: count() >= threads, SAFETY_S), f"{count()} of {threads} came"

    def wait_for_write(self, prefix: bytes) -> None:
        """Waits until the next write to a key that begins so is done."""
        with self._changed:
            seen = self._writes[prefix]
            assert self._changed.wait_for(lambda: self._writes[prefix] > seen, SAFETY_S), "nobody wrote"

    def hold_next(self, prefix: bytes, when: Callable[[Write], bool] | None = None) -> Gate:
        """The next batch that touches a key that begins so waits; with `when` the next with such a write to one."""
        self._gate = Gate(prefix, when)
        return self._gate

    def batches_total(self) -> int:
        """How many batches have been applied."""
        with self._changed:
            return self._batches_total

    def _wait_if_held(self, checks: Sequence[Check], writes: Sequence[Write]) -> None:
        gate = self._gate
        if gate is not None and gate.holds(checks, writes):
            self._gate = None
            gate.reached.set()
            assert gate.opened.wait(SAFETY_S)

    def keys_asked(self) -> list[bytes]:
        """Every key that was asked for so far."""
        with self._changed:
            return sorted({key for _, key in self._asked})

    def watch_anew(self) -> None:
        """Forgets who has asked so far."""
        with self._changed:
            self._asked.clear()

    def deletions_of(self, prefix: bytes) -> int:
        """How many keys that begin so were deleted."""
        return self._deletions[prefix]

    def _note(self, keys: Sequence[bytes]) -> None:
        with self._changed:
            self._asked.update((threading.get_ident(), key) for key in keys)
            self._changed.notify_all()
        if self.is_down:
            raise StoreDown("cut off")


def _kind(key: bytes) -> bytes:
    return key.partition(b":")[0] + b":"
