"""The check that every answer of this suite goes through lets nothing pass that the document does not say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.document import check_response, committed_document

EXAMPLES = committed_document().document["components"]["examples"]
RECORD: dict[str, Any] = EXAMPLES["client.record"]["value"]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FRAME = {
    "X-Request-Id": "abc",
    "traceparent": TRACE,
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Authorization",
}
CACHED = {"ETag": '"5f2a"', "Cache-Status": "gateway; hit; ttl=17", "Age": "13"}
FOUND = {**FRAME, **CACHED, "Content-Type": "application/json"}
REFUSED = {
    "X-Request-Id": "abc",
    "traceparent": TRACE,
    "Cache-Control": "no-store",
    "Content-Type": "application/problem+json",
}


def _without(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: one for key, one in value.items() if key != name}


def _problem(name: str, **changes: Any) -> bytes:
    return json.dumps({**EXAMPLES[name]["value"], **changes}).encode()


def _check_get(
    status: int = 200, headers: dict[str, str] = FOUND, body: Any = RECORD, path: str = "/clients/13"
) -> None:
    check_response("GET", path, status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def _complaint(**answer: Any) -> str:
    with pytest.raises(AssertionError) as raised:
        _check_get(**answer)
    return str(raised.value)


def test_an_answer_that_fits_passes() -> None:
    """The record, with and without parameters at its content type, and header names in any case."""
    _check_get()
    _check_get(headers={**FOUND, "Content-Type": "application/json; charset=utf-8"})
    _check_get(headers={name.lower(): value for name, value in FOUND.items()})


def test_a_status_that_is_not_documented_is_refused() -> None:
    """And the message says which ones are."""
    told = _complaint(status=299)
    assert "GET /clients/13 -> 299: this status is not documented, only 200, 304, 400" in told


def test_a_missing_key_is_refused() -> None:
    """Every key is always present."""
    assert "'updated_at' is a required property" in _complaint(body=_without(RECORD, "updated_at"))


def test_a_missing_key_deep_inside_is_refused_with_its_place() -> None:
    """The place is told, so that nobody has to search."""
    contact = _without(RECORD["contacts"][0], "phone2")
    told = _complaint(body={**RECORD, "contacts": [contact]})
    assert "the body does not fit its schema at /contacts/0: 'phone2' is a required property" in told


@pytest.mark.parametrize(
    "changes,place",
    [
        ({"id": "13"}, "/id"),
        ({"id": None}, "/id"),
        ({"contacts": None}, "/contacts"),
        ({"credits": [{"amount": 123.45, "currency": "USD"}]}, "/credits/0/amount"),
        ({"mobile": ""}, "/mobile"),
        ({"primary_address": None}, "/primary_address"),
        ({"updated_at": "2009-08-12 09:00:00"}, "/updated_at"),
        ({"updated_at": "2009-08-12T09:00:00"}, "/updated_at"),
    ],
)
def test_a_value_of_the_wrong_type_or_format_is_refused(changes: dict[str, Any], place: str) -> None:
    """Numbers are numbers, lists are lists, empty text is null, moments have an offset."""
    assert f"the body does not fit its schema at {place}: " in _complaint(body={**RECORD, **changes})


@pytest.mark.parametrize("content_type", ["text/html", "application/problem+json", "", "application/jsonx"])
def test_a_wrong_content_type_is_refused(content_type: str) -> None:
    """A record is JSON and nothing else."""
    assert "the content type is " in _complaint(headers={**FOUND, "Content-Type": content_type})


@pytest.mark.parametrize("name", ["X-Request-Id", "ETag", "Cache-Control", "Vary"])
def test_a_missing_header_is_refused(name: str) -> None:
    """Those that the answer always has."""
    assert f"the header {name} is missing" in _complaint(headers=_without(FOUND, name))


@pytest.mark.parametrize(
    "name,value", [("ETag", "5f2a"), ("ETag", 'W/"5f2a"'), ("X-Request-Id", "a b"), ("Cache-Control", "public")]
)
def test_a_header_that_does_not_fit_is_refused(name: str, value: str) -> None:
    """Unquoted and weak entity tags, ids with blanks, shared caching."""
    assert f"the header {name} does not fit its schema" in _complaint(headers={**FOUND, name: value})


def test_a_retry_after_that_is_no_number_is_refused() -> None:
    """It is documented as seconds."""
    body = _problem("upstream_unreachable")
    _check_get(503, {**REFUSED, "Retry-After": "5"}, body)
    assert "the header Retry-After does not fit" in _complaint(
        status=503, headers={**REFUSED, "Retry-After": "soon"}, body=body
    )


def test_a_body_that_is_not_json_is_refused() -> None:
    """Whatever its content type says."""
    assert "the body is not JSON" in _complaint(body=b"<html>")


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_where_there_is_none_is_refused(status: int) -> None:
    """204 and 304 end with their headers."""
    method, headers = ("PATCH", {**FRAME, "Preference-Applied": "return=minimal"}) if status == 204 else ("GET", FOUND)
    check_response(method, "/clients/13", status, headers, b"")
    with pytest.raises(AssertionError, match="there must be no body"):
        check_response(method, "/clients/13", status, headers, b"{}")


def test_head_is_get_without_the_body() -> None:
    """The same headers, and not one byte."""
    check_response("HEAD", "/clients/13", 200, FOUND, b"")
    with pytest.raises(AssertionError, match="there must be no body"):
        check_response("HEAD", "/clients/13", 200, FOUND, b"{}")
    with pytest.raises(AssertionError, match="the header ETag is missing"):
        check_response("HEAD", "/clients/13", 200, _without(FOUND, "ETag"), b"")


def test_a_problem_must_be_one_that_the_operation_can_meet() -> None:
    """The right status with another operation's code is wrong."""
    _check_get(404, REFUSED, _problem("not_found"))
    told = _complaint(status=404, headers=REFUSED, body=_problem("not_found", code="precondition_failed"))
    assert "does not fit its schema at /code" in told


def test_a_problem_must_carry_the_answers_status() -> None:
    """The document's `status` is the status."""
    assert "at /status" in _complaint(status=404, headers=REFUSED, body=_problem("not_found", status=400))


def test_a_problem_of_a_write_must_tell_the_outcome() -> None:
    """Without it the caller does not know whether to send it again."""
    body = json.loads(_problem("not_found.write"))
    check_response("PATCH", "/clients/13", 404, REFUSED, json.dumps(body).encode())
    with pytest.raises(AssertionError, match="'outcome' is a required property"):
        check_response("PATCH", "/clients/13", 404, REFUSED, json.dumps(_without(body, "outcome")).encode())


def test_a_problem_must_not_be_a_web_page() -> None:
    """Not even with the right status."""
    headers = {**REFUSED, "Content-Type": "text/html; charset=utf-8"}
    assert "the content type is text/html" in _complaint(status=404, headers=headers, body=b"<h1>Not found</h1>")


def test_an_unknown_route_must_be_the_problem_that_says_so() -> None:
    """404 `no_such_route`, and nothing else."""
    body = _problem("no_such_route")
    _check_get(404, REFUSED, body, path="/nowhere")
    assert "the status should be 404" in _complaint(path="/nowhere")
    assert "at /code" in _complaint(status=404, headers=REFUSED, body=_problem("not_found"), path="/nowhere")


def test_a_wrong_method_must_be_the_problem_that_says_so() -> None:
    """405 with `Allow`; but where the path's parameter is what is wrong, there is no route: 404."""
    allowed = {**REFUSED, "Allow": "GET, HEAD, OPTIONS, POST"}
    body = _problem("method_not_allowed")
    check_response("DELETE", "/clients", 405, allowed, body)
    check_response("POST", "/clients/0", 404, REFUSED, _problem("no_such_route"))
    with pytest.raises(AssertionError, match="the header Allow is missing"):
        check_response("DELETE", "/clients", 405, REFUSED, body)
    with pytest.raises(AssertionError, match="the status should be 405"):
        check_response("DELETE", "/clients", 404, REFUSED, _problem("no_such_route"))


def test_options_is_answered_with_the_methods() -> None:
    """204, `Allow`, no body."""
    headers = {"X-Request-Id": "abc", "Allow": "GET, HEAD, OPTIONS, POST"}
    check_response("OPTIONS", "/clients", 204, headers, b"")
    for status, given, body in [(200, headers, b""), (204, _without(headers, "Allow"), b""), (204, headers, b"{}")]:
        with pytest.raises(AssertionError):
            check_response("OPTIONS", "/clients", status, given, body)
