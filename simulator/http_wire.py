"""HTTP/1.1 bytes: requests in, answers out. Sockets are the connection's."""

from __future__ import annotations

import http
from collections.abc import Callable, Iterable
from dataclasses import dataclass

HEAD_LIMIT_BYTES = 64 * 1024
BODY_LIMIT_BYTES = 10 * 1024 * 1024


class BadRequest(Exception):
    """A request that is not HTTP/1.x as it should be; the connection cannot go on."""

    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    version: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str:
        """The value, empty when it was not sent; `name` in lower case."""
        return self.headers.get(name, "")

    @property
    def keeps_alive(self) -> bool:
        wish = self.header("connection").lower()
        return "keep-alive" in wish if self.version == "HTTP/1.0" else "close" not in wish


class Reader:
    """Requests out of a stream of bytes.

    `receive` gives the next bytes, b"" at the end; `send` is for `100 Continue`.
    """

    def __init__(self, receive: Callable[[], bytes], send: Callable[[bytes], None]) -> None:
        self._receive = receive
        self._send = send
        self._buffer = b""

    def wait(self) -> bool:
        """Wait for a request to begin; False when the peer is done."""
        return bool(self._buffer) or self._fill()

    def next_request(self) -> Request | None:
        """The next request, None when the peer is done; raises BadRequest."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        request = _parse_head(head)
        if request.header("expect").lower() == "100-continue":
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._body(request)
        if body is None:
            return None
        return Request(request.method, request.target, request.version, request.headers, body)

    def _body(self, request: Request) -> bytes | None:
        if request.header("transfer-encoding").lower() == "chunked":
            return self._chunks()
        length = request.header("content-length") or "0"
        if not (length.isascii() and length.isdecimal()):
            raise BadRequest(400, "bad Content-Length")
        return self._exactly(int(length))

    def _chunks(self) -> bytes | None:
        body = b""
        while (line := self._until(b"\r\n")) is not None:
            size = _chunk_size(line)
            if size + len(body) > BODY_LIMIT_BYTES:
                raise BadRequest(413, "too large")
            chunk = self._exactly(size + 2) if size else self._until(b"\r\n")
            if chunk is None:
                return None
            if not size:
                return body
            body += chunk[:-2]
        return None

    def _until(self, mark: bytes) -> bytes | None:
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > HEAD_LIMIT_BYTES:
                raise BadRequest(431, "head too large")
            if not self._fill():
                return None
        found, self._buffer = self._buffer[:end], self._buffer[end + len(mark) :]
        return found

    def _exactly(self, size: int) -> bytes | None:
        if size > BODY_LIMIT_BYTES + 2:
            raise BadRequest(413, "too large")
        parts, have = [self._buffer], len(self._buffer)
        while have < size:
            more = self._receive()
            if not more:
                return None
            parts.append(more)
            have += len(more)
        whole = b"".join(parts)
        self._buffer = whole[size:]
        return whole[:size]

    def _fill(self) -> bool:
        more = self._receive()
        self._buffer += more
        return bool(more)


def answer_head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status} {reason(status)}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")


def reason(status: int) -> str:
    return _REASONS.get(status, "Unknown")


def _parse_head(head: bytes) -> Request:
    first, *lines = head.lstrip(b"\r\n").decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1"):
        raise BadRequest(400, "bad request line")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise BadRequest(400, "bad header line")
        headers[name.lower()] = value.strip()
    return Request(words[0], words[1], words[2], headers)


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise BadRequest(400, "bad chunk") from None


_REASONS = {status.value: status.phrase for status in http.HTTPStatus}
