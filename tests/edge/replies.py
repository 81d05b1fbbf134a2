"""Answers as they come over the wire, byte for byte, and what of them may differ between two gateways."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from typing import NamedTuple

SAFETY_S = 30.0
LAST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: last\r\nConnection: close\r\n\r\n"
"""Sent after what is tried: its answer shows that both sides agree on where that ended."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
_SPAN = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")


class Reply(NamedTuple):
    """One answer. `headers` are in the order and the spelling in which they came."""

    status_line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.status_line.split(" ")[1])

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)


def split(stream: bytes, method: str) -> tuple[Reply, bytes] | None:
    """The answer that a stream begins with, to a request with this method, and what comes after it; None: it has not
    come whole."""
    head, end, rest = stream.partition(b"\r\n\r\n")
    if not end:
        return None
    status_line, *lines = head.decode("latin-1").split("\r\n")
    size = _body_bytes(head + b"\r\n", rest, method, int(status_line.split(" ")[1]))
    if size is None or len(rest) < size:
        return None
    fields = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
    return Reply(status_line, fields, rest[:size]), rest[size:]


def _body_bytes(head: bytes, rest: bytes, method: str, status: int) -> int | None:
    if method == "HEAD" or status < 200 or status in (204, 304):
        return 0
    if found := _LENGTH.search(head):
        return int(found[1])
    if _CHUNKED.search(head):
        end = rest.find(b"0\r\n\r\n")
        return None if end < 0 else end + 5
    return len(rest)


def all_of(stream: bytes, methods: Sequence[str]) -> list[Reply]:
    """Every answer in a stream; what is no whole answer fails. Those after the first ones are to GETs."""
    found: list[Reply] = []
    asked = list(methods)
    while stream:
        parts = split(stream, asked[0] if asked else "GET")
        assert parts is not None, stream[:2000]
        reply, stream = parts
        if asked[:1] == ["HEAD"] and reply.status >= 400 and reply.header("Connection") == "close":
            reply, stream = (
                reply._replace(body=stream),
                b"",
            )  # who was not understood may not have been known to be HEAD
        if reply.status >= 200 and asked:
            asked.pop(0)
        found.append(reply)
    return found


def exchange(address: tuple[str, int], data: bytes, method: str, *, at_once: bool) -> bytes:
    """All that a gateway answers to some bytes and the `LAST` request. `at_once`: that is not held back until there is
    an answer to the first."""
    with socket.create_connection(address, timeout=SAFETY_S) as line:
        stream = b""
        try:
            line.sendall(data + (LAST if at_once else b""))
            while not at_once and split(stream, method) is None and (more := line.recv(65536)):
                stream += more
            if not at_once:
                line.sendall(LAST)
            line.shutdown(socket.SHUT_WR)
            while more := line.recv(65536):
                stream += more
        except (ConnectionResetError, BrokenPipeError):
            pass
        return stream


def normal(reply: Reply, request: bytes) -> Reply:
    """An answer without what two gateways may tell differently: dates, ages, and ids that its request did not name."""
    given = reply.header("X-Request-Id")
    named = given is not None and given.encode() in request
    body = reply.body if named or given is None else reply.body.replace(given.encode(), b"*")
    return Reply(reply.status_line, tuple((name, _value(name, value, request)) for name, value in reply.headers), body)


def _value(name: str, value: str, request: bytes) -> str:
    match name.lower():
        case "date" | "age":
            return "*"
        case "cache-status":
            return re.sub(r"ttl=-?\d+", "ttl=*", value)
        case "x-request-id":
            return value if value.encode() in request else "*"
        case "traceparent" if found := _SPAN.fullmatch(value):
            return f"{found[1] if found[1].encode() in request else '*'} {found[2]}"
    return value
