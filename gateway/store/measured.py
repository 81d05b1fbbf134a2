"""A store that says how long it takes and what it cannot do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.store.errors import StoreCorrupted, StoreError, StoreFull
from gateway.store.interface import Applied, Check, Status, Store, Write
from gateway.telemetry import Metrics

_T = TypeVar("_T")


class MeasuredStore:
    """A store under its name, with its reads and writes counted and timed. What fails is timed as well."""

    def __init__(self, store: Store, name: str, metrics: Metrics) -> None:
        self._store = store
        self._name = name
        self._metrics = metrics
        self._read_seconds = metrics.store_seconds.labels(name, "read")
        self._write_seconds = metrics.store_seconds.labels(name, "write")

    def get(self, key: bytes) -> bytes | None:
        return self._read(self._store.get, key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._read(self._store.get_many, keys)

    def apply(self, checks: Sequence[Check], writes: Sequence[Write]) -> Applied | None:
        started_s = time.perf_counter()
        try:
            return self._store.apply(checks, writes)
        except StoreError as error:
            self._count("write", error)
            raise
        finally:
            self._write_seconds.observe(time.perf_counter() - started_s)

    def status(self) -> Status:
        return self._store.status()

    def close(self) -> None:
        self._store.close()

    def _read(self, read: Callable[..., _T], what: bytes | Sequence[bytes]) -> _T:
        started_s = time.perf_counter()
        try:
            return read(what)
        except StoreError as error:
            self._count("read", error)
            raise
        finally:
            self._read_seconds.observe(time.perf_counter() - started_s)

    def _count(self, operation: str, error: StoreError) -> None:
        self._metrics.store_errors.labels(self._name, operation, word_for(error)).inc()


def word_for(error: StoreError) -> str:
    """An error as the metrics call it."""
    if isinstance(error, StoreFull):
        return "full"
    return "corrupted" if isinstance(error, StoreCorrupted) else "down"
