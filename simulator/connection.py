"""One TCP connection: requests one after the other, and every way to end it rudely."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable

from simulator.answers import Answer, html_answer
from simulator.clock import http_date
from simulator.http_wire import BadRequest, Reader, Request, answer_head

SAFETY_S = 60.0
"""No held call, gate or half-sent request keeps a thread longer than this, in seconds."""

_CHUNK_BYTES = 64 * 1024
_STEERING_IDLE_S = 3600.0


class Gone(Exception):
    """The connection was ended on purpose; nothing more is to be sent."""


class Connection:
    """`handle` answers one request and raises Gone when it has ended the connection itself."""

    def __init__(self, number: int, sock: socket.socket, handle: Callable[[Connection, Request], None]) -> None:
        self.number = number
        self.is_idle = True
        self.is_steering = False
        self.close_after_answer = False
        self.reset_on_reuse = False
        self._sock = sock
        self._handle = handle
        self._is_last = False
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start_tls(self, context: ssl.SSLContext) -> bool:
        """Shake hands; False when the peer does not, or not with us."""
        self._sock.settimeout(SAFETY_S)
        try:
            self._sock.getpeername()  # of a peer that has reset the connection, CPython would leave a socket unclosed
            secured = context.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
            self._sock = secured
            secured.do_handshake()
        except OSError:
            return False
        return True

    def serve(self, idle_s: Callable[[], float]) -> None:
        """Answer requests until either side ends it. `idle_s` is asked before each: seconds to wait for it."""
        reader = Reader(self._receive, self.send)
        with contextlib.suppress(OSError, Gone):
            while not self._is_last and self._await_request(reader, idle_s()):
                self._answer_one(reader)
        self.close()

    def _await_request(self, reader: Reader, idle_s: float) -> bool:
        self.is_idle = True
        if self.close_after_answer:
            return False
        self._sock.settimeout(_STEERING_IDLE_S if self.is_steering else idle_s)
        has_begun = reader.wait()
        self.is_idle = False
        self._sock.settimeout(SAFETY_S)
        if has_begun and self.reset_on_reuse:
            self.reset()
        return has_begun

    def _answer_one(self, reader: Reader) -> None:
        try:
            request = reader.next_request()
        except BadRequest as bad:
            self._is_last = True
            self.send_answer(html_answer(bad.status, str(bad)))
            return
        if request is None:
            raise Gone
        self._is_last = not request.keeps_alive
        self._handle(self, request)

    def _receive(self) -> bytes:
        return self._sock.recv(_CHUNK_BYTES)

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def send_answer(self, answer: Answer) -> None:
        self.send(self.head(answer, len(answer.body)) + answer.body)

    def head(self, answer: Answer, length_bytes: int | None) -> bytes:
        """The status line and headers; with None no length is promised and the end of the connection ends the body."""
        if length_bytes is None:
            self._is_last = True
        headers = [*answer.headers, ("Date", http_date())]
        if length_bytes is not None:
            headers.append(("Content-Length", str(length_bytes)))
        if self._is_last:
            headers.append(("Connection", "close"))
        return answer_head(answer.status, headers)

    def await_peer_end(self) -> None:
        """Wait, unanswering, until the peer gives up, `sever` is called, or the safety time is over."""
        self._sock.settimeout(SAFETY_S)
        with contextlib.suppress(OSError):
            while self._sock.recv(_CHUNK_BYTES):
                pass

    def reset(self) -> None:
        """End with RST instead of FIN; raises Gone."""
        self.abort()
        raise Gone

    def abort(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def close(self) -> None:
        """End in good order: FIN, which a TLS peer sees as an end without a farewell."""
        self._sock.close()

    def sever(self) -> None:
        """End it from another thread: whoever reads or writes here finds it ended."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


class Connections:
    """Those that are open, and how many there ever were."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Connection, threading.Thread] = {}
        self._accepted_total = self._steering_total = 0

    @property
    def opened_total(self) -> int:
        """Without those that turned out to steer."""
        return self._accepted_total - self._steering_total

    def next_number(self) -> int:
        with self._lock:
            self._accepted_total += 1
            return self._accepted_total

    def note_steering(self, connection: Connection) -> None:
        """From its first steering request on, a connection is no longer one of the API's callers."""
        with self._lock:
            self._steering_total += not connection.is_steering
            connection.is_steering = True

    def run(self, connection: Connection, work: Callable[[], None]) -> None:
        """Do `work` in a thread of its own; the connection counts as open until it returns."""
        name = f"simulator-connection-{connection.number}"
        thread = threading.Thread(target=self._run, args=(connection, work), name=name, daemon=True)
        with self._lock:
            self._open[connection] = thread
        thread.start()

    def _run(self, connection: Connection, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            connection.close()
            with self._lock:
                self._open.pop(connection, None)

    def open(self) -> list[Connection]:
        with self._lock:
            return list(self._open)

    def end_callers(self) -> None:
        """End those of the API's callers: the idle ones now, the others after their answer."""
        for connection in self.open():
            if not connection.is_steering:
                connection.close_after_answer = True
                if connection.is_idle:
                    connection.sever()

    def sever_all(self, wait_s: float) -> None:
        """End every one and wait, at most `wait_s` for each thread, until their work is over."""
        with self._lock:
            threads = list(self._open.items())
        for connection, _ in threads:
            connection.sever()
        for _, thread in threads:
            if thread is not threading.current_thread():
                thread.join(wait_s)
