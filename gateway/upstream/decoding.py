"""A record's elements → the record, by a table compiled once from the record's declaration. Pure.

The table says where the text of each element goes, and tells that to a `Sink`. One sink puts the texts there at once;
the other keeps what it is told as a `Form`, which puts any texts there that stand in the same markup.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from marshmallow import Schema

from schemas.types import Group, Leaf, Many

Values = dict[str, Any]
Read = Callable[[Values, str], None]
"""Puts what a text means into a record, or into a part of one."""


class Node(Protocol):
    """An element of an answer: one of lxml's, or what stands for one in known markup."""

    @property
    def tag(self) -> object: ...

    @property
    def text(self) -> str | None: ...

    def get(self, attribute: str, /) -> str | None: ...

    def __iter__(self) -> Iterator[Node]: ...

    def __len__(self) -> int: ...


def local_name(tag: object) -> str:
    """The name of an element without its namespace: answers come with it, without it, or with a prefix."""
    return _without_namespace(tag) if isinstance(tag, str) else ""


@functools.lru_cache(maxsize=500)
def _without_namespace(tag: str) -> str:
    return tag.rpartition("}")[2]


class Sink(Protocol):
    """Is told what a record is made of. Its parts, numbered from 0, are the record, its groups and its lists' items."""

    def part(self, blank: Values) -> int:
        """There is one more part, with these keys and values so far; its number."""

    def group(self, part: int, name: str, member: int) -> None:
        """Under this name of a part stands another part."""

    def items(self, part: int, name: str, members: Sequence[int]) -> None:
        """Under this name of a part stands a list of parts, whatever stood there."""

    def text(self, part: int, name: str, element: Node) -> None:
        """Under this name of a part stands the element's text, if it has any."""

    def value(self, part: int, read: Read, element: Node) -> None:
        """What the element's text means, if it has any, is put into a part."""

    def constant(self, part: int, name: str, value: object) -> None:
        """Under this name of a part stands a value that depends on no text."""

    def otherwise(self, part: int, name: str, member: int, element: Node) -> None:
        """If the element has a text, a list that is empty in the end has this one member."""

    def unknown(self, name: str) -> None:
        """An element has a name that the declaration does not know."""


_Handler = Callable[[Sink, int, Node], None]
"""Tells a sink about an element of a part."""


class Table:
    """What to do with the children of an element, by the name of each."""

    def __init__(self, schema: Schema, zone: ZoneInfo, ignored: frozenset[str] = frozenset()) -> None:
        self._zone = zone
        self._by_name: dict[str, _Handler] = dict.fromkeys(ignored, _ignore)
        self._blank: Values = {}
        self._groups: list[tuple[str, Values]] = []
        self._lists: list[str] = []
        self._expected: Sequence[str] = ()
        for name, field in schema.dump_fields.items():
            self._compile(name, field)

    def begin(self, sink: Sink) -> int:
        """A record with every key and no value; the number of its part."""
        base = sink.part(self._blank)
        for name, members in self._groups:
            sink.group(base, name, sink.part(members))
        for name in self._lists:
            sink.items(base, name, ())
        return base

    def walk(self, sink: Sink, base: int, children: Iterable[Node]) -> Sequence[str]:
        """Tells a sink about the children of a record that has begun, and here which expected names there are not."""
        by_name, seen = self._by_name, set()
        for child in children:
            name = local_name(child.tag)
            seen.add(name)
            handle = by_name.get(name)
            if handle is None:
                sink.unknown(name)
            else:
                handle(sink, base, child)
        return [name for name in self._expected if name not in seen]

    def _expect(self, element: str, handler: _Handler) -> None:
        self._by_name[element] = handler
        self._expected = (*self._expected, element)

    def _compile(self, name: str, field: object) -> None:
        self._blank[name] = None
        if isinstance(field, Leaf) and _is_child(field):
            self._expect(field.element or name, _leaf_handler(0, name, field, self._zone))
        elif isinstance(field, Group):
            self._compile_group(name, field)
        elif isinstance(field, Many):
            self._compile_many(name, field)

    def _compile_group(self, name: str, field: Group) -> None:
        leaves = _leaves(field.schema)
        self._groups.append((name, {member: None for member, _ in leaves}))
        step = len(self._groups)
        handlers = {
            field.prefix + (leaf.element or member): _leaf_handler(step, member, leaf, self._zone)
            for member, leaf in leaves
        }
        if field.element is not None:
            self._expect(field.element, _container_handler(handlers))
        else:
            for element, handler in handlers.items():
                self._expect(element, handler)
        for member, leaf in leaves:
            if leaf.fallback:
                self._by_name[leaf.fallback] = _weak_handler(step, member, leaf, self._zone)

    def _compile_many(self, name: str, field: Many) -> None:
        self._lists.append(name)
        tell_item = _item_teller(field, self._zone)
        members = frozenset(leaf.element or member for member, leaf in _leaves(field.schema) if _is_child(leaf))

        def handle(sink: Sink, base: int, element: Node) -> None:
            if items := [tell_item(sink, one) for one in _items(element, field.item, members, sink.unknown)]:
                sink.items(base, name, items)

        def handle_fallback(sink: Sink, base: int, element: Node) -> None:
            sink.otherwise(base, name, tell_item(sink, element), element)

        self._expect(field.element, handle)
        if field.fallback:
            self._by_name[field.fallback] = handle_fallback


def _leaves(schema: Schema) -> list[tuple[str, Leaf]]:
    return [(name, field) for name, field in schema.dump_fields.items() if isinstance(field, Leaf)]


def _is_child(leaf: Leaf) -> bool:
    """Whether an element carries the value, not the text or an attribute of the item's own."""
    return not (leaf.own_text or leaf.xml_attribute)


def _ignore(_sink: Sink, _base: int, _element: Node) -> None:
    """For elements that carry nothing for callers."""


def _leaf_handler(step: int, name: str, field: Leaf, zone: ZoneInfo) -> _Handler:
    """For a value of the part `step` after the record's."""
    if type(field).from_text is Leaf.from_text:  # a text is its own value
        return lambda sink, base, element: sink.text(base + step, name, element)
    read = _reader(name, field, zone)
    return lambda sink, base, element: sink.value(base + step, read, element)


def _weak_handler(step: int, name: str, field: Leaf, zone: ZoneInfo) -> _Handler:
    """For an older element that repeats a value: it never overwrites."""

    def read(values: Values, text: str) -> None:
        if values[name] is None:
            values[name] = field.from_text(text, zone)

    return lambda sink, base, element: sink.value(base + step, read, element)


def _reader(name: str, field: Leaf, zone: ZoneInfo) -> Read:
    from_text = field.from_text

    def read(values: Values, text: str) -> None:
        values[name] = from_text(text, zone)

    return read


def _container_handler(handlers: Mapping[str, _Handler]) -> _Handler:
    def handle(sink: Sink, base: int, element: Node) -> None:
        for child in element:
            name = local_name(child.tag)
            if name in handlers:
                handlers[name](sink, base, child)
            else:
                sink.unknown(name)

    return handle


def _items(
    container: Node, item: str, members: frozenset[str], on_unknown: Callable[[str], None]
) -> Iterator[Node | list[Node]]:
    """The items of a container.

    Observed: live answers wrap each item (`<contact>`). Source: the documentation's samples leave the wrapper out, so
    a bare run of members is read too; a member that comes again starts the next item.
    """
    bare: list[Node] = []
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


def _item_teller(field: Many, zone: ZoneInfo) -> Callable[[Sink, Node | list[Node]], int]:
    table, leaves = Table(field.schema, zone), _leaves(field.schema)
    own = [_reader(name, leaf, zone) for name, leaf in leaves if leaf.own_text]
    attributes = [(name, leaf, leaf.xml_attribute) for name, leaf in leaves if leaf.xml_attribute]

    def tell(sink: Sink, element: Node | list[Node]) -> int:
        base = table.begin(sink)
        table.walk(sink, base, element)
        if not isinstance(element, list):
            for read in own:
                sink.value(base, read, element)
            for name, leaf, attribute in attributes:
                sink.constant(base, name, leaf.from_text(element.get(attribute) or "", zone))
        return base

    return tell


class Filling:
    """A sink that makes the record at once. `on_unknown` is told the unknown names."""

    def __init__(self, on_unknown: Callable[[str], None]) -> None:
        self._parts: list[Values] = []
        self.unknown = on_unknown
        self._otherwise: list[tuple[int, str, int]] = []

    def part(self, blank: Values) -> int:
        self._parts.append(blank.copy())
        return len(self._parts) - 1

    def group(self, part: int, name: str, member: int) -> None:
        self._parts[part][name] = self._parts[member]

    def items(self, part: int, name: str, members: Sequence[int]) -> None:
        self._parts[part][name] = [self._parts[member] for member in members]

    def text(self, part: int, name: str, element: Node) -> None:
        if text := element.text:
            self._parts[part][name] = text

    def value(self, part: int, read: Read, element: Node) -> None:
        if text := element.text:
            read(self._parts[part], text)

    def constant(self, part: int, name: str, value: object) -> None:
        self._parts[part][name] = value

    def otherwise(self, part: int, name: str, member: int, element: Node) -> None:
        if element.text:
            self._otherwise.append((part, name, member))

    def record(self) -> Values:
        for part, name, member in self._otherwise:
            if not self._parts[part][name]:
                self._parts[part][name] = [self._parts[member]]
        return self._parts[0]


class _Value(NamedTuple):
    part: int
    at: int
    read: Read


class _Otherwise(NamedTuple):
    part: int
    name: str
    at: int
    member: int


class Form:
    """A sink that keeps what it is told: the record that any texts make which stand in the same markup.

    `places` says where among those texts an element's stands; None: it never has any.
    """

    def __init__(self, places: Mapping[Node, int | None]) -> None:
        self._places = places
        self._fits = True
        self._parts: list[Values] = []
        self._groups: list[tuple[int, str, int]] = []
        self._items: dict[tuple[int, str], Sequence[int]] = {}
        self._texts: dict[int, list[tuple[int, str]]] = {}
        self._values: list[_Value] = []
        self._otherwise: list[_Otherwise] = []
        self._unknown: list[str] = []
        self._missing: Sequence[str] = ()

    def part(self, blank: Values) -> int:
        self._parts.append(blank.copy())
        return len(self._parts) - 1

    def group(self, part: int, name: str, member: int) -> None:
        self._groups.append((part, name, member))

    def items(self, part: int, name: str, members: Sequence[int]) -> None:
        self._items[part, name] = members

    def text(self, part: int, name: str, element: Node) -> None:
        if (at := self._place(element)) is not None:
            self._texts.setdefault(part, []).append((at, name))

    def value(self, part: int, read: Read, element: Node) -> None:
        if (at := self._place(element)) is not None:
            self._values.append(_Value(part, at, read))

    def constant(self, part: int, name: str, value: object) -> None:
        self._parts[part][name] = value

    def otherwise(self, part: int, name: str, member: int, element: Node) -> None:
        if (at := self._place(element)) is not None:
            self._otherwise.append(_Otherwise(part, name, at, member))

    def unknown(self, name: str) -> None:
        self._unknown.append(name)

    def _place(self, element: Node) -> int | None:
        if len(element):  # its text would end at a child, and blanks would be none
            self._fits = False
            return None
        return self._places[element]

    def end(self, missing: Sequence[str]) -> bool:
        """All has been told; `missing` are the expected names that there are not. False: the form cannot be used."""
        self._missing = missing
        self._places = {}
        return self._fits

    def fill(self, texts: Sequence[str]) -> Values:
        """The record that these texts make."""
        parts = self._blank_parts()
        for part, fields in self._texts.items():
            values = parts[part]
            for at, name in fields:
                if text := texts[at]:
                    values[name] = text
        for part, at, read in self._values:
            if text := texts[at]:
                read(parts[part], text)
        for part, name, at, member in self._otherwise:
            if texts[at] and not parts[part][name]:
                parts[part][name] = [parts[member]]
        return parts[0]

    def tell(self, on_unknown: Callable[[str], None], on_missing: Callable[[str], None]) -> None:
        """Which elements such a record has that the declaration does not know, and which it lacks."""
        for name in self._unknown:
            on_unknown(name)
        for name in self._missing:
            on_missing(name)

    def _blank_parts(self) -> list[Values]:
        parts = [blank.copy() for blank in self._parts]
        for part, name, member in self._groups:
            parts[part][name] = parts[member]
        for (part, name), members in self._items.items():
            parts[part][name] = [parts[member] for member in members]
        return parts


class Row:
    """Stands for an element of that name that has no attributes and holds a record, of which the form is known."""

    __slots__ = ("form", "record", "tag")
    text = None

    def __init__(self, tag: str, form: Form, record: Values) -> None:
        self.tag = tag
        self.form = form
        self.record = record

    def get(self, _attribute: str) -> None:
        return None

    def __iter__(self) -> Iterator[Node]:
        return iter(())

    def __len__(self) -> int:
        return 0
