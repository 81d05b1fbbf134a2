"""Cached copies of answers, as bytes ready to be sent."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Any

import msgspec

_HEAD = struct.Struct(">8sddBIB")
FOUND, MISSING = 0, 1


@dataclass(frozen=True, slots=True)
class Content:
    """What a read gave: the JSON, or for a record that is not there (`missing`) the words about it.

    `pages` is how many pages a list has, 0 for records.
    """

    body: bytes
    etag: str
    pages: int = 0
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Copy:
    """A content as it is kept: under which token it was fetched, when, and until when it is fresh (seconds)."""

    token: bytes
    fetched_s: float
    fresh_until_s: float
    content: Content

    def age_s(self, now_s: float) -> int:
        return max(0, int(now_s - self.fetched_s))


def content_of(value: Any, pages: int = 0) -> Content:
    """A value as it is sent and kept."""
    body = msgspec.json.encode(value)
    return Content(body, etag_of(body), pages)


def etag_of(body: bytes) -> str:
    """A strong entity tag: a digest of the very bytes, so the same from every process."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def pack(copy: Copy) -> bytes:
    content = copy.content
    etag = content.etag.encode("ascii")
    kind = MISSING if content.missing else FOUND
    head = _HEAD.pack(copy.token, copy.fetched_s, copy.fresh_until_s, kind, content.pages, len(etag))
    return head + etag + content.body


def unpack(raw: bytes) -> Copy:
    token, fetched_s, fresh_until_s, kind, pages, etag_bytes = _HEAD.unpack_from(raw)
    start = _HEAD.size + etag_bytes
    etag = raw[_HEAD.size : start].decode("ascii")
    return Copy(token, fetched_s, fresh_until_s, Content(raw[start:], etag, pages, kind == MISSING))
