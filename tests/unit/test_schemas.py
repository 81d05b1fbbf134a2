"""What callers may write, what is said when they may not, and what single values become."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from schemas.client import CLIENT
from schemas.resource import Invalid, InvalidRecord
from schemas.types import Identifier, Instant, Money, WallTime
from tests.support.values import BODIES
from tests.support.wire import ZONE

Path = tuple[str | int, ...]


def complaints(body: Any, *, patch: bool = False) -> list[Invalid]:
    with pytest.raises(InvalidRecord) as raised:
        CLIENT.load_patch(body) if patch else CLIENT.load(body)
    return raised.value.complaints


EMAIL = {"email": "a@example.com"}
REFUSED: list[tuple[dict[str, Any], Path, str]] = [
    ({}, ("email",), "required"),
    ({"email": None}, ("email",), "null_not_allowed"),
    ({"email": ""}, ("email",), "required"),
    ({"email": "nobody"}, ("email",), "invalid_email"),
    ({"email": "a@b@example.com"}, ("email",), "invalid_email"),
    ({"email": "a@example.com\n"}, ("email",), "invalid_email"),
    ({"email": 5}, ("email",), "wrong_type"),
    ({**EMAIL, "first_name": True}, ("first_name",), "wrong_type"),
    ({**EMAIL, "first_name": ["x"]}, ("first_name",), "wrong_type"),
    ({**EMAIL, "notes": "a\x00b"}, ("notes",), "invalid_character"),
    ({**EMAIL, "notes": "\ud800"}, ("notes",), "invalid_character"),
    ({**EMAIL, "notes": "\ufffe"}, ("notes",), "invalid_character"),
    ({**EMAIL, "notes": "\x1b"}, ("notes",), "invalid_character"),
    ({**EMAIL, "language": "English"}, ("language",), "invalid_format"),
    ({**EMAIL, "currency_code": "usd"}, ("currency_code",), "invalid_format"),
    ({**EMAIL, "currency_code": "US"}, ("currency_code",), "invalid_format"),
    ({**EMAIL, "password": ""}, ("password",), "required"),
    ({**EMAIL, "password": None}, ("password",), "null_not_allowed"),
    ({**EMAIL, "id": 13}, ("id",), "read_only"),
    ({**EMAIL, "credits": []}, ("credits",), "read_only"),
    ({**EMAIL, "links": None}, ("links",), "read_only"),
    ({**EMAIL, "folder": "active"}, ("folder",), "read_only"),
    ({**EMAIL, "updated_at": None}, ("updated_at",), "read_only"),
    ({**EMAIL, "shoe_size": 44}, ("shoe_size",), "unknown_field"),
    ({**EMAIL, "primary_address": "Rome"}, ("primary_address",), "wrong_type"),
    ({**EMAIL, "primary_address": []}, ("primary_address",), "wrong_type"),
    ({**EMAIL, "primary_address": {"city": 5}}, ("primary_address", "city"), "wrong_type"),
    ({**EMAIL, "primary_address": {"town": "x"}}, ("primary_address", "town"), "unknown_field"),
    ({**EMAIL, "contacts": {}}, ("contacts",), "wrong_type"),
    ({**EMAIL, "contacts": ["x"]}, ("contacts", 0), "wrong_type"),
    ({**EMAIL, "contacts": [None]}, ("contacts", 0), "wrong_type"),
    ({**EMAIL, "contacts": [EMAIL, {}]}, ("contacts", 1, "email"), "required"),
    ({**EMAIL, "contacts": [{**EMAIL, "id": "15"}]}, ("contacts", 0, "id"), "wrong_type"),
    ({**EMAIL, "contacts": [{**EMAIL, "id": 0}]}, ("contacts", 0, "id"), "out_of_range"),
    ({**EMAIL, "contacts": [{**EMAIL, "id": 10**18}]}, ("contacts", 0, "id"), "out_of_range"),
    ({**EMAIL, "contacts": [{**EMAIL, "id": True}]}, ("contacts", 0, "id"), "wrong_type"),
    ({**EMAIL, "contacts": [{**EMAIL, "phone": "1"}]}, ("contacts", 0, "phone"), "unknown_field"),
]


@pytest.mark.parametrize("body, path, code", REFUSED)
def test_a_bad_body_is_refused_with_its_place(body: dict[str, Any], path: Path, code: str) -> None:
    """One complaint, at the place, with a code and words."""
    (complaint,) = complaints(body)
    assert (complaint.path, complaint.code) == (path, code)
    assert complaint.detail.endswith(".") or complaint.suggestion
    assert "|" not in complaint.detail


def test_every_complaint_is_told_at_once() -> None:
    """A caller corrects a body once."""
    body = {"first_name": 1, "shoe": 2, "primary_address": {"city": 3}, "contacts": [{"phone1": 4}]}
    paths = {complaint.path for complaint in complaints(body)}
    assert paths >= {("first_name",), ("email",), ("primary_address", "city"), ("contacts", 0, "phone1")}
    assert ("contacts", 0, "email") in paths


@pytest.mark.parametrize(
    "name, meant",
    [
        ("firstname", "first_name"),
        ("FIRST_NAME", "first_name"),
        ("e-mail", "email"),
        ("p_street1", "primary_address/street1"),
        ("s_code", "secondary_address/postal_code"),
        ("organisation", "organization"),
        ("zzzzzz", None),
        ("x" * 100_000, None),
        ("", None),
    ],
)
def test_a_near_miss_is_told_what_was_meant(name: str, meant: str | None) -> None:
    """By our name or the upstream's; nothing when nothing comes near."""
    (complaint,) = complaints({**EMAIL, name: "x"})
    assert (complaint.code, complaint.suggestion) == ("unknown_field", meant)
    assert meant is None or f'"{meant}"' in complaint.detail


@given(body=BODIES)
@settings(max_examples=100)
def test_what_is_valid_in_a_body_is_valid_in_a_patch(body: dict[str, Any]) -> None:
    """Each field on its own, too."""
    assert CLIENT.load_patch(body) == CLIENT.load(body)
    for name, value in body.items():
        assert CLIENT.load_patch({name: value}).keys() == {name}


@given(body=BODIES)
@settings(max_examples=100)
def test_a_replacement_names_every_writable_field(body: dict[str, Any]) -> None:
    """What the body left out is null; username and password alone stay out."""
    values = CLIENT.load_replacement(body)
    left_out = CLIENT.schema.load_fields.keys() - values.keys()
    assert left_out == {"username", "password"} - body.keys()
    for name in ("primary_address", "secondary_address"):
        assert values[name].keys() == CLIENT.schema.fields[name].schema.fields.keys()  # type: ignore[attr-defined]
    assert {name: value for name, value in values.items() if value is None or value == []}.keys() >= {
        name for name, value in body.items() if value is None and not name.endswith("_address")
    }


def test_an_items_email_is_required_in_a_patch_too() -> None:
    """A list replaces the stored one, so its items are judged whole."""
    (complaint,) = complaints({"contacts": [{"phone1": "1"}]}, patch=True)
    assert (complaint.path, complaint.code) == (("contacts", 0, "email"), "required")


def test_a_patch_clears_with_null_and_with_empty_text() -> None:
    """Both are the same to a field that may be empty."""
    assert CLIENT.load_patch({"notes": "", "fax": None}) == {"notes": None, "fax": None}


@pytest.mark.parametrize("name", ["email", "password"])
def test_a_patch_cannot_clear_what_must_be_there(name: str) -> None:
    """Neither with null nor with empty text."""
    assert [one.code for one in complaints({name: None}, patch=True)] == ["null_not_allowed"]
    assert [one.code for one in complaints({name: ""}, patch=True)] == ["required"]


INSTANTS = {
    "2009-08-12": "2009-08-12 00:00:00",
    "2009-08-12T09:00:00-04:00": "2009-08-12 09:00:00",
    "2009-08-12t13:00:00z": "2009-08-12 09:00:00",
    "2009-08-12 13:00:00Z": "2009-08-12 09:00:00",
    "2009-12-12T14:00:00.999Z": "2009-12-12 09:00:00",
    "2009-12-12T14:00:00.123456789Z": "2009-12-12 09:00:00",
    "2009-11-01T05:30:00Z": "2009-11-01 01:30:00",
    "2009-11-01T06:30:00Z": "2009-11-01 01:30:00",
    "2009-08-12T23:59:59+14:00": "2009-08-12 05:59:59",
    "0001-01-01": "0001-01-01 00:00:00",
    "0001-01-01T00:00:00Z": "0001-01-01 00:00:00",
    "9999-12-31T23:59:59Z": "9999-12-31 18:59:59",
}


@pytest.mark.parametrize("text, wall_time", INSTANTS.items())
def test_an_instant_is_asked_for_in_the_upstreams_wall_time(text: str, wall_time: str) -> None:
    """A date is its first moment there; fractions of a second are below what the upstream writes."""
    assert Instant().to_text(Instant().deserialize(text), ZONE) == wall_time


@pytest.mark.parametrize(
    "text",
    [
        *("yesterday", "2009-08-12T09:00:00", "2009-08-12T09:00Z", "2009-8-12", "20090812", "2009-W33-3"),
        *("2009-02-30", "2009-08-12T25:00:00Z", "2009-08-12T09:00:00+25:00", "2009-08-12T09:00:00.Z"),
        *("٢٠٠٩-08-12", "2009-08-12\n", " 2009-08-12", "9999-12-31T23:59:59-14:00", "", "0000-00-00"),
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    """RFC 3339 with an offset, or a date."""
    with pytest.raises(InvalidRecord) as raised:
        CLIENT.load_filters({"updated_from": text})
    assert [complaint.path for complaint in raised.value.complaints] == [("updated_from",)]


@given(moment=st.datetimes(datetime.fromisoformat("1900-01-01"), datetime.fromisoformat("2099-12-31")))
@settings(max_examples=150)
def test_a_wall_time_is_a_moment_with_its_offset(moment: datetime) -> None:
    """RFC 3339, whole seconds, the upstream's offset of that day, and the same wall time again."""
    written = moment.isoformat(" ", "seconds")
    read = WallTime().from_text(written, ZONE)
    assert read is not None
    back = datetime.fromisoformat(read)
    assert back.utcoffset() in (timedelta(hours=-4), timedelta(hours=-5))
    assert back.replace(tzinfo=None).isoformat(" ") == written


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Amsterdam", "Asia/Kathmandu", "UTC"])
@pytest.mark.parametrize("year", ["0001", "1800", "1900", "1937", "2009", "9999"])
def test_any_wall_time_is_rfc_3339(zone: str, year: str) -> None:
    """Also of times when offsets had seconds, which RFC 3339 cannot write."""
    read = WallTime().from_text(f"{year}-01-01 00:00:00", ZoneInfo(zone))
    assert read is None or datetime.fromisoformat(read).utcoffset() is not None
    assert read is None or len(read) == len("2009-08-12T09:00:00-04:00")


@given(text=st.text(max_size=30) | st.from_regex(r"[0-9 :.,+-]{0,25}"))
@settings(max_examples=300)
def test_reading_never_raises(text: str) -> None:
    """And gives what the schema promises, or None."""
    key, amount = Identifier().from_text(text, ZONE), Money().from_text(text, ZONE)
    moment = WallTime().from_text(text, ZONE)
    assert key is None or 0 < key < 10**18
    assert amount is None or Money().deserialize(amount) == amount
    assert moment is None or datetime.fromisoformat(moment).tzinfo is not None


@pytest.mark.parametrize(
    "text, amount",
    [("0", "0"), (" 12.00\n", "12.00"), ("-1.5", "-1.5"), ("1,000.00", None), ("1e5", None), ("", None), ("٣", None)],
)
def test_money_stays_as_it_was_written(text: str, amount: str | None) -> None:
    """No float comes near it."""
    assert Money().from_text(text, ZONE) == amount


@pytest.mark.parametrize("value", ["1e1000000", "NaN", "1.2.3", 12, 1.5, None, "", "1" * 16])
def test_money_that_is_none_is_refused(value: object) -> None:
    """`1e1000000` would be a million digits to somebody."""
    with pytest.raises(ValidationError):
        Money(required=True).deserialize(value)


def test_filters_have_their_defaults() -> None:
    """The first page of 25."""
    assert CLIENT.load_filters({}) == {"page": 1, "per_page": 25}
    assert CLIENT.load_filters({"updated_from": "2009-08-12"})["updated_from"] == date(2009, 8, 12)
    assert CLIENT.load_filters({"updated_to": "2009-08-12T00:00:00Z"})["updated_to"] == datetime(
        2009, 8, 12, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "name, text",
    [
        *(("page", text) for text in ("0", "-1", "1.0", "", "x", "1" * 19, "٣", "1000000001", "+1", " 1")),
        *(("per_page", text) for text in ("0", "101", "1e1")),
        *(("folder", text) for text in ("", "Active", "all")),
        *(("email", text) for text in ("", "a\x00", "\ud800")),
        *(("username", ""), ("notes", ""), ("shoe_size", "44"), ("Page", "1")),
    ],
)
def test_a_bad_filter_is_refused_by_name(name: str, text: str) -> None:
    """One complaint; an empty filter is no filter."""
    with pytest.raises(InvalidRecord) as raised:
        CLIENT.load_filters({name: text})
    assert [complaint.path for complaint in raised.value.complaints] == [(name,)]


def test_an_element_of_a_fault_is_found_in_the_json() -> None:
    """By the upstream's names for it."""
    pointers = CLIENT.pointers
    assert pointers["p_code"] == "/primary_address/postal_code"
    assert pointers["s_street1"] == "/secondary_address/street1"
    assert (pointers["email"], pointers["contacts"], pointers["contact_id"]) == ("/email", "/contacts", "/contacts")
    assert "client_id" not in pointers
