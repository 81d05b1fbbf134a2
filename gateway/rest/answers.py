"""Values to HTTP responses."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Response, request
from werkzeug.http import HTTP_STATUS_CODES

from gateway.errors import GatewayError
from gateway.policy.cache import Shown
from gateway.policy.copies import Content
from gateway.rest import problems
from gateway.rest.context import RequestContext, current
from gateway.rest.headers import matches_weakly

JSON = "application/json"
PRIVATE = "private, no-cache"


class Answer(msgspec.Struct, frozen=True):
    """An answer that is not bound to a framework yet."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def status_line(self) -> str:
        """The status with its reason, in the framework's spelling."""
        return f"{self.status} {HTTP_STATUS_CODES[self.status].upper()}"


def response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers)


def json(value: Any, status: int) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(value), status, content_type=JSON)


def of_content(content: Content, status: int) -> Response:
    """A record or page with its entity tag."""
    return Response(content.body, status, content_type=JSON, headers={"ETag": content.etag})


def conditional(known: frozenset[str] | None, shown: Shown, link: str = "") -> Answer:
    """What a GET shows, or 304 when it is what the caller has already: `known` are the tags of `If-None-Match`."""
    content = shown.content
    headers = {"ETag": content.etag, "Cache-Status": shown.status, "Age": str(shown.age_s)}
    if link:
        headers["Link"] = link
    if known is not None and matches_weakly(known, content.etag):
        return Answer(304, headers)
    return Answer(200, {"Content-Type": JSON, **headers}, content.body)


def problem(error: GatewayError) -> Response:
    """What an error of the request being served is answered with."""
    harmless = request.method == "DELETE" or "Idempotency-Key" in request.headers
    return response(of_error(error, current(), harmless=harmless))


def of_error(error: GatewayError, context: RequestContext, *, harmless: bool = False) -> Answer:
    """What an error is answered with. `harmless`: the request, if it writes, changes nothing more when sent again."""
    body = problems.document(
        error, instance=context.path, request_id=context.request_id, writes=context.writes, harmless=harmless
    )
    headers = {"Content-Type": problems.MEDIA_TYPE, "Cache-Control": "no-store", **problems.headers(error)}
    return Answer(body["status"], headers, msgspec.json.encode(body))
