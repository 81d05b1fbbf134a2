"""JSON objects that are no record: 422, and where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.server import Simulator
from tests.contract.expectations import WITH_BODY, json_of, refused
from tests.support.gateway import Caller

TEXTS = ["first_name", "last_name", "organization", "username", "work_phone", "home_phone", "mobile", "fax", "notes"]
TEXTS += ["vat_name", "vat_number", "email", "language", "currency_code", "password"]
MEMBERS = ["street1", "street2", "city", "state", "country", "postal_code"]
CONTACT_TEXTS = ["username", "first_name", "last_name", "email", "phone1", "phone2"]
NOT_XML = {
    "NUL": "\0",
    "backspace": "\b",
    "escape": "\x1b",
    "unit separator": "\x1f",
    "high surrogate": "\ud800",
    "low surrogate": "\udfff",
    "surrogates in the wrong order": "\udc00\ud800",
    "U+FFFE": "\ufffe",
    "U+FFFF": "\uffff",
}


def send(caller: Caller, route: tuple[str, str], body: dict[str, Any]) -> Any:
    """As JSON in ASCII, so that lone surrogates can be written."""
    return caller.request(*route, data=json.dumps(body).encode("ascii"), content_type="application/json")


def valid(**changes: Any) -> dict[str, Any]:
    return {"email": "a@b.example", **changes}


@pytest.mark.parametrize("value", [1, 1.5, -0.0, True, False, [], ["x"], {}, {"x": 1}], ids=repr)
def test_a_text_that_is_no_text_is_wrong(caller: Caller, simulator: Simulator, value: object) -> None:
    """For every field of text at once: each is pointed at."""
    for route in WITH_BODY:
        body = refused(send(caller, route, dict.fromkeys(TEXTS, value)), 422, "invalid_fields", simulator)
        assert {(one["pointer"], one["code"]) for one in body["errors"]} == {
            ("/" + name, "wrong_type") for name in TEXTS
        }


@pytest.mark.parametrize("value", [1, True, "x", [], [{}]], ids=repr)
def test_an_address_that_is_no_object_is_wrong(caller: Caller, simulator: Simulator, value: object) -> None:
    """Both of them."""
    for route in WITH_BODY:
        body = refused(
            send(caller, route, valid(primary_address=value, secondary_address=value)), 422, "invalid_fields", simulator
        )
        assert {(one["pointer"], one["code"]) for one in body["errors"]} == {
            ("/primary_address", "wrong_type"),
            ("/secondary_address", "wrong_type"),
        }


def test_the_members_of_an_address_are_texts(caller: Caller, simulator: Simulator) -> None:
    """Pointed at in depth."""
    for route in WITH_BODY:
        body = refused(
            send(caller, route, valid(secondary_address=dict.fromkeys(MEMBERS, 1))), 422, "invalid_fields", simulator
        )
        assert {one["pointer"] for one in body["errors"]} == {f"/secondary_address/{name}" for name in MEMBERS}


@pytest.mark.parametrize("value", [1, "x", {}, {"email": "a@b.example"}, True], ids=repr)
def test_contacts_that_are_no_list_are_wrong(caller: Caller, simulator: Simulator, value: object) -> None:
    """Also a single contact outside of a list."""
    for route in WITH_BODY:
        refused(send(caller, route, valid(contacts=value)), 422, "invalid_fields", simulator, {"pointer": "/contacts"})


BAD_CONTACTS: dict[str, tuple[Any, str, str]] = {
    "no object": (1, "/contacts/1", "wrong_type"),
    "null": (None, "/contacts/1", "wrong_type"),
    "a list": ([], "/contacts/1", "wrong_type"),
    "no e-mail": ({"first_name": "X"}, "/contacts/1/email", "required"),
    "null e-mail": ({"email": None}, "/contacts/1/email", "null_not_allowed"),
    "empty e-mail": ({"email": ""}, "/contacts/1/email", "required"),
    "bad e-mail": ({"email": "x"}, "/contacts/1/email", "invalid_email"),
    "unknown field": ({"email": "a@b.example", "phone3": "1"}, "/contacts/1/phone3", "unknown_field"),
    "an XML name": ({"email": "a@b.example", "contact_id": 1}, "/contacts/1/contact_id", "unknown_field"),
    "id as text": ({"email": "a@b.example", "id": "15"}, "/contacts/1/id", "wrong_type"),
    "id as fraction": ({"email": "a@b.example", "id": 15.5}, "/contacts/1/id", "wrong_type"),
    "id as truth": ({"email": "a@b.example", "id": True}, "/contacts/1/id", "wrong_type"),
    "id of zero": ({"email": "a@b.example", "id": 0}, "/contacts/1/id", "out_of_range"),
    "negative id": ({"email": "a@b.example", "id": -1}, "/contacts/1/id", "out_of_range"),
    "huge id": ({"email": "a@b.example", "id": 10**18}, "/contacts/1/id", "out_of_range"),
    "id of 1000 digits": ({"email": "a@b.example", "id": 10**999}, "/contacts/1/id", "out_of_range"),
}


@pytest.mark.parametrize("contact, pointer, code", BAD_CONTACTS.values(), ids=BAD_CONTACTS)
def test_a_bad_contact_is_pointed_at_by_its_number(
    caller: Caller, simulator: Simulator, contact: object, pointer: str, code: str
) -> None:
    """In a patch too: a list replaces the stored one, so each contact must be whole."""
    for route in WITH_BODY:
        body = valid(contacts=[{"email": "good@b.example"}, contact])
        found = refused(send(caller, route, body), 422, "invalid_fields", simulator, {"pointer": pointer, "code": code})
        assert len(found["errors"]) == 1


def test_a_new_record_has_no_stored_contacts(caller: Caller, simulator: Simulator) -> None:
    """An id on creation claims an identity that nobody has; null claims none."""
    body = valid(contacts=[{"email": "c@d.example"}, {"id": 15, "email": "c@d.example"}])
    place = {"pointer": "/contacts/1/id", "code": "read_only"}
    refused(send(caller, ("POST", "/clients"), body), 422, "invalid_fields", simulator, place)
    body = valid(contacts=[{"id": None, "email": "c@d.example"}])
    assert send(caller, ("POST", "/clients"), body).status_code == 201


def test_a_whole_number_may_be_written_with_a_fraction_of_nothing(caller: Caller) -> None:
    """JSON has one kind of number: 15.0 is 15."""
    response = send(caller, ("PATCH", "/clients/13"), {"contacts": [{"id": 15.0, "email": "c@d.example"}]})
    assert [contact["id"] for contact in json_of(response)["contacts"]] == [15]


@pytest.mark.parametrize("name", CONTACT_TEXTS)
def test_a_contacts_texts_are_texts(caller: Caller, simulator: Simulator, name: str) -> None:
    """Each of them."""
    for route in WITH_BODY:
        contact = {"email": "a@b.example"} | {name: 1}
        refused(
            send(caller, route, valid(contacts=[contact])),
            422,
            "invalid_fields",
            simulator,
            {"pointer": f"/contacts/0/{name}", "code": "wrong_type"},
        )


@pytest.mark.parametrize("name", ["id", "credits", "links", "folder", "updated_at"])
def test_a_read_only_field_is_refused_as_such(caller: Caller, simulator: Simulator, name: str) -> None:
    """Not called unknown: callers have seen it."""
    for route in WITH_BODY:
        place = {"pointer": f"/{name}", "code": "read_only"}
        refused(send(caller, route, valid(**{name: "x"})), 422, "invalid_fields", simulator, place)


def test_a_record_sent_back_whole_is_told_what_is_read_only(caller: Caller, simulator: Simulator) -> None:
    """All five at once."""
    record = json_of(caller.get("/clients/13"))
    simulator.ledger.clear()
    body = refused(send(caller, ("PUT", "/clients/13"), record), 422, "invalid_fields", simulator)
    assert [one["pointer"] for one in body["errors"]] == ["/credits", "/folder", "/id", "/links", "/updated_at"]


MISSPELT = {
    "firstname": "first_name",
    "FirstName": "first_name",
    "first_nam": "first_name",
    "e_mail": "email",
    "Email": "email",
    "currency": "currency_code",
    "home_fone": "home_phone",
    "organisation": "organization",
    "passwort": "password",
    "primary_adress": "primary_address",
    "contact": "contacts",
    "p_city": "primary_address/city",
    "s_street1": "secondary_address/street1",
    "p_code": "primary_address/postal_code",
}


@pytest.mark.parametrize("name, meant", MISSPELT.items())
def test_a_near_miss_gets_a_suggestion(caller: Caller, simulator: Simulator, name: str, meant: str) -> None:
    """By the name in JSON, or by the upstream's name for it."""
    for route in WITH_BODY:
        place = {"pointer": f"/{name}", "code": "unknown_field", "suggestion": meant}
        body = refused(send(caller, route, valid(**{name: "x"})), 422, "invalid_fields", simulator, place)
        assert f'Did you mean "{meant}"?' in body["errors"][0]["detail"]


def test_a_near_miss_in_an_address_gets_a_suggestion(caller: Caller, simulator: Simulator) -> None:
    """Among the names of that place."""
    place = {"pointer": "/primary_address/citty", "code": "unknown_field", "suggestion": "city"}
    response = send(caller, ("POST", "/clients"), valid(primary_address={"citty": "x"}))
    refused(response, 422, "invalid_fields", simulator, place)


@pytest.mark.parametrize("name", ["zzz", "", " ", "__proto__", "constructor", "é" * 50, "x" * 200, "0", "$ref"])
def test_an_unknown_field_without_a_likeness_gets_none(caller: Caller, simulator: Simulator, name: str) -> None:
    """Nothing is made up."""
    place = {"pointer": f"/{name}", "code": "unknown_field", "detail": "Unknown field."}
    body = refused(send(caller, ("POST", "/clients"), valid(**{name: "x"})), 422, "invalid_fields", simulator, place)
    assert "suggestion" not in body["errors"][0]


@pytest.mark.parametrize("name, pointer", [("a/b", "/a~1b"), ("a~b", "/a~0b"), ("~1", "/~01"), ("/", "/~1")])
def test_pointers_escape_what_has_a_meaning_in_them(
    caller: Caller, simulator: Simulator, name: str, pointer: str
) -> None:
    """RFC 6901 §3."""
    refused(
        send(caller, ("POST", "/clients"), valid(**{name: 1})), 422, "invalid_fields", simulator, {"pointer": pointer}
    )


@pytest.mark.parametrize("name", ["x" * 100_000, "~" * 100_000, "/" * 299, "~" * 149 + "x" + "/" * 9])
def test_a_very_long_name_is_cut(caller: Caller, simulator: Simulator, name: str) -> None:
    """Nothing is repeated for ever, and what is left is still a pointer."""
    body = refused(send(caller, ("POST", "/clients"), valid(**{name: 1})), 422, "invalid_fields", simulator)
    assert len(body["errors"][0]["pointer"]) <= 300
    assert not body["errors"][0]["pointer"].endswith("~")


@pytest.mark.parametrize("bad", NOT_XML.values(), ids=NOT_XML)
def test_a_character_that_xml_cannot_carry_is_refused(caller: Caller, simulator: Simulator, bad: str) -> None:
    """In every text, and it is told which character and where."""
    for route in WITH_BODY:
        address = dict.fromkeys(MEMBERS, f"ab{bad}")
        contact = dict.fromkeys(CONTACT_TEXTS, f"ab{bad}")
        fields = {**dict.fromkeys(TEXTS, f"ab{bad}"), "primary_address": address, "contacts": [contact]}
        body = refused(send(caller, route, fields), 422, "invalid_fields", simulator)
        expected = [f"/{name}" for name in TEXTS] + [f"/primary_address/{name}" for name in MEMBERS]
        expected += [f"/contacts/0/{name}" for name in CONTACT_TEXTS]
        assert sorted(one["pointer"] for one in body["errors"]) == sorted(expected)
        assert {one["code"] for one in body["errors"]} == {"invalid_character"}
        assert {one["detail"] for one in body["errors"]} == {
            f"Holds U+{ord(bad[0]):04X} at position 2, which XML 1.0 cannot carry."
        }


@pytest.mark.parametrize("bad", NOT_XML.values(), ids=NOT_XML)
def test_such_a_character_in_a_name_is_an_unknown_field(caller: Caller, simulator: Simulator, bad: str) -> None:
    """And the answer is still well-formed JSON in UTF-8."""
    for route in WITH_BODY:
        response = send(caller, route, valid(**{f"zz{bad}": 1}))
        refused(response, 422, "invalid_fields", simulator, {"code": "unknown_field"})
        json.loads(response.get_data().decode("utf-8"))


@pytest.mark.parametrize("char", ["\t", "\n", "\r", "\x7f", "\x85", "\u2028", "\ufffd", "\U0010ffff", "\ud83c\udf89"])
def test_a_character_that_xml_can_carry_is_kept(caller: Caller, char: str) -> None:
    """Odd is not wrong; a pair of surrogates is one character."""
    text = f"a{char}b"
    kept = text.encode("utf-16", "surrogatepass").decode("utf-16")
    assert json_of(send(caller, ("PATCH", "/clients/13"), {"notes": text}))["notes"] == kept


BAD_VALUES: list[tuple[str, Any, str]] = [
    ("email", "nobody", "invalid_email"),
    ("email", "a@", "invalid_email"),
    ("email", "@b.example", "invalid_email"),
    ("email", "a b@c.example", "invalid_email"),
    ("email", "a@b.example, c@d.example", "invalid_email"),
    ("email", "Jane <jane@b.example>", "invalid_email"),
    ("email", " a@b.example", "invalid_email"),
    ("email", "a@b.example\n", "invalid_email"),
    ("email", "mailto:a@b.example", "invalid_email"),
    ("email", "a" * 100_000 + "@", "invalid_email"),
    ("language", "english", "invalid_format"),
    ("language", "EN", "invalid_format"),
    ("language", "en\n", "invalid_format"),
    ("language", "é", "invalid_format"),
    ("currency_code", "usd", "invalid_format"),
    ("currency_code", "US", "invalid_format"),
    ("currency_code", "USDX", "invalid_format"),
    ("currency_code", "$", "invalid_format"),
    ("currency_code", "USD\n", "invalid_format"),
    ("currency_code", "ＵＳＤ", "invalid_format"),
    ("password", None, "null_not_allowed"),
    ("password", "", "required"),
]


@pytest.mark.parametrize("name, value, code", BAD_VALUES, ids=lambda value: str(value)[:30])
def test_a_value_of_the_wrong_form_is_refused(
    caller: Caller, simulator: Simulator, name: str, value: object, code: str
) -> None:
    """Each rule of writing, whichever operation writes; the value is not repeated."""
    for route in WITH_BODY:
        place = {"pointer": f"/{name}", "code": code}
        body = refused(send(caller, route, valid(**{name: value})), 422, "invalid_fields", simulator, place)
        assert len(body["errors"]) == 1
        assert len(str(body)) < 1000


@pytest.mark.parametrize("route", [("POST", "/clients"), ("PUT", "/clients/13")], ids="".join)
@pytest.mark.parametrize("body", [{}, {"first_name": "X"}])
def test_a_whole_record_needs_an_email(
    caller: Caller, simulator: Simulator, route: tuple[str, str], body: dict[str, Any]
) -> None:
    """Creating and replacing; see the changes for patches."""
    refused(send(caller, route, body), 422, "invalid_fields", simulator, {"pointer": "/email", "code": "required"})


def test_everything_wrong_is_told_at_once(caller: Caller, simulator: Simulator) -> None:
    """One round trip for the caller."""
    body = {"emial": "x", "id": 1, "first_name": 2, "primary_address": {"city": 3}, "contacts": [{"id": 0}]}
    found = refused(send(caller, ("POST", "/clients"), body), 422, "invalid_fields", simulator)
    assert {(one["pointer"], one["code"]) for one in found["errors"]} == {
        ("/emial", "unknown_field"),
        ("/id", "read_only"),
        ("/first_name", "wrong_type"),
        ("/primary_address/city", "wrong_type"),
        ("/contacts/0/id", "out_of_range"),
        ("/contacts/0/email", "required"),
        ("/email", "required"),
    }


def test_a_body_that_is_wrong_in_very_many_places_gets_a_short_answer(caller: Caller, simulator: Simulator) -> None:
    """A hundred places are enough to begin with."""
    body = valid(contacts=[{}] * 5000)
    response = send(caller, ("POST", "/clients"), body)
    assert len(refused(response, 422, "invalid_fields", simulator)["errors"]) == 100


@pytest.mark.parametrize("name", ["_schema", "__class__", "Meta", "fields", "load", "unknown"])
def test_names_that_mean_something_to_the_program_mean_nothing_here(
    caller: Caller, simulator: Simulator, name: str
) -> None:
    """An unknown field like any other."""
    found = refused(send(caller, ("POST", "/clients"), valid(**{name: 1})), 422, "invalid_fields", simulator)
    assert [one["code"] for one in found["errors"]] == ["unknown_field"]


def test_a_field_refused_here_is_judged_before_the_record_is_looked_for(caller: Caller, simulator: Simulator) -> None:
    """No call for what cannot be sent."""
    refused(send(caller, ("PATCH", "/clients/999999"), {"emial": "x"}), 422, "invalid_fields", simulator)
