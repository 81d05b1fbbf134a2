"""One connection to the upstream, every step of which ends with the deadline.

A socket's own timeout starts anew with each byte that drips in, so each step here gets what is left of the call's
deadline. llhttp (httptools) parses the answers.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import httptools

from gateway import waiting
from gateway.deadline import Deadline
from gateway.errors import AnswerLost, DeadlinePassed, GarbledAnswer, NotSent
from gateway.upstream.protocol import Answer

_HEAD_BYTES_MAX = 64 * 1024
_FIRST_BYTES = 16 * 1024
_CHUNK_BYTES = 128 * 1024
"""How much is received at a time: most answers are a record, and room that is not used costs time, too."""
_T = TypeVar("_T")
_Argument = TypeVar("_Argument")
_Address = tuple[socket.AddressFamily, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect. `tls` is None for plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


class Resolver:
    """Host names to addresses, in threads of its own: the system's resolver knows no deadline."""

    def __init__(self, lookup: Callable[..., list[Any]] = socket.getaddrinfo) -> None:
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="resolver")

    def addresses(self, origin: Origin, deadline: Deadline) -> list[_Address]:
        """Every address of the origin's host. Raises `NotSent` or `DeadlinePassed`."""
        if (literal := _literal(origin)) is not None:
            return [literal]
        lookup = self._threads.submit(self._lookup, origin.host, origin.port, type=socket.SOCK_STREAM)
        return _addresses(lookup, deadline)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _literal(origin: Origin) -> _Address | None:
    try:
        version = ipaddress.ip_address(origin.host).version
    except ValueError:
        return None
    return (socket.AF_INET if version == 4 else socket.AF_INET6), (origin.host, origin.port)


def _addresses(lookup: Future[list[Any]], deadline: Deadline) -> list[_Address]:
    if not waiting.done(lookup, deadline.remaining_s()):
        lookup.cancel()
        raise DeadlinePassed("The upstream's name was not resolved in time.", sent=False)
    try:
        found = lookup.result()
    except (OSError, UnicodeError) as error:
        raise NotSent("The upstream's name cannot be resolved.") from error
    return [(row[0], row[4][:2]) for row in found]


class Connection:
    """A connected socket that carries one exchange at a time.

    `silent` says that not one byte of the last exchange's answer came; `reusable` that another exchange may follow.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        self._idle_since_s = time.monotonic()
        self.silent = True
        self.reusable = False

    @classmethod
    def open(cls, origin: Origin, resolver: Resolver, deadline: Deadline) -> Connection:
        """Connects, with TLS where the origin has it. Raises `NotSent` or `DeadlinePassed` (nothing sent)."""
        sock = _connect(resolver.addresses(origin, deadline), deadline)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return cls(_secure(sock, origin, deadline))
        except BaseException:
            sock.close()
            raise

    def idle_s(self) -> float:
        """Seconds since the last exchange ended."""
        return time.monotonic() - self._idle_since_s

    def looks_alive(self) -> bool:
        """False when the other side has closed, or sent what nobody asked for."""
        return not self._poll.poll(0)

    def exchange(self, request: bytes, deadline: Deadline, max_bytes: int) -> Answer:
        """Sends a request and reads its answer, of which the body is at most `max_bytes` long.

        Raises `NotSent` when the request cannot have left whole, `AnswerLost` when it did and no whole answer came,
        `DeadlinePassed`, or `GarbledAnswer` for what is not HTTP or too long.
        """
        self.silent = True
        self.reusable = False
        self._send(request, deadline)
        answer = self._receive(deadline, max_bytes)
        self._idle_since_s = time.monotonic()
        return answer

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.close()

    def _send(self, request: bytes, deadline: Deadline) -> None:
        """An incomplete request has a Content-Length that is not met, so nobody can have acted on it."""
        try:
            sent = _patiently(self._sock, waiting.WRITE, self._sock.send, request, deadline)
            while sent < len(request):
                rest = memoryview(request)[sent:]
                sent += _patiently(self._sock, waiting.WRITE, self._sock.send, rest, deadline)
        except TimeoutError:
            raise DeadlinePassed("The request could not be sent to the upstream in time.", sent=False) from None
        except OSError as error:
            raise NotSent("The connection to the upstream broke before the request was out.") from error

    def _receive(self, deadline: Deadline, max_bytes: int) -> Answer:
        reader = _AnswerReader()
        received_bytes = 0
        while not reader.complete:
            if not received_bytes:
                self._await_answer(deadline)
            data = self._receive_some(_CHUNK_BYTES if received_bytes else _FIRST_BYTES, deadline)
            received_bytes += len(data)
            if not data:
                return reader.at_end()
            self.silent = False
            reader.feed(data)
            if reader.body_bytes > max_bytes or received_bytes > 2 * max_bytes + _HEAD_BYTES_MAX:
                raise GarbledAnswer(f"The upstream's answer is longer than {max_bytes} bytes.")
            if not reader.has_head and received_bytes > _HEAD_BYTES_MAX:
                raise GarbledAnswer(f"The head of the upstream's answer is longer than {_HEAD_BYTES_MAX} bytes.")
        self.reusable = reader.keeps_alive
        return reader.answer()

    def _await_answer(self, deadline: Deadline) -> None:
        """There is none yet, so nothing is tried in vain. Of TLS there may be bytes that no socket shows any more."""
        if not isinstance(self._sock, ssl.SSLSocket):
            waiting.ready(self._sock, waiting.READ, deadline.remaining_s())

    def _receive_some(self, most_bytes: int, deadline: Deadline) -> bytes:
        try:
            return _patiently(self._sock, waiting.READ, self._sock.recv, most_bytes, deadline)
        except TimeoutError:
            raise DeadlinePassed("The upstream did not answer in time.", sent=True) from None
        except OSError as error:
            raise AnswerLost("The connection to the upstream broke before its answer was complete.") from error


def _patiently(
    sock: socket.socket, event: int, act: Callable[[_Argument], _T], argument: _Argument, deadline: Deadline
) -> _T:
    """What `act` does with a socket that does not block, when it is ready for the event.

    Raises `TimeoutError`, and as `act` does.
    """
    while (remaining_s := deadline.remaining_s()) > 0:
        try:
            return act(argument)
        except ssl.SSLWantReadError:
            event = waiting.READ
        except ssl.SSLWantWriteError:
            event = waiting.WRITE
        except BlockingIOError:
            pass
        waiting.ready(sock, event, remaining_s)
    raise TimeoutError


def _connect(addresses: list[_Address], deadline: Deadline) -> socket.socket:
    """The first address that takes the connection; each may use its share of the time that is left."""
    failure: OSError | None = None
    for left, (family, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            return _connect_one(family, address, max(deadline.remaining_s() / left, 0.001))
        except OSError as error:
            failure = error
    if deadline.passed:
        raise DeadlinePassed("The upstream did not take the connection in time.", sent=False) from failure
    raise NotSent("The upstream does not take connections.") from failure


def _connect_one(family: socket.AddressFamily, address: tuple[str, int], timeout_s: float) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        error = sock.connect_ex(address)
        if error == errno.EINPROGRESS:
            if not waiting.ready(sock, waiting.WRITE, timeout_s):
                raise TimeoutError
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
    except BaseException:
        sock.close()
        raise
    return sock


def _secure(sock: socket.socket, origin: Origin, deadline: Deadline) -> socket.socket:
    """Takes the socket over; when this fails it is closed."""
    if origin.tls is None:
        return sock
    try:
        secured = origin.tls.wrap_socket(sock, server_hostname=origin.host, do_handshake_on_connect=False)
        try:
            _patiently(secured, waiting.READ, secured.do_handshake, False, deadline)
        except BaseException:
            secured.close()
            raise
        return secured
    except TimeoutError:
        raise DeadlinePassed("The upstream did not finish the TLS handshake in time.", sent=False) from None
    except ssl.SSLCertVerificationError as error:
        raise NotSent("The upstream's certificate could not be verified.") from error
    except OSError as error:
        raise NotSent("The TLS handshake with the upstream failed.") from error


class _AnswerReader:
    """Collects one answer from llhttp's events, passing over interim (1xx) ones."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._status = 0
        self._extra = False
        self.body = bytearray()
        self.complete = False
        self.keeps_alive = False

    @property
    def has_head(self) -> bool:
        return self._status > 0

    @property
    def body_bytes(self) -> int:
        """The length of the body: as promised, or so far."""
        promised = self._headers.get("content-length", "") if self.has_head else ""
        return int(promised) if promised.isdecimal() and len(promised) < 18 else len(self.body)

    def feed(self, data: bytes) -> None:
        """Raises `GarbledAnswer` for what is not HTTP."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self.complete:
                raise GarbledAnswer("The upstream answered with something that is not HTTP.") from None
            self._extra = True
        self.keeps_alive = self.complete and not self._extra and self.keeps_alive

    def at_end(self) -> Answer:
        """The answer when the connection ended. Raises `AnswerLost` unless that end is what marks its body's."""
        if not self._status or {"content-length", "transfer-encoding"} & self._headers.keys():
            raise AnswerLost("The upstream closed the connection before its answer was complete.")
        return self.answer(framed=False)

    def answer(self, *, framed: bool = True) -> Answer:
        return Answer(self._status, self._headers, bytes(self.body), framed)

    def on_message_begin(self) -> None:
        self._extra = self._extra or self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if not self.complete:
            self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        if not self.complete:
            self.body += data

    def on_message_complete(self) -> None:
        if self.complete:
            return
        if self._status < 200:
            self._headers, self._status = {}, 0
            return
        self.keeps_alive = self._parser.should_keep_alive()
        self.complete = True
