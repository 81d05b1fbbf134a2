"""Answers as bytes, in the form that gunicorn and the application give them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import formatdate

from gunicorn import SERVER
from werkzeug.http import HTTP_STATUS_CODES

from gateway.rest.answers import PRIVATE, Answer
from gateway.rest.context import RequestContext

_TOGETHER_BYTES_MAX = 16 * 1024
_WITHOUT_BODY = (204, 304)
_PRIVATE = f"Cache-Control: {PRIVATE}\r\n"
_NOSNIFF = "X-Content-Type-Options: nosniff\r\n"


class Heading:
    """What stands around an answer's own headers. `vary` is the value of `Vary`."""

    def __init__(self, vary: str) -> None:
        self._end = f"{_NOSNIFF}Vary: {vary}\r\n\r\n"
        self._end_private = f"{_NOSNIFF}{_PRIVATE}Vary: {vary}\r\n\r\n"
        self._begins: dict[int, str] = {}
        self._second = 0

    def around(self, answer: Answer, context: RequestContext) -> Sequence[bytes]:
        """The whole answer, as parts to be sent one after the other."""
        own = "".join([f"{name}: {value}\r\n" for name, value in answer.headers.items()])
        length = "" if answer.status in _WITHOUT_BODY else f"Content-Length: {len(answer.body)}\r\n"
        end = self._end if "Cache-Control" in answer.headers else self._end_private
        head = (
            f"{self._begin(answer.status)}{own}{length}X-Request-Id: {context.request_id}\r\n"
            f"traceparent: {context.tally.trace.traceparent}\r\n{end}"
        ).encode("latin-1")
        return (head + answer.body,) if len(answer.body) <= _TOGETHER_BYTES_MAX else (head, answer.body)

    def _begin(self, status: int) -> str:
        """The same for all answers of a status in a second."""
        second = int(time.time())
        if second != self._second:
            self._begins, self._second = {}, second
        begin = self._begins.get(status)
        if begin is None:
            reason = HTTP_STATUS_CODES[status].upper()
            date = formatdate(second, usegmt=True)
            begin = f"HTTP/1.1 {status} {reason}\r\nServer: {SERVER}\r\nDate: {date}\r\nConnection: keep-alive\r\n"
            self._begins[status] = begin
        return begin
