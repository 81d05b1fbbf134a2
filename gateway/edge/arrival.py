"""Whether a request has arrived whole, so that no thread need wait for the rest of one."""

from __future__ import annotations

import httptools

HEAD_BYTES_MAX = 16 * 1024
REQUEST_BYTES_MAX = 1024 * 1024 + HEAD_BYTES_MAX
"""What is kept of a request that is still arriving. The body that callers may send fits."""


class Arrival:
    """Watches the bytes of one request. It judges nothing: whatever is odd counts as arrived, for others to refuse."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._bytes_total = 0
        self._has_head = False
        self._complete = False

    def feed(self, data: bytes) -> bool:
        """Whether the request can be handed on: it is whole, odd, too long to be kept, or waits for leave to go on."""
        self._bytes_total += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._complete = True
        longest = REQUEST_BYTES_MAX if self._has_head else HEAD_BYTES_MAX
        return self._complete or self._bytes_total > longest

    def on_header(self, name: bytes, value: bytes) -> None:
        """What asks for leave to go on, or announces more than is kept, is not waited for."""
        folded = name.lower()
        if folded == b"expect" or (folded == b"content-length" and _is_too_long(value)):
            self._complete = True

    def on_headers_complete(self) -> None:
        self._has_head = True

    def on_message_complete(self) -> None:
        self._complete = True


def _is_too_long(content_length: bytes) -> bool:
    return content_length.isdigit() and (len(content_length) > 9 or int(content_length) > REQUEST_BYTES_MAX)
