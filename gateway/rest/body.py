"""A caller's body: JSON, strictly."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from gateway.errors import BodyTooLarge, FieldError, MalformedBody, UnsupportedMediaType

BODY_BYTES_MAX = 1024 * 1024
_INTEGER_DIGITS_MAX = 1000


def read_object(request: Request, media_types: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object in a request's body.

    Raises `UnsupportedMediaType`, `BodyTooLarge` or `MalformedBody`.
    """
    _check_media_type(request, media_types)
    return parse_object(_read(request))


def _read(request: Request) -> bytes:
    """The whole body and nothing less. Raises `BodyTooLarge` or `MalformedBody`.

    A declared length above the limit is refused unread, an undeclared one when more than the limit has come. Servers
    hand over what there is of a body that breaks off, and raise errors of their own where its framing is broken.
    """
    too_large = BodyTooLarge(f"The body is longer than {BODY_BYTES_MAX} bytes.")
    try:
        raw = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise too_large from None
    except Exception as error:
        raise MalformedBody("The body breaks off, or is not framed as HTTP asks.") from error
    if len(raw) > BODY_BYTES_MAX:
        raise too_large
    if len(raw) < (request.content_length or 0):
        raise MalformedBody("The body is shorter than its Content-Length says.")
    return raw


def _check_media_type(request: Request, media_types: tuple[str, ...]) -> None:
    header = "Accept-Patch" if request.method == "PATCH" else "Accept-Post"
    accepted = {header: ", ".join(media_types)}
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype not in media_types or charset not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(f"The body must be of type {' or '.join(media_types)}.", headers=accepted)
    if request.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            "The body must not be compressed.", headers={**accepted, "Accept-Encoding": "identity"}
        )


def parse_object(raw: bytes) -> dict[str, Any]:
    """The object in a JSON text. Raises `MalformedBody`, also for what JSON allows and nobody means.

    That is: a key twice in one object, NaN and infinities, numbers too long to be meant, nesting too deep to be read.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        detail = f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise MalformedBody(detail) from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    if not isinstance(value, dict):
        raise MalformedBody("The body must be a JSON object.", errors=[_at_root("not_an_object", "Must be an object.")])
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        detail = f'The key "{twice}" stands twice in one object.'
        raise MalformedBody(detail, errors=[_at_root("duplicate_key", detail)])
    return made


def _refuse_constant(name: str) -> NoReturn:
    detail = f"{name} is not JSON."
    raise MalformedBody(f"The body is not JSON: {detail}", errors=[_at_root("not_json", detail)])


def _integer(digits: str) -> int:
    if len(digits) > _INTEGER_DIGITS_MAX:
        detail = f"A number has more than {_INTEGER_DIGITS_MAX} digits."
        raise MalformedBody(detail, errors=[_at_root("number_too_long", detail)])
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        detail = "A number is too large to be represented."
        raise MalformedBody(detail, errors=[_at_root("number_too_large", detail)])
    return number


def _at_root(code: str, detail: str) -> FieldError:
    return FieldError(code, detail, pointer="")
