"""An upstream with ready answers: nothing but finding out what is asked, so that it is never what is measured.

python -m benchmarks.upstream PORT

It speaks the upstream's XML, and beside it the gateway's own JSON for nginx, which cannot translate. `/_control/…` sets
the delay of every answer and tells how many calls were answered.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Coroutine
from typing import Any, cast

from benchmarks import record

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_METHOD = re.compile(rb'method="client\.(\w+)"')
_KEY = re.compile(rb"<client_id>(\d+)<")
_PAGE = re.compile(rb"<page>(\d+)<")
_TARGET = re.compile(rb"[A-Z]+ /([a-z0-9._/-]+)(?:\?page=(\d+))?")
_MARK = 987_654_321
_CREATED_KEY = 13


def _http(media_type: str, body: bytes, extra: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _numbered(make: Callable[[int], bytes], media_type: str, extra: str = "") -> Callable[[bytes], bytes]:
    """Answers that differ by one number only, which is put between two ready pieces."""
    before, after = make(_MARK).split(b"%d" % _MARK)
    length = len(before) + len(after)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n{extra}Content-Length: ".encode()
    before = b"\r\n\r\n" + before

    def answer(number: bytes) -> bytes:
        return b"%s%d%s%s%s" % (head, length + len(number), before, number, after)

    return answer


def _record(key: int) -> bytes:
    return record.response_xml(f"\n  {record.record_xml(key)}\n")


def _page(number: int) -> bytes:
    return record.response_xml(record.page_xml(number))


_XML = "application/xml"
_JSON = "application/json"
_ETAG = f"ETag: {record.ETAG}\r\n"


class Answers:
    """What is answered, and how late. `calls_total` counts what was asked, control questions left out."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.calls_total = 0
        self._get = _numbered(_record, _XML)
        self._list = _numbered(_page, _XML)
        self._created = _http(_XML, record.response_xml(f"\n  <client_id>{_CREATED_KEY}</client_id>\n"))
        self._updated = _http(_XML, record.response_xml(""))
        self._json_record = _numbered(lambda key: record.compact(record.record(key)), _JSON, _ETAG)
        self._json_page = _numbered(lambda number: record.compact(record.page(number)), _JSON, _ETAG)

    def answer(self, head: bytes, body: bytes) -> bytes:
        if body:
            self.calls_total += 1
            return self._xml(body)
        found = _TARGET.match(head)
        path, number = (found[1], found[2]) if found else (b"", None)
        if path.startswith(b"_control/"):
            return self._control(path.removeprefix(b"_control/"))
        self.calls_total += 1
        return self._json_page(number) if number else self._json_record(path.rpartition(b"/")[2])

    def _xml(self, body: bytes) -> bytes:
        found = _METHOD.search(body)
        match found[1] if found else b"":
            case b"get":
                return self._get(_number(_KEY, body))
            case b"list":
                return self._list(_number(_PAGE, body))
            case b"create":
                return self._created
            case _:
                return self._updated

    def _control(self, command: bytes) -> bytes:
        name, _, value = command.partition(b"/")
        if name == b"delay_ms":
            self.delay_s = int(value) / 1000
        return _http("text/plain", b"%d" % self.calls_total)


def _number(pattern: re.Pattern[bytes], body: bytes) -> bytes:
    found = pattern.search(body)
    return found[1] if found else b"1"


class Connection(asyncio.Protocol):
    """One connection: whole requests in, answers out, in order."""

    def __init__(self, answers: Answers, loop: asyncio.AbstractEventLoop) -> None:
        self._answers = answers
        self._loop = loop
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            head, body = self._received[:end], self._received[end + 4 : whole]
            self._received = self._received[whole:]
            self._send(self._answers.answer(head, body))

    def _send(self, answer: bytes) -> None:
        if self._answers.delay_s:
            self._loop.call_later(self._answers.delay_s, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def serve(port: int) -> None:
    """Until cancelled; prints the port once it listens. Port 0: a free one."""
    loop = asyncio.get_running_loop()
    answers = Answers()
    server = await loop.create_server(lambda: Connection(answers, loop), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    """uvloop's where it is installed, which is about twice as fast."""
    try:
        import uvloop  # type: ignore[import-not-found]
    except ImportError:
        return asyncio.run
    return uvloop.run  # type: ignore[no-any-return]


if __name__ == "__main__":
    try:
        _runner()(serve(int(sys.argv[1])))
    except KeyboardInterrupt:
        pass
