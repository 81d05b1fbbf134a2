"""Cached copies of answers, as bytes ready to be sent."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import msgspec

from gateway.errors import Fault, RecordNotFound

_HEAD = struct.Struct(">8sddBIB")
_FOUND, _MISSING, _APART = 0, 1, 2

BODY_WITHIN_BYTES_MAX = 3_500
"""A body up to this size lies in one entry with its copy's head: both fit into a page of the embedded store."""


class Content(msgspec.Struct, frozen=True):
    """What a read gave: the JSON, or for a record that is not there (`missing`) the words about it.

    `pages` is how many pages a list has, 0 for records.
    """

    body: bytes
    etag: str
    pages: int = 0
    missing: bool = False


class Copy(msgspec.Struct, frozen=True):
    """A content as it is kept: under which token it was fetched, when, and until when it is fresh (seconds).

    `apart`: its body lies in an entry of its own, and `content.body` is empty until that has been read.
    """

    token: bytes
    fetched_s: float
    fresh_until_s: float
    content: Content
    apart: bool = False

    def with_body(self, body: bytes) -> Copy:
        """The whole copy."""
        content = Content(body, self.content.etag, self.content.pages)
        return Copy(self.token, self.fetched_s, self.fresh_until_s, content)

    def hit_status(self, now_s: float) -> str:
        """The value of `Cache-Status` when the copy is shown."""
        return f"gateway; hit; ttl={int(self.fresh_until_s - now_s)}"

    def age_s(self, now_s: float) -> int:
        return max(0, int(now_s - self.fetched_s))


def content_of(value: Any, pages: int = 0) -> Content:
    """A value as it is sent and kept."""
    body = msgspec.json.encode(value)
    return Content(body, etag_of(body), pages)


def missing_content(error: RecordNotFound) -> Content:
    """That a record is not there, in the words that told so."""
    fault = error.fault
    words = (error.detail, fault.code if fault else None, fault.message if fault else "")
    return Content(msgspec.json.encode(words), "", missing=True)


def content_in(copy: Copy) -> Content:
    """What a copy shows. Raises `RecordNotFound`."""
    if not copy.content.missing:
        return copy.content
    detail, code, message = msgspec.json.decode(copy.content.body)
    raise RecordNotFound(detail, fault=Fault(code, message) if message else None)


def etag_of(body: bytes) -> str:
    """A strong entity tag: a digest of the very bytes, so the same from every process."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def pack(copy: Copy) -> bytes:
    """The copy as an entry, without its body if that is large: then it is `pack_body`'s."""
    content = copy.content
    etag = content.etag.encode("ascii")
    kind = _APART if is_large(content) else _MISSING if content.missing else _FOUND
    head = _HEAD.pack(copy.token, copy.fetched_s, copy.fresh_until_s, kind, content.pages, len(etag))
    return head + etag + (b"" if kind == _APART else content.body)


def unpack(raw: bytes) -> Copy:
    """The copy in an entry; see `Copy.apart`."""
    token, fetched_s, fresh_until_s, kind, pages, etag_bytes = _HEAD.unpack_from(raw)
    start = _HEAD.size + etag_bytes
    content = Content(raw[start:], raw[_HEAD.size : start].decode("ascii"), pages, kind == _MISSING)
    return Copy(token, fetched_s, fresh_until_s, content, kind == _APART)


def is_large(content: Content) -> bool:
    """Whether the body is kept in an entry of its own."""
    return len(content.body) > BODY_WITHIN_BYTES_MAX and not content.missing


def pack_body(content: Content) -> bytes:
    return content.etag.encode("ascii") + content.body


def unpack_body(raw: bytes | None, etag: str) -> bytes | None:
    """The body that has this entity tag; None when it is gone, or another has taken its place."""
    tag = etag.encode("ascii")
    return raw[len(tag) :] if raw is not None and raw.startswith(tag) else None
