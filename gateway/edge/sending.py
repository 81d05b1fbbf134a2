"""What goes out: at once as much as the caller takes, and the rest when it takes more."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence

from gateway.edge.connection import Connection
from gateway.edge.connections import Connections


class Sending:
    """A caller may take `send_s` seconds over an answer, from its last progress. `sent` is called when one that was
    waited for has taken all. A connection that ends is listened to for `linger_s` seconds, so that the answer is not
    lost to a reset (RFC 9112 §9.6)."""

    def __init__(
        self, connections: Connections, *, send_s: float, linger_s: float, sent: Callable[[Connection], None]
    ) -> None:
        self._connections = connections
        self._send_s = send_s
        self._linger_s = linger_s
        self._sent = sent

    def send(self, connection: Connection, parts: Sequence[bytes]) -> None:
        """For the loop alone. A caller that has gone is dropped."""
        try:
            connection.send(parts)
        except OSError:
            self._connections.drop(connection)
            return
        if connection.unsent is not None:
            self.send_rest(connection)

    def send_rest(self, connection: Connection) -> None:
        """Of what is `unsent`, as the caller takes it."""
        connection.until_s = time.monotonic() + self._send_s
        self._connections.watch_for_room(connection, self._on_writable)

    def end(self, connection: Connection) -> None:
        """Says that nothing more will come, and listens for a moment to what the caller was still sending."""
        connection.until_s = time.monotonic() + self._linger_s
        self._connections.set_arrived(connection, b"")
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._connections.drop(connection)
            return
        self._connections.watch(connection)

    def _on_writable(self, connection: Connection, sock: socket.socket) -> None:
        unsent = connection.unsent or memoryview(b"")
        try:
            sent = sock.send(unsent)
        except BlockingIOError:
            return
        except OSError:
            self._connections.drop(connection)
            return
        connection.until_s = time.monotonic() + self._send_s
        connection.unsent = unsent[sent:] if sent < len(unsent) else None
        if connection.unsent is None:
            self._connections.unwatch(connection)
            self._sent(connection)
