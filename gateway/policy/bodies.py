"""Large bodies that this process has lately read from the store, so that not every hit moves them."""

from __future__ import annotations

import threading


class Bodies:
    """Bodies by their entity tags, `bound_bytes` of them at most; the ones that came first make room.

    A tag is a digest of its body's bytes: what is here cannot be out of date, and whether it may be shown is not asked
    here.
    """

    def __init__(self, bound_bytes: int) -> None:
        self._bound_bytes = bound_bytes
        self._by_etag: dict[str, bytes] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, etag: str) -> bytes | None:
        return self._by_etag.get(etag)

    def put(self, etag: str, body: bytes) -> None:
        """What is larger than the bound is not kept."""
        with self._lock:
            if etag in self._by_etag or len(body) > self._bound_bytes:
                return
            while self._bytes + len(body) > self._bound_bytes:
                self._bytes -= len(self._by_etag.pop(next(iter(self._by_etag))))
            self._by_etag[etag] = body
            self._bytes += len(body)
