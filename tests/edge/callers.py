"""Callers that send bytes as they like, and take answers when they like."""

from __future__ import annotations

import select
import socket
import struct
from types import TracebackType

import psutil

from tests.edge.replies import SAFETY_S, Reply, split
from tests.operations.watching import workers
from tests.support.server import GatewayProcess

_ABORT = struct.pack("ii", 1, 0)


class Caller:
    """One connection. `takes_bytes` is how much it takes before it has been read; None: as the system likes it."""

    def __init__(self, gateway: GatewayProcess, takes_bytes: int | None = None) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if takes_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, takes_bytes)
        self._socket.settimeout(SAFETY_S)
        try:
            self._socket.connect((gateway.host, gateway.port))
        except OSError:
            self._socket.close()
            raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._seen = b""

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def end(self) -> None:
        """Says that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def reply(self, method: str = "GET") -> Reply:
        """The next answer. Raises `ConnectionError` when there is none."""
        while (found := split(self._seen, method)) is None:
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionError(f"closed after {self._seen!r}")
            self._seen += more
        reply, self._seen = found
        return reply

    def has_more(self) -> bool:
        """Whether something has come that was not read yet."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def rest(self) -> bytes:
        """What comes until the gateway closes the connection."""
        try:
            while more := self._socket.recv(65536):
                self._seen += more
        except ConnectionResetError:
            pass
        return self._seen

    def abort(self) -> None:
        """Hangs up with a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        self._socket.close()

    def __enter__(self) -> Caller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


def get(target: str, *lines: str) -> bytes:
    """A plain read, unless the header lines say otherwise."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def post(body: bytes, *lines: str) -> bytes:
    """A create."""
    fields = ("Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}", *lines, "", "")
    return "\r\n".join(["POST /clients HTTP/1.1", *fields]).encode() + body


def ask(gateway: GatewayProcess, data: bytes) -> Reply:
    """One request on a connection of its own. Once it is answered, a gateway with one worker has seen all that came
    before it."""
    with Caller(gateway) as caller:
        caller.send(data)
        return caller.reply()


def callers_total(gateway: GatewayProcess) -> int:
    """How many connections of callers its only worker holds."""
    (pid,) = workers(gateway)
    sockets = psutil.Process(pid).net_connections(kind="tcp")
    return sum(one.laddr.port == gateway.port and one.status != psutil.CONN_LISTEN for one in sockets)
