"""Cross-origin requests from browsers (the Fetch standard's CORS protocol)."""

from __future__ import annotations

from flask import Request, Response

EXPOSED = (
    "ETag, Link, Location, Retry-After, X-Request-Id, Preference-Applied, Cache-Status, Age, Idempotency-Replayed, "
    "WWW-Authenticate, Allow, Accept-Patch, Accept-Post, traceparent"
)
ALLOWED_HEADERS = (
    "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Prefer, Cache-Control, X-Request-Id, "
    "traceparent"
)
_PREFLIGHT_AGE_S = 600


def add_headers(request: Request, response: Response, origins: tuple[str, ...]) -> None:
    """Lets pages of the configured origins read the response, errors included."""
    if not origins:
        return
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin not in origins:
        return
    response.headers["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "GET")
        response.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
        response.headers["Access-Control-Max-Age"] = str(_PREFLIGHT_AGE_S)
    else:
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
