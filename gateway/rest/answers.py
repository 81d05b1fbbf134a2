"""Values to HTTP responses."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response, request

from gateway.errors import GatewayError
from gateway.policy.cache import Shown
from gateway.policy.copies import Content
from gateway.rest import headers, problems
from gateway.rest.context import current

JSON = "application/json"
PRIVATE = "private, no-cache"


def json(value: Any, status: int) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(value), status, content_type=JSON)


def of_content(content: Content, status: int) -> Response:
    """A record or page with its entity tag."""
    return Response(content.body, status, content_type=JSON, headers={"ETag": content.etag})


def conditional(known: frozenset[str] | None, shown: Shown) -> Response:
    """What a GET shows, or 304 when it is what the caller has already: `known` are the tags of `If-None-Match`."""
    if known is not None and headers.matches_weakly(known, shown.content.etag):
        response = Response(status=304, headers={"ETag": shown.content.etag})
    else:
        response = of_content(shown.content, 200)
    response.headers["Cache-Status"] = shown.status
    response.headers["Age"] = str(shown.age_s)
    return response


def problem(error: GatewayError) -> Response:
    """What an error is answered with."""
    context = current()
    body = problems.document(
        error,
        instance=request.path,
        request_id=context.request_id,
        writes=context.writes,
        harmless=request.method == "DELETE" or "Idempotency-Key" in request.headers,
    )
    response = json(body, body["status"])
    response.content_type = problems.MEDIA_TYPE
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(problems.headers(error))
    return response
