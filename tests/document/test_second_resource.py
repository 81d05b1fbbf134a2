"""A resource added to the tuple appears in the document by itself."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.rest.operations import OPERATIONS
from schemas import RESOURCES
from schemas.resource import Filters, Record, Resource, Strict
from schemas.types import Choice, Group, Identifier, Instant, Many, Money, Text
from tests.support.document import Document
from tests.support.examples import operations, request_examples, response_examples
from tools.openapi.document import build


class Links(Strict):
    view = Text(example="https://sample.freshbooks.com/entries/7")


class Note(Strict):
    text = Text(required=True, example="Checked")


class Place(Strict):
    city = Text(required=True, example="New York")


class TimeEntry(Record):
    id = Identifier(element="time_entry_id", dump_only=True, allow_none=False, example=7)
    rate = Money(example="80.50")
    billing = Choice("task", "staff", required=True, example="task")
    rounding = Choice("up", "down", allow_none=True)
    place = Group(Place, prefix="p_")
    notes = Many(Note, element="notes", item="note")
    links = Group(Links, element="links", dump_only=True)


class TimeEntryFilters(Filters):
    date_from = Instant(allow_none=False, description="Worked since.", example="2009-01-01")


TIME_ENTRY = Resource(
    name="time_entry",
    plural="time_entries",
    record=TimeEntry,
    filters=TimeEntryFilters,
    example={"billing": "task", "rate": "80.50"},
)
DOCUMENT = Document(build((*RESOURCES, TIME_ENTRY)))
SCHEMAS: dict[str, Any] = DOCUMENT.document["components"]["schemas"]


def test_the_document_is_still_valid_openapi() -> None:
    """With both resources in it."""
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT.document).iter_errors()] == []


def test_it_has_every_operation() -> None:
    """With ids, tag and words made of its name."""
    own = {one.node["operationId"]: one for one in operations(DOCUMENT) if one.path.startswith("/time_entries")}
    names = ("listTimeEntries", "createTimeEntry", "getTimeEntry", "patchTimeEntry", "replaceTimeEntry")
    assert set(own) == {*names, "deleteTimeEntry"}
    assert len(own) == len(OPERATIONS)
    assert {tag for one in own.values() for tag in one.node["tags"]} == {"Time entries"}
    assert own["createTimeEntry"].node["summary"] == "Create a time entry"


def test_it_has_its_filters_beside_paging() -> None:
    """Each filter it declares is a query parameter."""
    parameters = DOCUMENT.document["paths"]["/time_entries"]["get"]["parameters"]
    assert [one["name"] for one in parameters if one.get("in") == "query"] == ["page", "per_page", "date_from"]


def test_it_has_every_schema() -> None:
    """Record, bodies, page and id, and what is nested in them; a patch of a group needs no member of it."""
    suffixes = ("", "Create", "Replace", "Patch", "Page", "Id")
    assert {f"TimeEntry{suffix}" for suffix in suffixes} <= set(SCHEMAS)
    assert {"Place", "PlaceInput", "PlacePatch", "Note", "NoteInput"} <= set(SCHEMAS)
    assert SCHEMAS["PlaceInput"]["required"] == ["city"]
    assert "required" not in SCHEMAS["PlacePatch"]
    assert SCHEMAS["TimeEntryCreate"]["properties"]["billing"]["enum"] == ["task", "staff"]
    assert SCHEMAS["TimeEntryCreate"]["properties"]["rounding"]["enum"] == ["up", "down", None]


def test_nested_schemas_of_one_name_are_told_apart() -> None:
    """Both resources have a class `Links`, and they differ."""
    assert "Links" not in SCHEMAS
    assert list(SCHEMAS["TimeEntryLinks"]["properties"]) == ["view"]
    assert list(SCHEMAS["ClientLinks"]["properties"]) == ["client_view", "view", "statement"]


def test_its_examples_fit_its_schemas() -> None:
    """Those of requests and those of answers."""
    checked = 0
    for operation in operations(DOCUMENT):
        for example in [*request_examples(DOCUMENT, operation), *response_examples(DOCUMENT, operation)]:
            errors = [error.message for error in DOCUMENT.validator(example.schema).iter_errors(example.value)]
            assert errors == [], example
            checked += operation.path.startswith("/time_entries")
    assert checked > 50


def test_records_of_one_name_are_refused() -> None:
    """Two resources whose schemas would overwrite each other are a mistake in the tuple."""
    with pytest.raises(ValueError, match="two schemas would be called Client"):
        build((*RESOURCES, *RESOURCES))
