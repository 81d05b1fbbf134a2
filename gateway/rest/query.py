"""A caller's query string, and the links from one page to the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

from gateway.errors import FieldError, InvalidQuery
from schemas.resource import InvalidRecord, Resource

_PARAMETERS_MAX = 50
_WHOLE = "_schema"
"""Under this name the schema complains of a value as a whole, so a parameter of this name has no path of its own."""
_ENCODED = re.compile(rb"(?:[\x21-\x24\x26-\x7e]|%[0-9A-Fa-f]{2})*")


def parameters(query_string: bytes) -> dict[str, str]:
    """The parameters of a query string, each once. Raises `InvalidQuery`."""
    parts = [part for part in query_string.split(b"&") if part]
    if len(parts) > _PARAMETERS_MAX:
        raise InvalidQuery(f"There are more than {_PARAMETERS_MAX} query parameters.")
    pairs = [_decoded(part) for part in parts]
    named = dict(pairs)
    if len(named) != len(pairs):
        times = Counter(name for name, _ in pairs)
        repeated = sorted(name for name in times if times[name] > 1)
        places = [FieldError("repeated", "May be given only once.", parameter=name) for name in repeated]
        raise InvalidQuery("A query parameter is repeated.", errors=places)
    return named


def _decoded(part: bytes) -> tuple[str, str]:
    """One parameter's name and value. Raises `InvalidQuery`."""
    name, _, value = part.partition(b"=")
    try:
        if not _ENCODED.fullmatch(part):
            raise ValueError
        return _text(name), _text(value)
    except ValueError:
        shown = name.decode("ascii", "replace")
        place = FieldError("invalid_encoding", "Must be percent-encoded UTF-8.", parameter=shown)
        raise InvalidQuery("The query string cannot be read.", errors=[place]) from None


def _text(encoded: bytes) -> str:
    return unquote_to_bytes(encoded.replace(b"+", b" ")).decode("utf-8")


def refuse_parameters(query_string: bytes) -> None:
    """For routes that take none. Raises `InvalidQuery`."""
    if named := parameters(query_string):
        places = [FieldError("unknown_parameter", "This route takes no parameters.", parameter=name) for name in named]
        raise InvalidQuery("This route takes no query parameters.", errors=places)


def filters(resource: Resource, query_string: bytes) -> tuple[dict[str, Any], dict[str, str]]:
    """A list's filters, and the parameters as the caller wrote them. Raises `InvalidQuery`."""
    named = parameters(query_string)
    try:
        return resource.load_filters(named), named
    except InvalidRecord as invalid:
        allowed = ", ".join(resource.filter_schema.load_fields)
        places = []
        for one in sorted(invalid.complaints, key=lambda one: one.path):
            unknown = one.code == "unknown_field"
            code = "unknown_parameter" if unknown else one.code
            detail = f"{one.detail.replace('field', 'parameter')} Allowed: {allowed}." if unknown else one.detail
            name = str(one.path[0]) if one.path else _WHOLE
            places.append(FieldError(code, detail, parameter=name, suggestion=one.suggestion))
        raise InvalidQuery("A query parameter is unknown or has a bad value.", errors=places) from None


def link_header(path: str, named: Mapping[str, str], page: int, per_page: int, pages: int) -> str:
    """The `Link` header of a page (RFC 8288): relative targets, every filter kept."""
    last = max(pages, 1)
    targets = {"first": 1, "last": last}
    if page > 1:
        targets["prev"] = min(page - 1, last)
    if page < pages:
        targets["next"] = page + 1
    order = [name for name in ("first", "prev", "next", "last") if name in targets]
    kept = {name: value for name, value in named.items() if name not in ("page", "per_page")}
    links = ((urlencode({**kept, "page": targets[rel], "per_page": per_page}), rel) for rel in order)
    return ", ".join(f'<{path}?{query}>; rel="{rel}"' for query, rel in links)
