"""The wire, as data: what goes over it and what comes back, each case with its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

import pytest

from gateway.errors import UpstreamError
from gateway.upstream.protocol import Answer
from schemas.client import CLIENT
from schemas.types import Group, Many
from tests.support.wire import CASES, Case, Outbound, answering, cases

REQUESTS, ANSWERS = cases("request"), cases("answer")
EMPTY_PAGE = b'<response status="ok"><clients page="1" per_page="25" pages="0" total="0"/></response>'
ANY_SUCCESS = b'<response status="ok"><client_id>13</client_id><client><client_id>13</client_id></client></response>'
WHOLE = ("documentation.client.get.response", "documentation.client.list.response", "record.live-order")
"""Answers that show a record with all it has."""
READ_BY = {
    "client.create": "create",
    "client.get": "get",
    "client.list": "list",
    "client.update": "patch",
    "client.delete": "delete",
}
PUBLISHED_FAULTS = {
    (10030, "System does not exist."),
    (20010, "Authentication failed."),
    (40010, "Your XML is not formatted correctly."),
    (40040, "Missing required field: 'client_id'."),
    (40060, "Invalid value for field 'type'."),
    (50010, "'client_id' not found. Client not found."),
    (50010, "'client_id' not found. Client is deleted."),
    (50020, "Failed to delete client. Request failed."),
    (None, "Invalid node: created_at."),
}
"""Every fault that was seen live or asserted against the live service."""
DOCUMENTED_ELEMENTS = {
    *("client_id", "first_name", "last_name", "organization", "email", "username", "password", "work_phone"),
    *("home_phone", "mobile", "fax", "language", "currency_code", "notes", "vat_name", "vat_number", "contacts"),
    *("p_street1", "p_street2", "p_city", "p_state", "p_country", "p_code"),
    *("s_street1", "s_street2", "s_city", "s_state", "s_country", "s_code"),
    *("contact", "contact_id", "phone1", "phone2", "credit", "credits", "url", "auth_url"),
    *("links", "client_view", "view", "statement", "folder", "updated"),
}
"""The vendor's names, copied from its pages on clients and written here again: a wrong name in the declaration would
be wrong in both directions, and every round trip would stay green."""


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name)
def test_an_operation_becomes_these_bytes(case: Case) -> None:
    """The JSON of the operation gives exactly this request, under this method."""
    transport, calls = answering([Answer(200, {}, EMPTY_PAGE if case.operation == "list" else ANY_SUCCESS)])
    query = case.json if case.operation == "list" else None
    Outbound(transport).run(case.operation, case.json, key=case.key, query=query)
    assert [(call.method, call.body.decode()) for call in calls] == [(case.method, case.xml.decode())]


@pytest.mark.parametrize("case", [case for case in REQUESTS if case.vendor_sample], ids=lambda case: case.name)
def test_a_request_says_what_the_vendors_sample_says(case: Case) -> None:
    """The same method, elements and texts; the order is free, and an empty element says nothing in a create."""
    sample = ElementTree.fromstring((CASES / str(case.vendor_sample)).read_bytes())
    ours = ElementTree.fromstring(case.xml)
    assert (ours.tag, ours.attrib) == (sample.tag, sample.attrib)
    assert sorted(texts(ours)) == sorted(texts(sample))


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.name)
def test_an_answer_means_this(case: Case) -> None:
    """The bytes give exactly this record, page or error."""
    transport, calls = answering([case.answer])
    outbound = Outbound(transport)
    assert meaning(outbound, case) == case.json
    assert len(calls) == 1
    if case.direction == "answer" and "error" not in (case.json or {}):
        assert outbound.unknown_elements_total() == len(case.unknown)
        warned = [line["element"] for line in outbound.log_lines() if line["event"] == "unknown_upstream_element"]
        assert sorted(warned) == sorted(set(case.unknown))


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case.name)
def test_an_answer_means_to_the_decoder_what_it_means_to_the_schema(case: Case) -> None:
    """Dumped by marshmallow, every record of it is the same, to the last key."""
    found = meaning(Outbound(answering([case.answer])[0]), case)
    records = found.get("items", [found]) if isinstance(found, dict) and "error" not in found else []
    for record in records:
        if "email" in record:
            assert CLIENT.schema.dump(record) == record


@pytest.mark.parametrize("case", [case for case in ANSWERS if case.name in WHOLE], ids=lambda case: case.name)
def test_the_answers_of_the_documentation_and_of_the_service_lack_nothing(case: Case) -> None:
    """What they have is what is expected of every record."""
    outbound = Outbound(answering([case.answer])[0])
    meaning(outbound, case)
    assert outbound.missing_elements_total() == 0


@pytest.mark.parametrize("case", [case for case in ANSWERS if case.retry_after_s], ids=lambda case: case.name)
def test_an_answer_says_when_to_ask_again(case: Case) -> None:
    """Its `Retry-After` goes on to the caller."""
    with pytest.raises(UpstreamError) as raised:
        Outbound(answering([case.answer])[0]).run("get", None)
    assert raised.value.retry_after_s == case.retry_after_s


def test_every_case_names_its_source() -> None:
    """A fact without a source is an opinion."""
    kinds = ("vendor documentation", "observed live", "asserted live", "inferred: ", "XML 1.0")
    assert [case.name for case in REQUESTS + ANSWERS if not case.source.startswith(kinds)] == []
    assert len({case.name for case in REQUESTS + ANSWERS}) == len(REQUESTS + ANSWERS)


def test_every_file_is_a_case() -> None:
    """A sample that no case reads proves nothing."""
    read = {f"{case.name}.xml" for case in REQUESTS + ANSWERS} | {case.vendor_sample for case in REQUESTS}
    assert {path.name for path in CASES.glob("*.xml")} == read - {None}
    assert {path.stem for path in CASES.glob("*.json")} == {case.name for case in REQUESTS + ANSWERS}


def test_every_writable_field_is_sent_in_some_case() -> None:
    """Field by field of the declaration, with a value in it."""
    sent = {path for case in REQUESTS if case.operation not in ("list", "get") for path in filled(case.json)}
    assert fields_of(CLIENT.schema.load_fields) <= sent


def test_every_filter_is_sent_in_some_case() -> None:
    """Paging included."""
    sent = {name for case in REQUESTS if case.operation == "list" for name in case.json}
    assert set(CLIENT.filter_schema.load_fields) == sent


def test_every_readable_field_is_read_in_some_case() -> None:
    """Field by field of the declaration, with a value in it."""
    read = {path for case in ANSWERS for path in filled(case.json)}
    assert fields_of(CLIENT.schema.dump_fields) <= read


def test_every_documented_element_stands_in_some_case() -> None:
    """By the vendor's own names, in a request or an answer, and the declaration knows no others."""
    seen = {name for case in REQUESTS + ANSWERS if is_xml(case.xml) for name, _ in elements(case.xml)}
    assert seen >= DOCUMENTED_ELEMENTS


def test_every_published_fault_is_an_answer_of_some_case() -> None:
    """By code and text."""
    faults = [case.json["fault"] for case in ANSWERS if "fault" in (case.json or {})]
    assert {(fault["code"], fault["message"]) for fault in faults} >= PUBLISHED_FAULTS


def test_every_error_of_an_answer_is_the_meaning_of_some_case() -> None:
    """All that can go wrong once the upstream has answered; the transport's own errors are its tests' matter."""
    before_an_answer = {"NotSent", "DeadlinePassed", "CircuitOpen", "Overloaded"}
    met = {case.json["error"] for case in ANSWERS if "error" in (case.json or {})}
    assert met == {error.__name__ for error in UpstreamError.__subclasses__()} - before_an_answer


def meaning(outbound: Outbound, case: Case) -> Any:
    """What the operation gives, or the error it ends in, in the words of the case's JSON."""
    query = {"page": "1", "per_page": "25"} | dict(case.query)
    try:
        return outbound.run(READ_BY[case.method], {"email": "a@example.com"}, query=query)
    except UpstreamError as error:
        return error_as_json(error)


def error_as_json(error: UpstreamError) -> dict[str, Any]:
    told: dict[str, Any] = {
        "error": type(error).__name__,
        "outcome": error.outcome.value,
        "written": error.written.value,
    }
    if error.fault is not None:
        told["fault"] = {"code": error.fault.code, "message": error.fault.message, "field": error.fault.field}
    if error.errors:
        told["pointers"] = [place.pointer for place in error.errors]
    return told


def texts(element: ElementTree.Element) -> Iterator[tuple[str, str]]:
    """The elements that hold text, by their path."""
    for child in element:
        if child.text and child.text.strip():
            yield child.tag, child.text
        yield from ((f"{child.tag}/{path}", text) for path, text in texts(child))


def elements(xml: bytes) -> list[tuple[str, str | None]]:
    return [(element.tag.rpartition("}")[2], element.text) for element in ElementTree.fromstring(xml).iter()]


def is_xml(xml: bytes) -> bool:
    try:
        ElementTree.fromstring(xml)
    except (ElementTree.ParseError, LookupError, ValueError):
        return False
    return True


def filled(value: Any, path: str = "") -> Iterator[str]:
    """The paths at which a JSON value holds something, list positions left out."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from filled(below, f"{path}/{name}")
    elif isinstance(value, list):
        for below in value:
            yield from filled(below, path)
    elif value is not None:
        yield path
        yield path.removeprefix("/items")


def fields_of(fields: Mapping[str, Any], path: str = "") -> set[str]:
    """The paths of a declaration's leaves."""
    found: set[str] = set()
    for name, field in fields.items():
        if isinstance(field, Group | Many):
            below = (
                field.schema.load_fields if field in CLIENT.schema.load_fields.values() else field.schema.dump_fields
            )
            found |= fields_of(below, f"{path}/{name}")
        else:
            found.add(f"{path}/{name}")
    return found
