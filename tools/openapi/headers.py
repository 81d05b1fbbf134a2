"""Header fields: those a caller may send, and those an answer carries."""

from __future__ import annotations

from typing import Any

from gateway.rest import headers, keyed
from gateway.rest.operations import MERGE_PATCH, Operation

Node = dict[str, Any]

_ENTITY_TAG = {"type": "string", "pattern": '^"[\\x21\\x23-\\x7E]*"$'}
_IDEMPOTENCY_KEY = f"^({keyed.KEY.pattern})$"
_ENTITY_TAGS = {"type": "string", "pattern": f"^({headers.ENTITY_TAGS.pattern})$"}


def _text(description: str, example: str, **schema: Any) -> Node:
    return {"description": description, "schema": {"type": "string", **schema}, "example": example}


RESPONSE_HEADERS: dict[str, Node] = {
    "X-Request-Id": _text(
        "Names this request in the gateway's log: the caller's own `X-Request-Id`, or a new one.",
        "8d2f0c9ab3a04e0f9f0d6f8b2c1e4a57",
        pattern="^[A-Za-z0-9_.-]{1,128}$",
    ),
    "traceparent": _text(
        "The trace that this request belongs to and its span there (W3C Trace Context): a child of the caller's own "
        "`traceparent`, or the begin of a new trace.",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        pattern="^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
    ),
    "ETag": {
        "description": "A strong entity tag: it changes when the answer changes. Send it back in `If-Match` or "
        "`If-None-Match`.",
        "schema": _ENTITY_TAG,
        "example": '"5f2a7d1c90b34e68a1d7c3f0b2e49586"',
    },
    "Link": _text(
        "The other pages (RFC 8288), every filter kept: `first` and `last`, and where there are any `prev` and `next`.",
        '</clients?page=1&per_page=25>; rel="first", </clients?page=4&per_page=25>; rel="last"',
        pattern='^<[^>]+>; rel="[a-z]+"(, <[^>]+>; rel="[a-z]+")*$',
    ),
    "Location": _text("Where the new record is.", "/clients/13", format="uri-reference", pattern="^/"),
    "Preference-Applied": _text("Which preferences of `Prefer` were followed (RFC 7240).", "return=minimal"),
    "Idempotency-Replayed": _text(
        "`true` when an earlier request with the same `Idempotency-Key` did the work, and this is its answer.",
        "true",
        enum=["true"],
    ),
    "Cache-Control": _text(
        "Records are private and must be revalidated; errors are not kept.",
        "private, no-cache",
        enum=["private, no-cache", "no-store"],
    ),
    "Cache-Status": _text(
        "How the gateway's cache handled the request (RFC 9211): `hit` with the seconds left (`ttl`; below zero "
        "when the upstream is sick and an older copy must do), or why the upstream was asked (`fwd`).",
        "gateway; hit; ttl=17",
        pattern="^gateway; (hit; ttl=-?[0-9]+|fwd=[a-z-]+)(; [a-z]+(=[a-z-]+)?)*$",
    ),
    "Age": {
        "description": "How many seconds ago the answer was read from the upstream.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 13,
    },
    "Vary": _text("Which request headers the answer depends on.", "Accept, Authorization"),
    "Retry-After": {
        "description": "How many seconds to wait before trying again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 5,
    },
    "WWW-Authenticate": _text("Which credentials are asked for.", 'Bearer realm="gateway"', pattern="^(Bearer|Basic) "),
    "Allow": _text("The methods the path has.", "GET, HEAD, OPTIONS, POST", pattern="^[A-Z]+(, [A-Z]+)*$"),
    "Accept-Patch": _text("The media types a patch may have.", f"{MERGE_PATCH}, application/json"),
    "Accept-Post": _text("The media types a body may have.", "application/json"),
}


_NOT_ALWAYS = ("ETag", "Preference-Applied", "Idempotency-Replayed", "Cache-Status", "Age")


def answer_headers(*required: str, optional: tuple[str, ...] = ()) -> Node:
    """References to the headers of an answer; `X-Request-Id` and `traceparent` are in every one."""
    names = {name: name for name in ("X-Request-Id", "traceparent", *required)} | {
        name: f"Optional-{name}" for name in optional
    }
    return {name: {"$ref": f"#/components/headers/{component}"} for name, component in names.items()}


def components() -> dict[str, Node]:
    """Each header as one that is always there, and those that some answers leave out also as one that may be missing:
    nothing may stand beside a reference."""
    always = {name: {"required": True, **node} for name, node in RESPONSE_HEADERS.items()}
    return always | {f"Optional-{name}": RESPONSE_HEADERS[name] for name in _NOT_ALWAYS}


# Their examples stand in the schemas: those beside a schema are filled into forms, and so sent, by pages that try it.
PARAMETERS: dict[str, Node] = {
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "description": "A name for this request, to find it again in the log. It is used when it is 1 to 128 letters, "
        "digits, `_`, `.` or `-`; otherwise a new one is made.",
        "schema": {"type": "string", "examples": ["order-4711.retry-1"]},
    },
    "TraceParent": {
        "name": "traceparent",
        "in": "header",
        "description": "The trace and span that this request is part of (W3C Trace Context); the calls to FreshBooks "
        "carry it on, `tracestate` too. What is not valid is ignored, and a new trace begins.",
        "schema": {"type": "string", "examples": ["00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"]},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "Change the record only if it still is what this `ETag` was given for; otherwise 412. Prevents "
        "that two callers overwrite each other.",
        "schema": {**_ENTITY_TAGS, "examples": ['"5f2a7d1c90b34e68a1d7c3f0b2e49586"', "*"]},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "Answer 304 without a body if the caller's copy, named by its `ETag`, still holds.",
        "schema": {**_ENTITY_TAGS, "examples": ['"5f2a7d1c90b34e68a1d7c3f0b2e49586"']},
    },
    "CacheControl": {
        "name": "Cache-Control",
        "in": "header",
        "description": "How old an answer may be (RFC 9111): `no-cache` asks the upstream anew, `max-age=SECONDS` "
        "takes a copy up to that age, `no-store` neither takes nor keeps one, and `only-if-cached` does not "
        "ask the upstream (504 `not_cached` without a copy).",
        "schema": {"type": "string", "examples": ["no-cache", "max-age=5"]},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Names this request, so that it can be sent again without being applied again: the first answer "
        "is kept for 24 hours and repeated. 1 to 255 visible ASCII characters, new for every new request.",
        "schema": {"type": "string", "pattern": _IDEMPOTENCY_KEY, "examples": ["c2a5f3f0-5f4e-4f0e-9d7e-0f6f3a1c9b1e"]},
    },
    "PreferWait": {
        "name": "Prefer",
        "in": "header",
        "description": "Preferences (RFC 7240). `wait=SECONDS` shortens the time the request may take.",
        "schema": {"type": "string", "examples": ["wait=5"]},
    },
    "PreferReturn": {
        "name": "Prefer",
        "in": "header",
        "description": "Preferences (RFC 7240). `return=minimal` saves reading the record back: the answer is then no "
        "more than needed. `wait=SECONDS` shortens the time the request may take.",
        "schema": {"type": "string", "examples": ["return=minimal", "return=minimal, wait=5"]},
    },
}


def request_headers(operation: Operation) -> list[Node]:
    """References to the header parameters that an operation heeds."""
    names = ["PreferReturn" if operation.media_types else "PreferWait", "RequestId", "TraceParent"]
    if "change" in operation.traits:
        names.insert(0, "IfMatch")
    names[:0] = ["IdempotencyKey"] if operation.writes else ["IfNoneMatch", "CacheControl"]
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]
