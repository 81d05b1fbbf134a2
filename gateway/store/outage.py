"""The memory of a failure: a store that hangs costs one caller its timeout, not every caller."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from gateway.store.errors import StoreCorrupted, StoreDown, StoreError


class Outage:
    """While down, `guard` refuses at once for `memory_s` seconds; then it lets one caller at a time find out."""

    def __init__(self, memory_s: float, monotonic: Callable[[], float]) -> None:
        self._memory_s = memory_s
        self._monotonic = monotonic
        self._until_s = 0.0
        self.forget()

    def forget(self) -> None:
        """As if nothing had ever failed, with a lock that no other thread holds."""
        self.trying = threading.Lock()
        self._error: StoreError | None = None

    def guard(self) -> AbstractContextManager[None]:
        """A context for one try. Raises the remembered error instead, if this is not the time or the one to try.

        `StoreDown` and `StoreCorrupted` are remembered. Any other end, `StoreFull` too, shows that the store answers.
        """
        if self._error is None:
            return self
        if self._monotonic() < self._until_s or not self.trying.acquire(blocking=False):
            raise self._remembered()
        return _Probe(self)

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None or self._error is not None:
            self.learn(error)

    def learn(self, error: BaseException | None) -> None:
        if isinstance(error, StoreDown | StoreCorrupted):
            self._until_s = self._monotonic() + self._memory_s
            self._error = type(error)(*error.args)
        elif error is None or isinstance(error, Exception):
            self._error = None

    def _remembered(self) -> StoreError:
        known = self._error
        return StoreDown("the store was down a moment ago") if known is None else type(known)(*known.args)


class _Probe:
    """The one try that is allowed while down."""

    __slots__ = ("_outage",)

    def __init__(self, outage: Outage) -> None:
        self._outage = outage

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._outage.learn(error)
        self._outage.trying.release()
