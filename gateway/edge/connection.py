"""A caller's connection: the loop reads and writes it; a thread that serves a request sees only what has arrived."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, cast

from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import TConn

from gateway.edge.arrival import Arrival

CHUNK_BYTES = 8 * 1024


class Port:
    """The socket as gunicorn's parser and responses see it: what they write is collected, and what they read beyond
    what has arrived is what is there at once, so that no thread ever waits for a caller.

    `is_spent`: it is not known where another request would begin, or there will be none. `has_leave`: the caller has
    got leave to go on with its request already.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._written: list[bytes] = []
        self.is_spent = False
        self.has_leave = False

    def sendall(self, data: bytes) -> None:
        self._written.append(data)

    def take_written(self) -> bytes:
        written, self._written = b"".join(self._written), []
        return written

    def send(self, data: bytes) -> int:
        """Leave to go on with a request."""
        if not self.has_leave:
            self._written.append(data)
        self.has_leave = False
        return len(data)

    def recv(self, size: int) -> bytes:
        """Nothing when nothing is there, as from a caller who has hung up."""
        try:
            data = self._sock.recv(size)
        except BlockingIOError:
            data = b""
        self.is_spent = self.is_spent or not data
        return data

    def setblocking(self, flag: bool) -> None:
        """The loop's own business."""

    def gettimeout(self) -> float:
        return 0.0

    def settimeout(self, timeout: float | None) -> None:
        """The loop's own business."""

    def fileno(self) -> int:
        return self._sock.fileno()

    def shutdown(self, how: int) -> None:
        self.is_spent = True

    def close(self) -> None:
        """The loop will, once what was written is sent."""
        self.is_spent = True


class Connection(TConn):
    """`arrived` is what has come and is not served yet, `unsent` what the caller has not taken yet.

    `for_metrics`: it came in at the address that is for metrics alone. `busy`: a thread serves a request. `watched`:
    the loop is told when something comes. `last`: nothing more is served. `until_s` is when the loop gives up waiting,
    on the monotonic clock.
    """

    def __init__(self, cfg: Config, sock: socket.socket, client: Any, server: Any, *, for_metrics: bool) -> None:
        super().__init__(cfg, sock, client, server)
        self.for_metrics = for_metrics
        self.socket = sock
        self.port = Port(sock)
        self.sock = cast(socket.socket, self.port)
        self.data_ready = True
        self.arrived = bytearray()
        self.arrival: Arrival | None = None
        self.unsent: memoryview | None = None
        self.busy = False
        self.watched = False
        self.last = False
        self.until_s = 0.0

    def send(self, parts: Sequence[bytes]) -> None:
        """Sends what can be sent at once; the rest is then `unsent`. Raises `OSError`."""
        try:
            sent = self.socket.send(parts[0]) if len(parts) == 1 else self.socket.sendmsg(parts)
        except BlockingIOError:
            sent = 0
        if sent < (len(parts[0]) if len(parts) == 1 else sum(map(len, parts))):
            self.unsent = _without(sent, parts)

    def unread(self, data: bytes) -> None:
        """Gives bytes to gunicorn's parser, before whatever comes after them."""
        self.init()
        cast(RequestParser, self.parser).unreader.unread(data)

    def take_read_ahead(self) -> bytes:
        """What gunicorn's parser has read of the next request."""
        return b"" if self.parser is None else cast(RequestParser, self.parser).unreader.take_buffered()


def _without(sent: int, parts: Sequence[bytes]) -> memoryview:
    """What is left of an answer; one that many callers get is not copied for each."""
    if len(parts) == 2 and sent >= len(parts[0]):
        return memoryview(parts[1])[sent - len(parts[0]) :]
    return memoryview(b"".join(parts))[sent:]
