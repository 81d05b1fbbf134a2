"""Upstreams that misbehave: a server on a raw socket that does to each connection what a script says.

A script is a function of the `Peer` it talks to; the n-th connection gets the n-th script, all later ones the last.
Nothing sleeps: a script that waits, waits for its peer, for an event, or for the end of the server.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType

SAFETY_S = 30.0
"""No wait here is longer, so that a defect fails a test instead of hanging it."""

OK_BODY = b'<response xmlns="http://www.freshbooks.com/api/" status="ok"><client_id>13</client_id></response>'


class Peer:
    """The server's side of one connection. Losing the client ends the script, quietly."""

    def __init__(self, sock: socket.socket, server: Misbehaving) -> None:
        self.sock = sock
        self._server = server
        sock.settimeout(SAFETY_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read_request(self) -> bytes:
        """One whole request, head and body; raises ConnectionError when the client is gone before its end."""
        data = bytearray()
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < int(length.partition(b":")[2]):
            body += self._receive()
        request = bytes(head + b"\r\n\r\n" + body)
        self._server.note_request(request)
        return request

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, data: bytes) -> bytes:
        """Reads a request, sends these bytes, returns the request."""
        request = self.read_request()
        self.send(data)
        return request

    def drip(self, data: bytes) -> None:
        """A byte at a time, for as long as the client stays: the last byte never comes."""
        for at in range(len(data) - 1):
            self.send(data[at : at + 1])
            if self.server_is_over(0.02):
                return
        self.wait_for_client_to_leave()

    def wait_for_client_to_leave(self) -> None:
        """Reads on, and forgets what it reads."""
        while self.sock.recv(65536):
            pass

    def server_is_over(self, wait_s: float) -> bool:
        """Waits so long for the end of the server."""
        return self._server.over.wait(wait_s)

    def wait_for_the_end(self) -> None:
        """Neither reads nor writes until the server is over."""
        self._server.over.wait(SAFETY_S)

    def reset(self) -> None:
        """An end with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def sever(self) -> None:
        """Ends it from another thread: whoever reads or writes here finds it ended."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def _receive(self) -> bytes:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the client is gone")
        return data


Script = Callable[[Peer], None]


class Misbehaving:
    """A server on loopback. `tls` is the context of a server that speaks TLS; None: plain."""

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        family: socket.AddressFamily = socket.AF_INET,
    ) -> None:
        self._scripts = scripts
        self._tls = tls
        self._host = host
        self._changed = threading.Condition()
        self._peers: list[Peer] = []
        self._ended_total = 0
        self.requests: list[bytes] = []
        self.over = threading.Event()
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}/api/2.1/xml-in"

    @property
    def connections_total(self) -> int:
        return len(self._peers)

    @property
    def open_total(self) -> int:
        return self.connections_total - self._ended_total

    def note_request(self, request: bytes) -> None:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()

    def wait_until(self, predicate: Callable[[Misbehaving], bool]) -> None:
        """Wait for something about the connections or requests to be true."""
        with self._changed:
            assert self._changed.wait_for(lambda: predicate(self), SAFETY_S)

    def __enter__(self) -> Misbehaving:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._peers:
            peer.sever()
        self.wait_until(lambda server: server.open_total == 0)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                peer = Peer(sock, self)
                with self._changed:
                    self._peers.append(peer)
                    script = self._scripts[min(len(self._peers), len(self._scripts)) - 1]
                threading.Thread(target=self._run, args=(script, peer), daemon=True).start()

    def _run(self, script: Script, peer: Peer) -> None:
        with contextlib.suppress(OSError):
            if self._tls is not None:
                peer.start_tls(self._tls)
            script(peer)
        with contextlib.suppress(OSError):
            peer.sock.close()
        with self._changed:
            self._ended_total += 1
            self._changed.notify_all()


def http(body: bytes = OK_BODY, *, status: str = "200 OK", headers: str = "", length: int | None = None) -> bytes:
    """An answer with its length; `length` promises another one."""
    promised = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {promised}\r\n{headers}\r\n".encode() + body


def unframed(body: bytes = OK_BODY) -> bytes:
    """An answer whose body only the end of the connection ends."""
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


def answering_always(data: bytes) -> Script:
    """Answers each request of the connection with the same bytes, until the client leaves."""

    def script(peer: Peer) -> None:
        while True:
            peer.answer(data)

    return script


def answering_once(data: bytes) -> Script:
    """Answers one request and closes."""

    def script(peer: Peer) -> None:
        peer.answer(data)

    return script


def silent(peer: Peer) -> None:
    """Takes all and answers nothing."""
    peer.read_request()
    peer.wait_for_client_to_leave()


def deaf(peer: Peer) -> None:
    """Does not even read."""
    peer.wait_for_the_end()


def full_backlog() -> tuple[socket.socket, list[socket.socket]]:
    """A listener that takes no more connections, and those that fill it: a connect to it hangs. Close them all."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers: list[socket.socket] = []
    while True:
        filler = socket.socket()
        filler.settimeout(0.2)
        fillers.append(filler)
        try:
            filler.connect(listener.getsockname())
        except TimeoutError:
            return listener, fillers
