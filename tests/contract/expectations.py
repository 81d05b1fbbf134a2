"""What the contract says of every problem, of every record, and of requests that must not reach the upstream."""

from __future__ import annotations

import copy
from typing import Any

from werkzeug.test import TestResponse

from simulator.server import Simulator

NO_ADDRESS = dict.fromkeys(("street1", "street2", "city", "state", "country", "postal_code"))
RECORD_KEYS = [
    "id",
    "first_name",
    "last_name",
    "organization",
    "email",
    "username",
    "work_phone",
    "home_phone",
    "mobile",
    "fax",
    "language",
    "currency_code",
    "notes",
    "primary_address",
    "secondary_address",
    "vat_name",
    "vat_number",
    "contacts",
    "credits",
    "links",
    "folder",
    "updated_at",
]
CONTACT_KEYS = ["id", "username", "first_name", "last_name", "email", "phone1", "phone2"]
WRITING = ("POST", "PUT", "PATCH", "DELETE")
LEAKS = (
    "<html",
    "<!doctype",
    "<?xml",
    "<response",
    "traceback",
    '.py", line',
    "site-packages",
    "demo-admin",
    "demo-staff",
)

JANE: dict[str, Any] = {
    "id": 13,
    "first_name": "Jane",
    "last_name": "Doe",
    "organization": "ABC Corp",
    "email": "janedoe@freshbooks.com",
    "username": "janedoe",
    "work_phone": "(555) 123-4567",
    "home_phone": "(555) 234-5678",
    "mobile": None,
    "fax": None,
    "language": "en",
    "currency_code": "USD",
    "notes": None,
    "primary_address": {
        "street1": "123 Fake St.",
        "street2": "Unit 555",
        "city": "New York",
        "state": "New York",
        "country": "United States",
        "postal_code": "553132",
    },
    "secondary_address": NO_ADDRESS,
    "vat_name": None,
    "vat_number": None,
    "contacts": [
        {
            "id": 15,
            "username": "alex",
            "first_name": None,
            "last_name": None,
            "email": "johnmcnicol@freshbooks.com",
            "phone1": None,
            "phone2": None,
        }
    ],
    "credits": [
        {"amount": "123.45", "currency": "USD"},
        {"amount": "43.45", "currency": "CAD"},
        {"amount": "12.00", "currency": "EUR"},
    ],
    "links": {
        "client_view": "https://demo.freshbooks.com/view/01dcc7f0fa6204ef",
        "view": "https://demo.freshbooks.com/clients/13",
        "statement": "https://demo.freshbooks.com/view/b4901e65f499167f",
    },
    "folder": "active",
    "updated_at": "2009-08-12T09:00:00-04:00",
}
"""The simulator's client 13, as callers see it."""

ROUTES = (
    ("GET", "/clients"),
    ("POST", "/clients"),
    ("GET", "/clients/13"),
    ("PATCH", "/clients/13"),
    ("PUT", "/clients/13"),
    ("DELETE", "/clients/13"),
)
"""Every operation, as a method and a path that exists."""

WRITES = tuple(route for route in ROUTES if route[0] in WRITING)
WITH_BODY = tuple(route for route in ROUTES if route[0] in ("POST", "PUT", "PATCH"))


def body_for(method: str) -> dict[str, Any]:
    """What to send to an operation so that it is valid: the keyword arguments of a request."""
    return {"json": {"email": "new@example.com", "first_name": "Nell"}} if method in ("POST", "PUT", "PATCH") else {}


def jane(**changes: Any) -> dict[str, Any]:
    """Client 13 with some values changed; `updated_at` left out, since a change renews it."""
    record = copy.deepcopy(JANE) | changes
    del record["updated_at"]
    return record


def without_time(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "updated_at"}


def json_of(response: TestResponse) -> Any:
    """The JSON in a response's body, whatever its media type."""
    return response.get_json(force=True)


def problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The problem document in a response, after checking all that every problem has in common."""
    text = response.get_data(as_text=True)
    assert response.status_code == status, f"{response.request.method} {response.request.path}: {text}"
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = json_of(response)
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == "/problems/" + code.replace("_", "-")
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == response.headers["X-Request-Id"]
    assert isinstance(body["retryable"], bool)
    assert ("outcome" in body) == (response.request.method in WRITING), body
    assert body.get("outcome", "unknown") in ("not_applied", "applied", "unknown")
    assert body.get("errors", [None]) != [], "errors is left out when there are none"
    assert not [leak for leak in LEAKS if leak in text.lower()]
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert ("Retry-After" in response.headers) == (status in (429, 503))
    return body


def refused(
    response: TestResponse, status: int, code: str, simulator: Simulator, place: dict[str, str] | None = None
) -> dict[str, Any]:
    """A problem that the gateway found by itself: nothing was asked of the upstream, and nothing was written.

    `place` is what one of `errors` must hold: `pointer`, `parameter` or `header`, and what else matters.
    """
    body = problem(response, status, code)
    assert body.get("outcome", "not_applied") == "not_applied"
    assert body["retryable"] is False
    assert "upstream" not in body
    if place is not None:
        assert any(place.items() <= found.items() for found in body["errors"]), body["errors"]
    assert_uncalled(simulator)
    return body


def assert_uncalled(simulator: Simulator) -> None:
    assert simulator.ledger.summary()["total"] == 0, simulator.ledger.calls()


def methods_called(simulator: Simulator) -> list[str | None]:
    """The upstream's methods in the order they were called."""
    return [entry.method for entry in simulator.ledger.calls()]
