"""Values to HTTP responses."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response

from gateway.rest import headers

JSON = "application/json"
PRIVATE = "private, no-cache"


def json(value: Any, status: int) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(value), status, content_type=JSON)


def record(value: dict[str, Any], status: int) -> Response:
    """A record with its entity tag."""
    response = json(value, status)
    response.headers["ETag"] = headers.etag(response.get_data())
    return response


def conditional(known: frozenset[str] | None, value: dict[str, Any]) -> Response:
    """What a GET shows, or 304 when it is what the caller has already: `known` are the tags of `If-None-Match`."""
    response = record(value, 200)
    tag = response.headers["ETag"]
    if known is not None and headers.matches_weakly(known, tag):
        return Response(status=304, headers={"ETag": tag})
    return response


def etag_of(value: dict[str, Any]) -> str:
    """The entity tag of a record."""
    return headers.etag(msgspec.json.encode(value))
