"""Answers as bytes, in the form that gunicorn and the application give them."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Sequence
from email.utils import formatdate

import msgspec
from gunicorn import SERVER

from gateway.rest.answers import PRIVATE, Answer

_TOGETHER_BYTES_MAX = 16 * 1024
_WITHOUT_BODY = (204, 304)
_NOSNIFF = "X-Content-Type-Options: nosniff\r\n"
_PRIVATE = f"Cache-Control: {PRIVATE}\r\n"
_IDS_AT_ONCE = 128


class Form(msgspec.Struct, frozen=True, gc=False):
    """An answer but for what is its request's own: that stands between `before` and `after`; then comes `body`."""

    before: bytes
    after: bytes
    body: bytes

    def filled(self, own: bytes) -> Sequence[bytes]:
        """The whole answer, as parts to be sent one after the other, with what `own_lines` gives."""
        head = self.before + own + self.after
        return (head, self.body) if self.body else (head,)


@functools.lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def own_lines(request_id: str, traceparent: str) -> bytes:
    """What is a request's own in its answer: the value of one header and another header."""
    return f"{request_id}\r\ntraceparent: {traceparent}".encode("ascii")


def last(answer: Answer, request_id: str, traceparent: str) -> bytes:
    """A whole answer to something that was not understood, after which the connection is closed."""
    end = f"\r\n{_NOSNIFF}\r\n".encode("ascii")
    return _before(answer, int(time.time()), "close") + own_lines(request_id, traceparent) + end + answer.body


def _before(answer: Answer, second: int, connection: str) -> bytes:
    """Up to where a request's own lines begin."""
    own = "".join([f"{name}: {value}\r\n" for name, value in answer.headers.items()])
    length = "" if answer.status in _WITHOUT_BODY else f"Content-Length: {len(answer.body)}\r\n"
    return (
        f"HTTP/1.1 {answer.status_line}\r\nServer: {SERVER}\r\n"
        f"Date: {_date(second)}\r\nConnection: {connection}\r\n{own}{length}X-Request-Id: "
    ).encode("latin-1")


class Heading:
    """What stands around an answer's own headers. `vary` is the value of `Vary`."""

    def __init__(self, vary: str) -> None:
        self._end = f"\r\n{_NOSNIFF}Vary: {vary}\r\n\r\n".encode("ascii")
        self._end_private = f"\r\n{_NOSNIFF}{_PRIVATE}Vary: {vary}\r\n\r\n".encode("ascii")

    def form(self, answer: Answer, now_s: float | None = None) -> Form:
        """An answer given at `now_s` seconds since 1970; None: now."""
        before = _before(answer, int(time.time() if now_s is None else now_s), "keep-alive")
        after = self._end if "Cache-Control" in answer.headers else self._end_private
        if len(answer.body) <= _TOGETHER_BYTES_MAX:
            return Form(before, after + answer.body, b"")
        return Form(before, after, answer.body)


class NewLines:
    """`own_lines` of requests that name neither, with random ids; made many at a time. Not for threads."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def take(self) -> bytes:
        if not self._lines:
            digits = os.urandom(40 * _IDS_AT_ONCE).hex().encode("ascii")
            self._lines = [_new_line(digits[at : at + 80]) for at in range(0, len(digits), 80)]
        return self._lines.pop()


def _new_line(digits: bytes) -> bytes:
    return b"%b\r\ntraceparent: 00-%b-%b-02" % (digits[:32], digits[32:64], digits[64:])
