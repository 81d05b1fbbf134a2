"""What a loop waits for, by file descriptor: as `selectors.EpollSelector`, without a key object for every event."""

from __future__ import annotations

import select
import selectors
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

Callback = Callable[[Any], None]
_MASKS = {selectors.EVENT_READ: select.EPOLLIN, selectors.EVENT_WRITE: select.EPOLLOUT}
_EVENTS_MAX = 256


class HasFileno(Protocol):
    def fileno(self) -> int: ...


class Poller:
    """Calls of those who are ready. The methods that gunicorn's worker calls are named as in `selectors`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, tuple[Callback, Any]] = {}

    def register(self, file: int | HasFileno, events: int, callback: Callback) -> None:
        """From now on `callback(file)` is to be called when there is something to read or room to write."""
        number = file if isinstance(file, int) else file.fileno()
        self._epoll.register(number, _MASKS[events])
        self._calls[number] = (callback, file)

    def register_once(self, file: HasFileno, events: int, callback: Callback) -> None:
        """As `register`, for one call; the file may have been registered so before, and is `unregister`ed if it is not
        called."""
        number, mask = file.fileno(), _MASKS[events] | select.EPOLLONESHOT
        try:
            self._epoll.modify(number, mask)
        except FileNotFoundError:
            self._epoll.register(number, mask)
        self._calls[number] = (callback, file)

    def unregister(self, file: int | HasFileno) -> None:
        """A file that was closed meanwhile is waited for no more in any case."""
        number = file if isinstance(file, int) else file.fileno()
        self._calls.pop(number, None)
        with suppress(OSError, ValueError):
            self._epoll.unregister(number)

    def ready(self, timeout_s: float | None) -> list[tuple[Callback, Any]]:
        """The calls to be made now, after waiting for one for at most `timeout_s` seconds; None: for ever.

        A call may unregister another that is in the list.
        """
        calls = self._calls
        return [calls[number] for number, _ in self._epoll.poll(timeout_s, _EVENTS_MAX)]

    def close(self) -> None:
        self._epoll.close()
