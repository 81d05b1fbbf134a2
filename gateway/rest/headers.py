"""What callers say in request headers beside credentials."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.request import parse_http_list

from flask import Request

from gateway.errors import FieldError, InvalidHeader, NotAcceptable
from gateway.policy.wishes import ANYTHING, Wish

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
ENTITY_TAGS = re.compile(rf"\*|{_ENTITY_TAG}(?:\s*,\s*{_ENTITY_TAG})*")

_DIRECTIVE = re.compile(r'([a-z-]+)(?:\s*=\s*"?([^",]*)"?)?')


def request_id(request: Request) -> str:
    """The caller's `X-Request-Id` if it is fit to be repeated, a new one otherwise."""
    return repeatable_id(request.headers.get("X-Request-Id"))


def repeatable_id(given: str | None) -> str:
    """As `request_id`, from the header's value; None without one."""
    return given if given is not None and _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


def check_accepts_json(request: Request) -> None:
    """Raises `NotAcceptable` when the caller excludes JSON.

    Parameters of the media types asked for, such as a charset, are not looked at.
    """
    if not request.headers.get("Accept", "").strip():
        return
    qualities: dict[str, float] = {}
    for media_range, quality in request.accept_mimetypes:
        name = media_range.partition(";")[0].strip().lower()
        qualities[name] = max(quality, qualities.get(name, 0))
    by_precedence = (qualities[name] for name in ("application/json", "application/*", "*/*") if name in qualities)
    if not next(by_precedence, 0):
        raise NotAcceptable("The answer is of type application/json.")


@dataclass(frozen=True, slots=True)
class Preferences:
    """`Prefer` (RFC 7240). `wait_s` is None when the caller named none; unknown preferences are ignored, as the
    standard asks."""

    minimal: bool = False
    wait_s: int | None = None

    def applied(self) -> str | None:
        """`Preference-Applied`; None when there is nothing to say."""
        parts = ["return=minimal"] if self.minimal else []
        if self.wait_s is not None:
            parts.append(f"wait={self.wait_s}")
        return ", ".join(parts) or None


def preferences(request: Request) -> Preferences:
    """The preferences of a request; of one that is repeated, the first counts."""
    named: dict[str, str] = {}
    for preference in parse_http_list(", ".join(request.headers.getlist("Prefer"))):
        name, _, value = preference.partition(";")[0].partition("=")
        named.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = named.get("wait", "")
    wait_s = int(wait) if re.fullmatch("[0-9]{1,6}", wait) else None
    return Preferences(named.get("return", "").lower() == "minimal", wait_s)


def wish(request: Request) -> Wish:
    """`Cache-Control` (RFC 9111 §5.2.1) of a request; directives that mean nothing here are ignored."""
    given = request.headers.get("Cache-Control", "")
    if not given:
        return ANYTHING
    named = dict(_DIRECTIVE.findall(given.lower()))
    max_age = named.get("max-age", "")
    return Wish(
        no_cache="no-cache" in named,
        no_store="no-store" in named,
        only_if_cached="only-if-cached" in named,
        max_age_s=int(max_age) if re.fullmatch("[0-9]{1,9}", max_age) else None,
    )


def entity_tags(request: Request, header: str) -> frozenset[str] | None:
    """The entity tags of a precondition, `*` for any; None when the header is missing. Raises `InvalidHeader`."""
    given = request.headers.get(header)
    if given is None:
        return None
    if not ENTITY_TAGS.fullmatch(given.strip()):
        detail = 'Must be * or entity tags in double quotes, such as "33a64df5".'
        place = FieldError("invalid_precondition", detail, header=header)
        raise InvalidHeader(f"{header} cannot be read.", errors=[place])
    return frozenset(re.findall(rf"\*|{_ENTITY_TAG}", given))


def matches_strongly(tags: frozenset[str], tag: str) -> bool:
    """For `If-Match` (RFC 9110 §8.8.3.2): a weak tag matches nothing."""
    return "*" in tags or tag in tags


def matches_weakly(tags: frozenset[str], tag: str) -> bool:
    """For `If-None-Match`."""
    return "*" in tags or tag in {one.removeprefix("W/") for one in tags}
