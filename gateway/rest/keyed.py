"""`Idempotency-Key`: one request, one effect, one answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import Request, Response

from gateway.errors import FieldError, GatewayError, InvalidHeader, Written
from gateway.policy.idempotency import Answer, Idempotency, Reservation, fingerprint
from gateway.rest import answers, headers
from gateway.rest.admission import Asked

KEY = re.compile(r'[\x21\x23-\x7e]{1,255}|"[\x20\x21\x23-\x7e]{1,255}"')
_KEPT_HEADERS = ("Content-Type", "Location", "ETag", "Preference-Applied")


def key_of(request: Request) -> str | None:
    """The key of a request; None when it has none. Raises `InvalidHeader`."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    if not KEY.fullmatch(given.strip()):
        detail = "Must be 1 to 255 visible ASCII characters, optionally in double quotes."
        place = FieldError("invalid_idempotency_key", detail, header="Idempotency-Key")
        raise InvalidHeader("Idempotency-Key cannot be read.", errors=[place])
    return given.strip().strip('"')


def begin(book: Idempotency, request: Request, path: str, asked: Asked, body: Any) -> Reservation | Answer | int | None:
    """As `Idempotency.begin`; None without a key. The payload is the body and the headers that change its meaning."""
    key = key_of(request)
    if key is None:
        return None
    route = f"{request.method} {path}"
    payload = [body, request.headers.get("If-Match"), headers.preferences(request).minimal]
    print_ = fingerprint(asked.credential, route, payload)
    return book.begin(book.scope(asked.credential, route, key), print_, asked.errand.deadline)


def kept(response: Response) -> Answer:
    """What of a response is replayed."""
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return Answer(response.status_code, response.get_data(), headers)


def replay(answer: Answer) -> Response:
    """The answer again, saying so."""
    return mark_replayed(Response(answer.body, answer.status, headers=answer.headers))


def mark_replayed(response: Response) -> Response:
    response.headers["Idempotency-Replayed"] = "true"
    return response


def keeping(reservation: Reservation | None, perform: Callable[[], Response]) -> Response:
    """Performs a change for a key and records how it ended; without a key just performs it."""
    if reservation is None:
        return perform()
    reservation.sent((), 0)
    try:
        response = perform()
    except BaseException as error:
        _record_failure(reservation, error)
        raise
    reservation.done(kept(response))
    return response


def _record_failure(reservation: Reservation, error: BaseException) -> None:
    if isinstance(error, GatewayError) and error.written is Written.NOT_APPLIED:
        error.written = reservation.without_effect()
        reservation.free()
    elif isinstance(error, GatewayError) and error.written is Written.APPLIED:
        reservation.done(kept(answers.problem(error)))
    else:
        reservation.unknown()
