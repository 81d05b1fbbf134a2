"""Metric values in the files of one worker slot.

The files are the library's, and its collector reads them. Its own value class asks at every count whether the process
has forked and whose files it has; here a process has one slot for life, and a count is one store into the map.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

from prometheus_client.mmap_dict import MmapedDict, mmap_key


class SlotFiles:
    """The files of one slot, one for each kind of metric, opened when the first value of that kind is made."""

    def __init__(self, folder: str, slot: str) -> None:
        self.lock = threading.Lock()
        self._folder = folder
        self._slot = slot
        self._by_kind: dict[str, MmapedDict] = {}

    def place(self, kind: str, key: str) -> memoryview[float]:
        """The value and the timestamp under a key, as the file holds them: 0 and 0 if they are new. Wants the lock."""
        file = self._by_kind.get(kind)
        if file is None:
            path = os.path.join(self._folder, f"{kind}_{self._slot}.db")
            file = self._by_kind[kind] = MmapedDict(path)  # type: ignore[no-untyped-call]
        file.read_value(key)  # type: ignore[no-untyped-call]  # makes it if need be
        start = file._positions[key]
        return memoryview(file._m)[start : start + 16].cast("d")


class Cell:
    """One value, by the library's protocol for values. A file that grows is mapped anew; the old map shows it, too."""

    def __init__(
        self,
        files: SlotFiles,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Iterable[str],
        labelvalues: Iterable[str],
        help_text: str,
        multiprocess_mode: str = "",
    ) -> None:
        kind = f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ
        self._lock = files.lock
        key = mmap_key(metric_name, name, list(labelnames), list(labelvalues), help_text)
        with files.lock:
            self._place = files.place(kind, key)

    def inc(self, amount: float) -> None:
        with self._lock:
            self._place[0] += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        with self._lock:
            self._place[0], self._place[1] = value, timestamp or 0.0

    def get(self) -> float:
        return float(self._place[0])

    def set_exemplar(self, exemplar: object) -> None:
        """Files hold none."""

    def get_exemplar(self) -> None:
        return None
