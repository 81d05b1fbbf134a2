"""Record ↔ XML element, compiled once from the record's declaration. Pure.

Decoding gives the record just as the JSON shows it: every key present, empty text and missing elements as None, lists
as lists. It never refuses a record because of a value: what cannot be read is None.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from lxml.etree import _Element
from marshmallow import Schema

from schemas.resource import Resource
from schemas.types import Group, Leaf, Many

Element: TypeAlias = _Element
Reader = Callable[[dict[str, Any], Element], None]
Writer = Callable[[Any], str]

_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#13;"}
_CHILDREN_AT_ONCE = 500
"""No record has so many; of a hostile answer with millions, not all are to be objects at the same time."""

_SHAPES_REMEMBERED = 500
_SHAPE_CHARACTERS_MAX = 20_000


def escape(text: str) -> str:
    """Text as it stands in an element. A bare CR would be read back as LF (XML 1.0 §2.11): it goes as a reference."""
    return text.translate(_ESCAPES)


def local_name(tag: object) -> str:
    """The name of an element without its namespace: answers come with it, without it, or with a prefix."""
    return _without_namespace(tag) if isinstance(tag, str) else ""


@functools.lru_cache(maxsize=500)
def _without_namespace(tag: str) -> str:
    return tag.rpartition("}")[2]


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
        self._writers = dict(self._compile_writers(resource.schema))
        self._table = _Table(resource.schema, zone, on_unknown, on_missing, resource.record.known_elements)

    def encode(self, values: Mapping[str, Any], *, clear: bool) -> str:
        """The XML of the named fields, in the order of the declaration.

        With `clear`, None becomes an empty element, which clears the field (inferred from several public clients);
        without it, None is left out, so that the upstream's own default holds.
        """
        given = values if clear else _without_nothing(values)
        return "".join(write(given[name]) for name, write in self._writers.items() if name in given)

    def decode(self, element: Element) -> dict[str, Any]:
        """The record in an element."""
        return self._table.read(element)

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


class _Place(NamedTuple):
    """Where the plain text of an element goes: into the record (`part` 0) or its group of that number."""

    part: int
    name: str


class _Shape(NamedTuple):
    """What to do with children whose tags are these, by their positions; and which names stand out."""

    texts: Sequence[tuple[int, Sequence[tuple[int, str]]]]
    readers: Sequence[tuple[int, Reader]]
    unknown: Sequence[str]
    missing: Sequence[str]


class _Table:
    """What to do with the children of an element: by the name of each, worked out once for each sequence of tags."""

    def __init__(
        self,
        schema: Schema,
        zone: ZoneInfo,
        on_unknown: Callable[[str], None],
        on_missing: Callable[[str], None] | None = None,
        ignored: frozenset[str] = frozenset(),
    ) -> None:
        self._zone = zone
        self._on_unknown = on_unknown
        self._on_missing = on_missing
        self._by_name: dict[str, Reader | _Place] = dict.fromkeys(ignored, _ignore)
        self._expected: Sequence[str] = ()
        self._shapes: dict[tuple[object, ...], _Shape] = {}
        self._blank: dict[str, Any] = {}
        self._groups: list[tuple[str, dict[str, Any]]] = []
        self._lists: list[str] = []
        for name, field in schema.dump_fields.items():
            self._compile(name, field)

    def read(self, element: Element | list[Element]) -> dict[str, Any]:
        parts, missing, children = self._blank_parts(), self._expected, iter(element)
        while some := list(islice(children, _CHILDREN_AT_ONCE)):
            lacking = self._read_some(parts, some)
            missing = lacking if missing is self._expected else [name for name in missing if name in lacking]
        if self._on_missing is not None:
            for name in missing:
                self._on_missing(name)
        return parts[0]

    def _read_some(self, parts: list[dict[str, Any]], children: list[Element]) -> Sequence[str]:
        """Tells which of the expected names are not among these children."""
        tags = tuple([child.tag for child in children])
        texts, readers, unknown, missing = self._shapes.get(tags) or self._learn(tags)
        for part, fields in texts:
            values = parts[part]
            for at, name in fields:
                if text := children[at].text:
                    values[name] = text
        for at, reader in readers:
            reader(parts[0], children[at])
        for name in unknown:
            self._on_unknown(name)
        return missing

    def blank(self) -> dict[str, Any]:
        """A record with every key and no value."""
        return self._blank_parts()[0]

    def _blank_parts(self) -> list[dict[str, Any]]:
        """A record with every key and no value, and then its groups."""
        record = self._blank.copy()
        parts = [record]
        for name, members in self._groups:
            record[name] = group = members.copy()
            parts.append(group)
        for name in self._lists:
            record[name] = []
        return parts

    def _learn(self, tags: tuple[object, ...]) -> _Shape:
        """Plain texts come first: what else writes to their places only fills what is empty."""
        names = [local_name(tag) for tag in tags]
        texts: dict[int, list[tuple[int, str]]] = {}
        readers = []
        for at, name in enumerate(names):
            match self._by_name.get(name, _ignore):
                case _Place(part, field):
                    texts.setdefault(part, []).append((at, field))
                case reader if reader is not _ignore:
                    readers.append((at, reader))
        unknown = [name for name in names if name not in self._by_name]
        shape = _Shape(list(texts.items()), readers, unknown, [name for name in self._expected if name not in names])
        length = sum(len(str(tag)) for tag in tags)
        if len(self._shapes) < _SHAPES_REMEMBERED and length <= _SHAPE_CHARACTERS_MAX:
            self._shapes[tags] = shape
        return shape

    def _compile(self, name: str, field: object) -> None:
        self._blank[name] = None
        if isinstance(field, Leaf):
            self._compile_leaf(name, field)
        elif isinstance(field, Group):
            self._compile_group(name, field)
        elif isinstance(field, Many):
            self._compile_many(name, field)

    def _expect(self, element: str, reader: Reader | _Place) -> None:
        self._by_name[element] = reader
        self._expected = (*self._expected, element)

    def _compile_leaf(self, name: str, field: Leaf) -> None:
        if _is_child(field):
            place = _Place(0, name) if _is_plain(field) else _leaf_reader(name, field, self._zone)
            self._expect(field.element or name, place)

    def _compile_group(self, name: str, field: Group) -> None:
        leaves = dict(_leaves(field.schema))
        self._groups.append((name, dict.fromkeys(leaves)))
        readers = {
            field.prefix + (leaf.element or member): _leaf_reader(member, leaf, self._zone)
            for member, leaf in leaves.items()
        }
        if field.element is not None:
            self._expect(field.element, _container_reader(name, readers, self._on_unknown))
        else:
            part = len(self._groups)
            for (element, reader), (member, leaf) in zip(readers.items(), leaves.items(), strict=True):
                self._expect(element, _Place(part, member) if _is_plain(leaf) else _inside(name, reader))
        for member, leaf in leaves.items():
            if leaf.fallback:
                self._by_name[leaf.fallback] = _inside(name, _leaf_reader(member, leaf, self._zone, weak=True))

    def _compile_many(self, name: str, field: Many) -> None:
        self._lists.append(name)
        item = _item_reader(field, self._zone, self._on_unknown)
        members = frozenset(leaf.element or member for member, leaf in _leaves(field.schema) if _is_child(leaf))

        def read(record: dict[str, Any], element: Element) -> None:
            if items := [item(one) for one in _items(element, field.item, members, self._on_unknown)]:
                record[name] = items

        def read_fallback(record: dict[str, Any], element: Element) -> None:
            if element.text and not record[name]:
                record[name] = [item(element)]

        self._expect(field.element, read)
        if field.fallback:
            self._by_name[field.fallback] = read_fallback


def _leaves(schema: Schema) -> list[tuple[str, Leaf]]:
    return [(name, field) for name, field in schema.dump_fields.items() if isinstance(field, Leaf)]


def _is_child(leaf: Leaf) -> bool:
    """Whether an element carries the value, not the text or an attribute of the item's own."""
    return not (leaf.own_text or leaf.xml_attribute)


def _is_plain(leaf: Leaf) -> bool:
    """Whether a text is its own value."""
    return type(leaf).from_text is Leaf.from_text


def _ignore(record: dict[str, Any], element: Element) -> None:
    """For elements that carry nothing for callers."""


def _leaf_reader(name: str, field: Leaf, zone: ZoneInfo, *, weak: bool = False) -> Reader:
    """`weak` readers never overwrite: they serve older elements that repeat a value."""
    from_text = field.from_text

    def read(record: dict[str, Any], element: Element) -> None:
        if (text := element.text) and not (weak and record[name] is not None):
            record[name] = from_text(text, zone)

    return read


def _inside(name: str, reader: Reader) -> Reader:
    def read(record: dict[str, Any], element: Element) -> None:
        reader(record[name], element)

    return read


def _container_reader(name: str, readers: Mapping[str, Reader], on_unknown: Callable[[str], None]) -> Reader:
    def read(record: dict[str, Any], element: Element) -> None:
        for child in element:
            reader = readers.get(local_name(child.tag))
            if reader is None:
                on_unknown(local_name(child.tag))
            else:
                reader(record[name], child)

    return read


def _items(
    container: Element, item: str, members: frozenset[str], on_unknown: Callable[[str], None]
) -> Iterator[Element | list[Element]]:
    """The items of a container.

    Observed: live answers wrap each item (`<contact>`). Source: the documentation's samples leave the wrapper out, so
    a bare run of members is read too; a member that comes again starts the next item.
    """
    bare: list[Element] = []
    seen: set[str] = set()
    for child in container:
        name = local_name(child.tag)
        if name == item:
            yield child
            continue
        if name not in members:
            on_unknown(name)
            continue
        if name in seen:
            yield bare
            bare, seen = [], set()
        bare.append(child)
        seen.add(name)
    if bare:
        yield bare


def _item_reader(
    field: Many, zone: ZoneInfo, on_unknown: Callable[[str], None]
) -> Callable[[Element | list[Element]], dict[str, Any]]:
    table = _Table(field.schema, zone, on_unknown)
    leaves = _leaves(field.schema)
    own = [(name, leaf) for name, leaf in leaves if leaf.own_text]
    attributes = [(name, leaf, leaf.xml_attribute) for name, leaf in leaves if leaf.xml_attribute]

    def read(element: Element | list[Element]) -> dict[str, Any]:
        record = table.read(element) if len(element) else table.blank()
        if isinstance(element, list):
            return record
        for name, leaf in own:
            record[name] = leaf.from_text(element.text or "", zone)
        for name, leaf, attribute in attributes:
            record[name] = leaf.from_text(element.get(attribute) or "", zone)
        return record

    return read
