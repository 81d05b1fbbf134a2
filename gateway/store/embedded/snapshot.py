"""Many looks at one instant of an embedded store."""

from __future__ import annotations

from collections.abc import Sequence

import lmdb

from gateway.store.embedded.entries import HEAD, LONGEST_PLAIN_KEY_BYTES, read_head
from gateway.store.embedded.environment import View
from gateway.store.errors import StoreDown


class Snapshot:
    """The entries at one instant. `id` is the same for two snapshots only if nothing was written in between.

    It must be closed soon: pages that it still shows cannot be used again.
    """

    __slots__ = ("_txn", "close", "id")

    def __init__(self, view: View) -> None:
        self._txn = view.begin(view.data)
        self.id = (view.generation, self._txn.id())
        self.close = self._txn.abort

    def values(self, keys: Sequence[bytes], now_s: float) -> list[bytes | None]:
        """The live values under keys; None also for what takes more than one look. Raises `StoreError`."""
        try:
            return [_value(self._txn.get(key), now_s) for key in keys if len(key) <= LONGEST_PLAIN_KEY_BYTES]
        except lmdb.Error as error:
            raise StoreDown(f"an entry could not be read: {type(error).__name__}") from None


def _value(raw: bytes | None, now_s: float) -> bytes | None:
    if raw is None:
        return None
    expires_at_s, chunk_total = read_head(raw)
    return raw[HEAD.size :] if not chunk_total and expires_at_s > now_s else None
