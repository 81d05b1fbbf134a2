"""Record ↔ XML element, compiled once from the record's declaration. Pure.

Decoding gives the record just as the JSON shows it: every key present, empty text and missing elements as None, lists
as lists. It never refuses a record because of a value: what cannot be read is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import Schema

from gateway.upstream.decoding import Filling, Form, Node, Row, Table, Values
from schemas.resource import Resource
from schemas.types import Group, Leaf, Many

Writer = Callable[[Any], str]

_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#13;"}


def escape(text: str) -> str:
    """Text as it stands in an element. A bare CR would be read back as LF (XML 1.0 §2.11): it goes as a reference."""
    return text.translate(_ESCAPES)


class Codec:
    """Encodes and decodes the records of one resource.

    `zone` is the upstream's. `on_unknown` is told the name of each element that the declaration does not know,
    `on_missing` of each that it expects in every record and that a record lacks; neither is ever an error.
    """

    def __init__(
        self,
        resource: Resource,
        zone: ZoneInfo,
        on_unknown: Callable[[str], None],
        on_missing: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._zone = zone
        self._on_unknown = on_unknown
        self._on_missing = on_missing
        self._writers = dict(self._compile_writers(resource.schema))
        self._table = Table(resource.schema, zone, resource.record.known_elements)

    def encode(self, values: Mapping[str, Any], *, clear: bool) -> str:
        """The XML of the named fields, in the order of the declaration.

        With `clear`, None becomes an empty element, which clears the field (inferred from several public clients);
        without it, None is left out, so that the upstream's own default holds.
        """
        given = values if clear else _without_nothing(values)
        return "".join(write(given[name]) for name, write in self._writers.items() if name in given)

    def decode(self, element: Node) -> Values:
        """The record in an element, or in a row of which the form is known."""
        if isinstance(element, Row):
            element.form.tell(self._on_unknown, self._on_missing)
            return element.record
        filling = Filling(self._on_unknown)
        for name in self._table.walk(filling, self._table.begin(filling), element):
            self._on_missing(name)
        return filling.record()

    def form(self, element: Node, places: Mapping[Node, int | None]) -> Form | None:
        """The record that any texts make in the markup of an element, `places` as in `Form`.

        None: a text that counts stands before a child, so the markup does not tell all of it.
        """
        form = Form(places)
        return form if form.end(self._table.walk(form, self._table.begin(form), element)) else None

    def _compile_writers(self, schema: Schema, prefix: str = "") -> Iterator[tuple[str, Writer]]:
        for name, field in schema.load_fields.items():
            if isinstance(field, Leaf):
                yield name, self._leaf_writer(prefix + (field.element or name), field)
            elif isinstance(field, Group):
                yield name, _group_writer(dict(self._compile_writers(field.schema, field.prefix)))
            elif isinstance(field, Many):
                yield name, _many_writer(field, dict(self._compile_writers(field.schema)))

    def _leaf_writer(self, element: str, field: Leaf) -> Writer:
        zone = self._zone

        def write(value: Any) -> str:
            return f"<{element}>{'' if value is None else escape(field.to_text(value, zone))}</{element}>"

        return write


def _without_nothing(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are something, also inside groups; a list's items stay whole."""
    given = {name: _without_nothing(value) if isinstance(value, dict) else value for name, value in values.items()}
    return {name: value for name, value in given.items() if value not in (None, [], {})}


def _group_writer(members: Mapping[str, Writer]) -> Writer:
    def write(value: Mapping[str, Any] | None) -> str:
        if value is None:
            value = dict.fromkeys(members)
        return "".join(members[name](value[name]) for name in members if name in value)

    return write


def _many_writer(field: Many, members: Mapping[str, Writer]) -> Writer:
    """An item is written whole, because a list replaces the stored one; an absent identifier stays out."""

    def write_item(item: Mapping[str, Any]) -> str:
        inner = "".join(write(item.get(name)) for name, write in members.items() if name != "id" or item.get("id"))
        return f"<{field.item}>{inner}</{field.item}>"

    def write(value: list[Mapping[str, Any]] | None) -> str:
        return f"<{field.element}>{''.join(map(write_item, value or ()))}</{field.element}>"

    return write
