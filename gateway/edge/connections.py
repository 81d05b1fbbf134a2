"""The callers' connections of one loop: which there are, which are watched, and which have waited for too long."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterator
from functools import partial

from gateway.edge.connection import Connection
from gateway.edge.poller import Poller

_NEW_FOR_S = 1.0

Call = Callable[[Connection, socket.socket], None]


class Connections:
    """At most `connections_max`, watched with `poller`, which calls `on_readable` when one has something to be read.

    `arrived_bytes` is what is kept of all requests that are not served yet.
    """

    def __init__(self, poller: Poller, connections_max: int, *, on_readable: Call) -> None:
        self._poller = poller
        self._connections_max = connections_max
        self._on_readable = on_readable
        self._held: set[Connection] = set()
        self.arrived_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._held)

    @property
    def are_full(self) -> bool:
        return len(self._held) >= self._connections_max

    def add(self, connection: Connection) -> None:
        """Raises `OSError` when it cannot be watched, and then has let go of it."""
        self._held.add(connection)
        try:
            self.watch(connection)
        except OSError:
            self.drop(connection)
            raise

    def watch(self, connection: Connection) -> None:
        """For something to be read."""
        if not connection.watched:
            connection.watched = True
            self._poller.register(connection.socket, selectors.EVENT_READ, partial(self._on_readable, connection))

    def watch_for_room(self, connection: Connection, on_writable: Call) -> None:
        """For its caller to take more of an answer, and for nothing else meanwhile."""
        self.unwatch(connection)
        connection.watched = True
        self._poller.register(connection.socket, selectors.EVENT_WRITE, partial(on_writable, connection))

    def unwatch(self, connection: Connection) -> None:
        if connection.watched:
            connection.watched = False
            self._poller.unregister(connection.socket)

    def drop(self, connection: Connection) -> None:
        """Closes it, whatever is left of it; what was dropped already stays so."""
        self.unwatch(connection)
        self.set_arrived(connection, b"")
        if connection in self._held:
            self._held.remove(connection)
            connection.socket.close()

    def set_arrived(self, connection: Connection, data: bytes) -> None:
        """What is not served yet, in the place of what was."""
        self.arrived_bytes += len(data) - len(connection.arrived)
        connection.arrived = bytearray(data)

    def add_arrived(self, connection: Connection, data: bytes) -> None:
        self.arrived_bytes += len(data)
        connection.arrived += data

    def make_room(self, new_until_s: float) -> None:
        """Lets go of some that ask nothing, or take long to ask, for others to be taken: of those whose time would be
        over first, but of nobody who has only just come. One that came now would have until `new_until_s`.
        """
        waiting = [one for one in self._held if not one.busy and one.unsent is None]
        waiting = [one for one in waiting if not new_until_s - _NEW_FOR_S < one.until_s <= new_until_s]
        waiting.sort(key=lambda one: one.until_s)
        for connection in waiting[: 1 + self._connections_max // 50]:
            self.drop(connection)

    def overdue(self, now_s: float) -> list[Connection]:
        """Those that have waited for too long; now at infinity: all for which nothing is being done."""
        return [one for one in self._held if not one.busy and one.until_s <= now_s]

    def hurry(self, until_s: float) -> None:
        """Who asks nothing until then is waited for no longer; who still reads its answer may take its time."""
        for connection in self._held:
            if connection.unsent is None:
                connection.until_s = min(connection.until_s, until_s)
