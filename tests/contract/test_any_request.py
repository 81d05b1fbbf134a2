"""Any JSON, any bytes, any query into any route: a documented answer, and never 500."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.expectations import WITH_BODY, jane
from tests.support.gateway import Caller

bounded = settings(
    max_examples=200,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

NAMES = [*jane(), "password", "street1", "city", "postal_code", "amount", "currency", "contact_id", "_schema", "p_city"]
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30)
SCALARS = (
    st.none() | st.booleans() | NUMBERS | ANY_TEXT | st.sampled_from(["a@b.example", "en", "USD", "", "\0", "\ud800"])
)


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(NAMES) | ANY_TEXT, values, max_size=8)


ANY_JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | objects(inner), max_leaves=25)
PLAUSIBLE = st.fixed_dictionaries(
    {"email": st.sampled_from(["a@b.example", "é@b.example", "x"])},
    optional={name: ANY_TEXT | st.none() for name in ("first_name", "notes", "username", "password", "language", "fax")}
    | {
        "primary_address": objects(ANY_TEXT | st.none()) | st.none(),
        "contacts": st.lists(objects(SCALARS) | st.fixed_dictionaries({"email": st.just("c@d.example")}), max_size=4),
    },
)


@pytest.fixture
def check(caller: Caller) -> Callable[..., None]:
    """Sends a request whose answer must be documented (the caller sees to that) and no defect."""

    def send(method: str, path: str, **options: Any) -> None:
        response = caller.request(method, path, **options)
        assert response.status_code < 500, response.get_data(as_text=True)
        assert (response.status_code >= 400) == (response.content_type == "application/problem+json")

    return send


@bounded
@given(route=st.sampled_from(WITH_BODY), body=ANY_JSON | objects(ANY_JSON))
def test_any_json_gets_a_documented_answer(check: Callable[..., None], route: tuple[str, str], body: object) -> None:
    """Into any operation that reads a body."""
    check(*route, data=json.dumps(body), content_type="application/json")


@bounded
@given(route=st.sampled_from(WITH_BODY), body=PLAUSIBLE)
def test_almost_a_record_gets_a_documented_answer(
    check: Callable[..., None], route: tuple[str, str], body: dict[str, Any]
) -> None:
    """Much of it goes all the way to the upstream and back."""
    check(*route, data=json.dumps(body), content_type="application/json")


@bounded
@given(route=st.sampled_from(WITH_BODY), data=st.binary(max_size=300))
def test_any_bytes_get_a_documented_answer(check: Callable[..., None], route: tuple[str, str], data: bytes) -> None:
    """Into any operation that reads a body."""
    check(*route, data=data, content_type="application/json")


FILTERS = ["page", "per_page", "email", "username", "notes", "folder", "updated_from", "updated_to", "_schema"]
XML_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = XML_TEXT | st.integers(-5, 200).map(str) | st.datetimes().map(str) | st.dates().map(str)


@bounded
@given(query=st.dictionaries(st.sampled_from(FILTERS) | XML_TEXT, VALUES, max_size=5))
def test_any_query_gets_a_documented_answer(check: Callable[..., None], query: dict[str, str]) -> None:
    """Of the names that there are, and of others."""
    check("GET", "/clients", query_string=query)


@bounded
@given(raw=st.binary(max_size=60))
def test_any_raw_query_gets_a_documented_answer(check: Callable[..., None], raw: bytes) -> None:
    """Encoded well or not at all."""
    check("GET", "/clients", environ_overrides={"QUERY_STRING": raw.decode("latin-1")})


@bounded
@given(part=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/?#"), max_size=20))
@pytest.mark.parametrize("before", ["/clients/", "/problems/", "/docs/", "/"])
def test_any_path_gets_a_documented_answer(check: Callable[..., None], before: str, part: str) -> None:
    """Behind every prefix that there is."""
    path = before + (part if part.strip(".") else "x" + part)
    check("GET", path.encode("utf-8").decode("utf-8"))


HEADER_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=40)
HEADERS = ["Accept", "Authorization", "If-Match", "If-None-Match", "Prefer", "X-Request-Id", "Content-Type", "Origin"]
HEADERS += ["Content-Encoding", "Accept-Encoding", "Cache-Control", "traceparent", "Cookie", "Range", "Expect"]


@bounded
@given(
    route=st.sampled_from([("GET", "/clients/13"), ("GET", "/clients"), ("PATCH", "/clients/13"), ("GET", "/metrics")]),
    headers=st.dictionaries(st.sampled_from(HEADERS), HEADER_TEXT, max_size=4),
)
def test_any_header_gets_a_documented_answer(
    check: Callable[..., None], route: tuple[str, str], headers: dict[str, str]
) -> None:
    """Of those that mean something here."""
    body = {"data": b"{}"} if route[0] == "PATCH" else {}
    check(*route, headers=headers, **body)
