"""Plain reads: GET requests written in a way that leaves nothing to interpret.

What is plain is a whitelist of bytes and of header names. What is not is not refused here but left to the parser that
judges all other requests, so that this one needs no opinion about anything doubtful.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

HEAD_BYTES_MAX = 4096
FIELDS_MAX = 50
_VERSION = b" HTTP/1.1\r\n"
_FIELDS = re.compile(rb"(?:[A-Za-z-]+: [!-~](?:[ -~]*[!-~])?\r\n)+")
_FIELD = re.compile(rb"([A-Za-z-]+): ([ -~]+)\r\n")
_HOST = re.compile(r"(?:[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,9}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

_UNHEEDED = frozenset(
    b"accept-charset accept-encoding accept-language cookie dnt forwarded from pragma priority referer save-data "
    b"sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user "
    b"sec-gpc user-agent via x-forwarded-for x-forwarded-host x-forwarded-port x-real-ip".split()
)
"""Headers that change no answer."""


class Head(msgspec.Struct, frozen=True, gc=False):
    """A request that may be plain. `fields` are its header lines as they came; `end` is where the request ends."""

    target: bytes
    fields: bytes
    end: int


class Fields(NamedTuple):
    """What plain header lines say, as text; None where the header is missing. Some of it is secret, so none is shown.

    The first `COMMON_TOTAL` are not about one request alone.
    """

    host: str | None = None
    authorization: str | None = None
    accept: str | None = None
    if_none_match: str | None = None
    x_request_id: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    def __repr__(self) -> str:
        return "Fields(…)"


NOTHING = Fields()
COMMON_TOTAL = 4
VARIABLES = tuple(f"HTTP_{name.upper()}" for name in Fields._fields)
"""The fields under the names that WSGI gives them."""

_HEEDED = {name.replace("_", "-").encode(): name for name in Fields._fields}


def split(data: bytes, start: int = 0) -> Head | None:
    """The request that begins at `start`, not judged yet; None: no whole GET of the present version begins there."""
    if not data.startswith(b"GET /", start):
        return None
    target_end = data.find(_VERSION, start, start + HEAD_BYTES_MAX)
    if target_end < 0:
        return None
    end = data.find(b"\r\n\r\n", target_end, start + HEAD_BYTES_MAX)
    if end < 0:
        return None
    return Head(data[start + 4 : target_end], data[target_end + len(_VERSION) : end + 2], end + 4)


def read(fields: bytes) -> Fields | None:
    """What header lines say; None: they are not plain."""
    if not _FIELDS.fullmatch(fields):
        return None
    found = _FIELD.findall(fields)
    if len(found) > FIELDS_MAX:
        return None
    said: dict[str, str] = {}
    for name, value in found:
        folded = name.lower()
        heeded = _HEEDED.get(folded)
        if heeded is None:
            if folded not in _UNHEEDED and not (folded == b"connection" and value.lower() == b"keep-alive"):
                return None
        elif heeded in said:
            return None
        else:
            said[heeded] = value.decode("ascii")
    return Fields(**said) if _HOST.fullmatch(said.get("host", "")) else None
