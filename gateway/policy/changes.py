"""What a write means for the copies: they are untrue from before it is sent, and may be true again after its answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.deadline import Deadline
from gateway.errors import GatewayError, RecordNotFound, RpcOutcome, UpstreamError, Written
from gateway.policy.debts import Debts
from gateway.policy.stamps import Stamps, Write
from gateway.store.errors import StoreError

_LEAVE_ALL_AS_IT_WAS = frozenset({RpcOutcome.NOT_SENT, RpcOutcome.REJECTED, RpcOutcome.THROTTLED, RpcOutcome.AUTH})


class Changes:
    """Writes, as the stamps see them."""

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps
        self._debts = Debts(stamps)

    def untold(self) -> bool:
        """Whether this process has made changes that the store does not know of yet."""
        return self._debts.any()

    @contextmanager
    def around(self, resource: str, key: int | None, deadline: Deadline) -> Iterator[list[int]]:
        """Around everything that sends a write and waits for its answer.

        The ids of records that the write made are to be put into the list it yields. A write whose outcome is unknown,
        or whose worker dies, counts as under way until it can no longer be applied.
        """
        keys = [self._stamps.epoch_key(resource)]
        if key is not None:
            keys.append(self._stamps.record_key(resource, key))
        made: list[int] = []
        until_s = self._stamps.until_s(deadline.remaining_s())
        write = self._enter(keys, until_s)
        try:
            yield made
        except GatewayError as error:
            if error.written is not Written.UNKNOWN:
                self._leave(write, keys, [], changed=_may_have_changed(error))
            elif write is None:
                self._debts.owe(keys, until_s)
            raise
        self._leave(write, keys, [self._stamps.record_key(resource, one) for one in made], changed=True)

    def _enter(self, keys: list[bytes], until_s: float) -> Write | None:
        try:
            return self._stamps.enter(keys, until_s)
        except StoreError:
            return None

    def _leave(self, write: Write | None, keys: list[bytes], also: list[bytes], *, changed: bool) -> None:
        """A store that cannot be asked now is told later, and until then nothing is taken from the cache here."""
        try:
            if write is None:
                if changed:
                    self._stamps.move(dict.fromkeys([*keys, *also], 0.0))
            elif changed or not self._stamps.undo(write):
                self._stamps.leave(write, also)
        except StoreError:
            self._debts.owe([*keys, *also])


def _may_have_changed(error: GatewayError) -> bool:
    """Whether a write that was not applied tells that copies are untrue all the same."""
    if isinstance(error, RecordNotFound):
        return True
    return isinstance(error, UpstreamError) and error.outcome not in _LEAVE_ALL_AS_IT_WAS
