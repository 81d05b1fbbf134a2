"""Record ↔ XML: what holds for every record, not only for the samples."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.upstream.codec import Codec
from gateway.upstream.decoding import local_name
from gateway.upstream.protocol import Answer, envelope, read_answer
from schemas.client import CLIENT
from tests.support.values import BODIES, ELEMENTS, TEXTS
from tests.support.wire import CASES, ZONE

CODEC = Codec(CLIENT, ZONE, lambda _name: None)
RECORD_KEYS = {
    *(
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
    ),
    *("language", "currency_code", "notes", "primary_address", "secondary_address", "vat_name", "vat_number"),
    *("contacts", "credits", "links", "folder", "updated_at"),
}
"""The contract's, written here again."""


def decoded(fields: str) -> dict[str, Any]:
    """The record in the elements of a client, read by the real parser out of a real envelope."""
    xml = f'<response xmlns="http://www.freshbooks.com/api/" status="ok"><client>{fields}</client></response>'
    return CODEC.decode(read_answer(Answer(200, {}, xml.encode()))[0])


def read_by_expat(xml: bytes) -> list[tuple[str, str]]:
    """The paths of the leaf elements and their texts, by the standard library's parser."""
    found: list[tuple[str, str]] = []
    path: list[str] = []
    held: list[str] = []
    parser = expat.ParserCreate()

    def start(name: str, _attributes: dict[str, str]) -> None:
        path.append(name)
        held.clear()

    def end(name: str) -> None:
        found.append(("/".join(path), "".join(held)))
        path.pop()
        held.clear()

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = held.append
    parser.Parse(xml, True)
    return found


def as_record(values: dict[str, Any]) -> dict[str, Any]:
    """What a loaded body must come back as: every writable key, nulls filled in, the password gone."""
    record: dict[str, Any] = {}
    for name in RECORD_KEYS - {"id", "credits", "links", "folder", "updated_at"}:
        value = values.get(name)
        if name.endswith("_address"):
            value = {**dict.fromkeys(CLIENT.schema.fields[name].schema.fields), **(value or {})}  # type: ignore[attr-defined]
        elif name == "contacts":
            value = [{**dict.fromkeys(CLIENT.schema.fields[name].schema.fields), **item} for item in value or []]  # type: ignore[attr-defined]
        record[name] = value
    return record


@given(body=BODIES, clear=st.booleans())
@settings(max_examples=200)
def test_what_is_encoded_is_decoded_to_the_same(body: dict[str, Any], clear: bool) -> None:
    """Identity on valid values, through the real parser; null and absent are the same on the way back."""
    values = CLIENT.load(body)
    record = decoded(CODEC.encode(values, clear=clear))
    expected = as_record(values)
    assert {name: record[name] for name in expected} == expected


@given(body=BODIES)
@settings(max_examples=150)
def test_the_decoder_and_the_schema_agree(body: dict[str, Any]) -> None:
    """What marshmallow dumps of the loaded values is what the decoder reads out of their XML, nulls filled in."""
    values = CLIENT.load(body)
    record = decoded(CODEC.encode(values, clear=True))
    expected = as_record(CLIENT.schema.dump(values))
    assert {name: record[name] for name in expected} == expected
    assert CLIENT.schema.dump(record) == record


@given(body=BODIES)
@settings(max_examples=150)
def test_what_is_encoded_is_read_the_same_by_another_parser(body: dict[str, Any]) -> None:
    """The standard library's expat sees the very texts of the body."""
    values = CLIENT.load(body)
    found = read_by_expat(envelope("client.create", f"<client>{CODEC.encode(values, clear=False)}</client>"))
    texts = {path.removeprefix("request/client/"): text for path, text in found if "/contacts" not in path}
    for name in ("first_name", "organization", "email", "password", "notes", "vat_number", "language"):
        assert texts.get(name) == values.get(name)
    for prefix, group in (("p_", "primary_address"), ("s_", "secondary_address")):
        for name in ("street1", "street2", "city", "state", "country"):
            assert texts.get(prefix + name) == (values.get(group) or {}).get(name)
        assert texts.get(f"{prefix}code") == (values.get(group) or {}).get("postal_code")
    sent = [text for path, text in found if path.endswith("/contact/email")]
    assert sent == [contact["email"] for contact in values.get("contacts") or []]


@given(body=BODIES, data=st.data(), clear=st.booleans())
@settings(max_examples=150)
def test_dropping_or_nulling_a_field_leaves_the_others_as_they_were(
    body: dict[str, Any], data: st.DataObject, clear: bool
) -> None:
    """The encoding is the fields' own encodings in a row."""
    values = CLIENT.load(body)
    name = data.draw(st.sampled_from(sorted(values)))
    alone = CODEC.encode({name: values[name]}, clear=clear)
    emptied = CODEC.encode({name: None}, clear=clear)
    whole = CODEC.encode(values, clear=clear)
    without = CODEC.encode({key: value for key, value in values.items() if key != name}, clear=clear)
    nulled = CODEC.encode({**values, name: None}, clear=clear)
    cut = whole.find(alone)
    assert cut >= 0
    assert any(whole[:at] + whole[at + len(alone) :] == without for at in positions(whole, alone))
    assert any(nulled[:at] + nulled[at + len(emptied) :] == without for at in positions(nulled, emptied))


def positions(text: str, part: str) -> list[int]:
    return [match.start() for match in re.finditer(f"(?={re.escape(part)})", text)]


@given(fields=st.lists(ELEMENTS, max_size=8))
@settings(max_examples=300)
def test_any_elements_are_a_record_with_every_key(fields: list[str]) -> None:
    """Reading is tolerant: no order, number, nesting or text of elements raises, and no key is ever missing."""
    record = decoded("".join(fields))
    assert record.keys() == RECORD_KEYS
    assert CLIENT.schema.dump(record) == record
    shapes = {"contacts": list, "credits": list, "links": dict, "primary_address": dict, "secondary_address": dict}
    assert all(isinstance(record[name], shape) for name, shape in shapes.items())
    assert all(item.keys() == CLIENT.schema.fields["contacts"].schema.fields.keys() for item in record["contacts"])  # type: ignore[attr-defined]


@given(fields=st.lists(ELEMENTS, max_size=6), data=st.data())
@settings(max_examples=100)
def test_the_order_of_different_elements_does_not_matter(fields: list[str], data: st.DataObject) -> None:
    """Elements of the same name aside, of which the later counts; text between elements is nobody's."""
    assume(all(field.startswith("<") and not field.startswith("<!") for field in fields))
    names = [field[1:].partition(">")[0].partition(" ")[0] for field in fields]
    assume(len(set(names)) == len(names))
    shuffled = data.draw(st.permutations(fields))
    assert decoded("".join(shuffled)) == decoded("".join(fields))


@given(body=BODIES)
@settings(max_examples=100)
def test_a_record_read_may_be_written_again(body: dict[str, Any]) -> None:
    """The writable part of the JSON that callers get loads to what was stored."""
    values = CLIENT.load(body)
    record = decoded(CODEC.encode(values, clear=True))
    writable = {name: record[name] for name in CLIENT.schema.load_fields if name in record}
    again = CLIENT.load(writable)
    assert CODEC.encode(again, clear=False) == CODEC.encode({**values, "password": None}, clear=False)


@given(text=TEXTS)
@settings(max_examples=100)
def test_a_text_is_itself_after_both_ways(text: str) -> None:
    """Character for character."""
    assert decoded(CODEC.encode({"notes": text}, clear=True))["notes"] == text


@pytest.mark.parametrize(
    "tag, name",
    [("client", "client"), ("{http://x/}client", "client"), ("{}a", "a"), ("", ""), (None, ""), (len, "")],
)
def test_a_local_name_is_what_follows_the_namespace(tag: object, name: str) -> None:
    """What is no element has none."""
    assert local_name(tag) == name


@pytest.mark.parametrize("name", CLIENT.schema.load_fields)
@pytest.mark.parametrize("empty", [None, [], {}], ids=repr)
def test_nothing_is_left_out_of_a_create(name: str, empty: object) -> None:
    """So that the upstream's own default holds, for each writable field."""
    assert CODEC.encode({name: empty}, clear=False) == ""


@pytest.mark.parametrize("form", [str, str.encode], ids=["text", "bytes"])
def test_a_field_nobody_declared_is_not_encoded(form: Callable[[str], object]) -> None:
    """Validation refuses it long before; the codec would not know its element."""
    assert CODEC.encode({"shoe_size": form("44")}, clear=True) == ""


def test_elements_without_end_are_all_read() -> None:
    """However many, in whatever batches: the last of a name counts, each unknown one is told, each missing one once."""
    unknown: list[str] = []
    missing: list[str] = []
    codec = Codec(CLIENT, ZONE, unknown.append, missing.append)
    many = "".join(f"<fax>{number}</fax><x{number}/>" for number in range(700))
    xml = f'<response status="ok"><client><email>a@example.com</email>{many}<notes>last</notes></client></response>'
    record = codec.decode(read_answer(Answer(200, {}, xml.encode()))[0])
    assert (record["email"], record["fax"], record["notes"]) == ("a@example.com", "699", "last")
    assert unknown == [f"x{number}" for number in range(700)]
    assert sorted(missing) == sorted(set(ALL) - DEPRECATED - {"email", "fax", "notes", "notifications"})


WHOLE = ElementTree.fromstring((CASES / "documentation.client.get.response.xml").read_bytes())
SPACE = "{http://www.freshbooks.com/api/}"
DEPRECATED = {"credit", "url", "auth_url"}
"""Older elements that only stand in for others."""


def drift_of(fields: Sequence[str], extra: str = "") -> tuple[list[str], list[str]]:
    """Which elements are told as unknown and as missing when these of the documentation's sample are there."""
    unknown: list[str] = []
    missing: list[str] = []
    codec = Codec(CLIENT, ZONE, unknown.append, missing.append)
    children = [ElementTree.tostring(one, "unicode") for one in WHOLE[0] if one.tag.removeprefix(SPACE) in fields]
    xml = f'<response status="ok"><client>{"".join(children)}{extra}</client></response>'
    for _ in range(2):
        codec.decode(read_answer(Answer(200, {}, xml.encode()))[0])
    assert (unknown[::2], missing[: len(missing) // 2]) == (unknown[1::2], missing[len(missing) // 2 :])
    return unknown[::2], missing[: len(missing) // 2]


ALL = [child.tag.removeprefix(SPACE) for child in WHOLE[0]]


@pytest.mark.parametrize("name", ALL)
def test_an_element_that_a_record_lacks_is_told(name: str) -> None:
    """It alone, each time; what only stands in for another is not missed, and an unknown one makes up for nothing."""
    fields = [one for one in ALL if one != name]
    expected = [] if name in DEPRECATED else [name]
    assert drift_of(fields) == ([], expected)
    assert drift_of(fields, "<shoe_size>44</shoe_size>") == (["shoe_size"], expected)
    twice = "<email>a@example.com</email>" if name != "email" else "<fax/>"
    assert drift_of(fields, twice) == ([], expected)
