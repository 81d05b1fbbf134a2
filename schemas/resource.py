"""What a resource is: a record's declaration, its list filters, and the names the upstream has for them."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError
from marshmallow.exceptions import SCHEMA

from schemas.types import Count, Group, Leaf, Many

_COMPLAINTS_MAX = 100
"""How many reasons a refusal lists at most: a body can be wrong in a hundred thousand places."""
_UNKNOWN = "unknown_field|Unknown field."


class Strict(Schema):
    """Refuses what it does not know."""

    class Meta:
        unknown = RAISE

    error_messages = {
        "unknown": _UNKNOWN,
        "type": "wrong_type|Must be an object.",
    }


class Record(Strict):
    """A record as callers see it: one field a line, in the order of the JSON.

    Every field of a record is a `Leaf`, a `Group` or a `Many`. `known_elements` are XML elements that are expected and
    carry nothing for callers.
    """

    known_elements: ClassVar[frozenset[str]] = frozenset()


class Filters(Strict):
    """A resource's list filters. Paging is the same for all."""

    page = Count(low=1, high=10**9, description="The page to show, from 1.", example=1, load_default=1)
    per_page = Count(low=1, high=100, description="How many records a page holds.", example=25, load_default=25)


@dataclass(frozen=True, slots=True)
class Invalid:
    """One complaint about a value: where (the path into the JSON), what code, which words, what was meant."""

    path: tuple[str | int, ...]
    code: str
    detail: str
    suggestion: str | None = None


class InvalidRecord(Exception):
    """A value breaks its schema; `complaints` lists every reason, up to a hundred."""

    def __init__(self, complaints: list[Invalid]) -> None:
        super().__init__(f"{len(complaints)} invalid")
        self.complaints = complaints


@dataclass(frozen=True)
class Resource:
    """One kind of record that the upstream keeps.

    `name` is the upstream's (`client`: methods `client.get`…, key element `client_id`); `plural` names the route and
    the list element. `example` is a body that creates one. `found_by` is the field, and filter, by which a record can
    be found again whose id was lost; None: it cannot.
    """

    name: str
    plural: str
    record: type[Record]
    filters: type[Filters]
    example: Mapping[str, Any]
    found_by: str | None = None

    @property
    def key_element(self) -> str:
        return f"{self.name}_id"

    @cached_property
    def schema(self) -> Record:
        return self.record()

    @cached_property
    def filter_schema(self) -> Filters:
        return self.filters()

    @cached_property
    def secret_fields(self) -> frozenset[str]:
        """What may be written and never comes back."""
        return frozenset(name for name, field in self.schema.load_fields.items() if field.load_only)

    @cached_property
    def pointers(self) -> Mapping[str, str]:
        """Where in the JSON the value of an XML element stands (RFC 6901)."""
        lists = {name: field for name, field in self.schema.load_fields.items() if isinstance(field, Many)}
        return {element: "/" + name for element, name in _names(self.schema)} | {
            element: f"/{name}" for name, field in lists.items() for element in (field.element, f"{field.item}_id")
        }

    def is_plain(self, values: Mapping[str, Any]) -> bool:
        """Whether writing the values a second time changes nothing more: no list has an item that would be added."""
        lists = (name for name, field in self.schema.load_fields.items() if isinstance(field, Many))
        return all(item.get("id") for name in lists for item in values.get(name) or ())

    def method(self, verb: str) -> str:
        """The upstream's method name: `client.get`."""
        return f"{self.name}.{verb}"

    def load(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A whole record from a caller's body. Raises `InvalidRecord`."""
        return self._load(body, partial=False)

    def load_new(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A record that is to be created. Raises `InvalidRecord`, also for items that claim to be stored already."""
        values = self.load(body)
        lists = (name for name, field in self.schema.load_fields.items() if isinstance(field, Many))
        claims = [
            Invalid((name, place, "id"), "read_only", "A new record's items have no id yet.")
            for name in lists
            for place, item in enumerate(values.get(name) or ())
            if item.get("id") is not None
        ]
        if claims:
            raise InvalidRecord(claims)
        return values

    def load_patch(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The fields a merge patch names; None clears. Raises `InvalidRecord`."""
        return self._load(body, partial=True)

    def load_replacement(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """A whole record in which every writable field is named: what the body leaves out is None.

        Fields declared `kept_when_absent` stay out, because clearing them was not asked for. Raises `InvalidRecord`.
        """
        values = self.load(body)
        for name, field in self.schema.load_fields.items():
            if not getattr(field, "kept_when_absent", False):
                values.setdefault(name, None)
            if isinstance(field, Group):
                members = dict.fromkeys(field.schema.load_fields)
                values[name] = {**members, **(values[name] or {})}
        return values

    def load_filters(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """Filters and paging from a query's parameters, defaults filled in. Raises `InvalidRecord`."""
        return _load(self.filter_schema, parameters, partial=False)

    def _load(self, body: Mapping[str, Any], *, partial: bool) -> dict[str, Any]:
        return _load(self.schema, body, partial=partial)


def _load(schema: Schema, data: Mapping[str, Any], *, partial: bool) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(data, partial=partial)
    except ValidationError as error:
        complaints = itertools.islice(_complaints(schema, error.messages, ()), _COMPLAINTS_MAX)
        raise InvalidRecord(list(complaints)) from None
    return loaded


def _complaints(schema: Schema | None, messages: Any, path: tuple[str | int, ...]) -> Iterator[Invalid]:
    """Flattens marshmallow's tree of messages, saying better what it says about names."""
    if isinstance(messages, Mapping):
        for key, below in messages.items():
            if key == SCHEMA and below != [_UNKNOWN]:
                yield from _complaints(schema, below, path)
            elif isinstance(key, str) and schema is not None and key not in schema.load_fields:
                yield _misnamed(schema, key, path)
            else:
                yield from _complaints(_schema_below(schema, key), below, (*path, key))
    else:
        for message in messages:
            code, _, detail = str(message).partition("|")
            yield Invalid(path, code, detail)


def _schema_below(schema: Schema | None, key: str | int) -> Schema | None:
    """Lists keep their item's schema for their numbered rows."""
    if isinstance(key, int) or schema is None:
        return schema
    field = schema.load_fields.get(key)
    return field.schema if isinstance(field, Group | Many) else None


def _misnamed(schema: Schema, name: str, path: tuple[str | int, ...]) -> Invalid:
    if name in schema.fields:
        return Invalid((*path, name), "read_only", "This field is read-only.")
    if (meant := _meant(schema, name)) is None:
        return Invalid((*path, name), "unknown_field", "Unknown field.")
    return Invalid((*path, name), "unknown_field", f'Unknown field. Did you mean "{meant}"?', meant)


def _meant(schema: Schema, name: str) -> str | None:
    """The field that was probably meant, by its own name or by the upstream's name for it."""
    names: dict[str, str] = {}
    for written, field in _names(schema):
        names.setdefault(written, field)
    near = difflib.get_close_matches(name[:64].lower(), names, n=1, cutoff=0.7)
    return names[near[0]] if near else None


def _names(schema: Schema) -> Iterator[tuple[str, str]]:
    for name, field in schema.load_fields.items():
        yield name, name
        if isinstance(field, Leaf) and field.element:
            yield field.element, name
        if isinstance(field, Group):
            for member, leaf in field.schema.load_fields.items():
                element = leaf.element if isinstance(leaf, Leaf) and leaf.element else member
                yield member, f"{name}/{member}"
                yield field.prefix + element, f"{name}/{member}"
