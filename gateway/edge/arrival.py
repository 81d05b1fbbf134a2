"""Whether a request has arrived whole, so that no thread need wait for the rest of one."""

from __future__ import annotations

import httptools

from gateway.rest.body import BODY_BYTES_MAX

HEAD_BYTES_MAX = 64 * 1024
REQUEST_BYTES_MAX = 8 * 1024 * 1024
"""What is kept of a request that is still arriving. A body in chunks of a few bytes is several times its own length."""


class Arrival:
    """Watches the bytes of one request. It judges nothing but lengths: whatever is odd counts as arrived, for others to
    refuse. `head_is_too_long`: there is no end of the head in sight."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._bytes_total = 0
        self._body_bytes = 0
        self._has_head = False
        self._complete = False
        self._expects = False
        self.head_is_too_long = False

    def feed(self, data: bytes) -> bool:
        """Whether the request can be handed on: it is whole, odd, or too long to be kept."""
        self._bytes_total += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._complete = True
        if self._complete:
            return True
        self.head_is_too_long = not self._has_head and self._bytes_total > HEAD_BYTES_MAX
        return self.head_is_too_long or self._body_bytes > BODY_BYTES_MAX or self._bytes_total > REQUEST_BYTES_MAX

    def take_wish_for_leave(self) -> bool:
        """Whether the sender waits for leave to send the body (RFC 9110 §10.1.1); it is told once."""
        if not (self._has_head and self._expects):
            return False
        self._expects = False
        return True

    def on_header(self, name: bytes, value: bytes) -> None:
        """What expects something unknown, or announces more than is kept, is not waited for."""
        folded = name.lower()
        if self._has_head:  # a trailer, or the request behind this one
            return
        if folded == b"expect":
            self._expects = value.lower() == b"100-continue"
            self._complete = self._complete or not self._expects
        elif folded == b"content-length" and _is_too_long(value):
            self._complete = True

    def on_headers_complete(self) -> None:
        self._has_head = True
        self._expects = self._expects and self._parser.get_http_version() == "1.1"

    def on_body(self, data: bytes) -> None:
        self._body_bytes += len(data)

    def on_message_complete(self) -> None:
        self._complete = True


def _is_too_long(content_length: bytes) -> bool:
    return content_length.isdigit() and (len(content_length) > 9 or int(content_length) > BODY_BYTES_MAX)
