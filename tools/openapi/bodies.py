"""Records as JSON Schemas, and example bodies out of the same declaration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from marshmallow import Schema, fields

from schemas.resource import Resource
from schemas.types import Group, Leaf, Many

Node = dict[str, Any]


class Mode(Enum):
    """Which side of a declaration a schema shows; the value is the suffix of a nested schema's name."""

    READ = ""
    NEW = "New"
    WRITE = "Input"
    PATCH = "Patch"


def reference(name: str) -> Node:
    return {"$ref": f"#/components/schemas/{name}"}


class Bodies:
    """The component schemas of all resources."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self.schemas: dict[str, Node] = {}
        self._names = _nested_names(resources)
        for resource in resources:
            self._add(resource)

    def _add(self, resource: Resource) -> None:
        name, thing = resource.record.__name__, resource.name.replace("_", " ")
        self._keep(
            name,
            f"A {thing} as it is read. Every key is always there; what the upstream has no value for is `null`.",
            self._object(resource.schema, Mode.READ),
        )
        self._keep(
            f"{name}Create",
            f"A new {thing}. What is left out or `null` gets the upstream's default.",
            self._object(resource.schema, Mode.NEW),
        )
        self._keep(
            f"{name}Replace",
            f"A {thing} as it shall be from now on. {_replacement_rule(resource.schema)}",
            self._object(resource.schema, Mode.WRITE),
        )
        self._keep(
            f"{name}Patch",
            f"Changes to a {thing} (JSON merge patch, RFC 7396): what is left out stays as it is, `null` clears.",
            self._object(resource.schema, Mode.PATCH),
        )
        self._keep(f"{name}Page", f"One page of a list: {thing} records, and how many there are.", _page(name))
        self._keep(f"{name}Id", f"Only the {thing}'s id: what a write answers without reading back.", _only_id(name))

    def _keep(self, name: str, description: str, node: Node) -> None:
        if name in self.schemas:
            raise ValueError(f"two schemas would be called {name}")
        self.schemas[name] = {"type": "object", "description": description, **node}

    def _object(self, schema: Schema, mode: Mode) -> Node:
        shown = dict(schema.dump_fields if mode is Mode.READ else schema.load_fields)
        if mode is Mode.NEW:
            shown.pop("id", None)
        node: Node = {"properties": {name: self._property(field, mode) for name, field in shown.items()}}
        if mode is Mode.READ:
            return {"required": list(shown), **node}
        required = [name for name, field in shown.items() if field.required and mode is not Mode.PATCH]
        return {**({"required": required} if required else {}), **node, "additionalProperties": False}

    def _property(self, field: fields.Field[Any], mode: Mode) -> Node:
        match field:
            case Leaf():
                return _leaf(field, mode)
            case Many():
                items = self._nested(field.schema, Mode.WRITE if mode is Mode.PATCH else mode)
                return _annotated({"type": _or_null("array", field, mode), "items": items}, field)
            case Group():
                return _annotated(_ref_or_null(self._nested(field.schema, mode), field, mode), field)
        raise TypeError(f"{field!r} is no house type")

    def _nested(self, schema: Schema, mode: Mode) -> Node:
        """A reference to the nested schema, which is kept on first sight."""
        if mode is Mode.PATCH and not any(field.required for field in schema.load_fields.values()):
            mode = Mode.WRITE
        if mode is Mode.NEW and "id" not in schema.load_fields:
            mode = Mode.WRITE
        base = self._names[type(schema)]
        name = base + mode.value
        if name not in self.schemas:
            self.schemas[name] = {}
            said = {
                Mode.READ: "as it is read; every key is always there",
                Mode.NEW: "as it is written with a new record",
                Mode.WRITE: "as it is written",
                Mode.PATCH: "as it is changed",
            }
            description = f"{base} {said[mode]}."
            self.schemas[name] = {"type": "object", "description": description, **self._object(schema, mode)}
        return reference(name)


def _leaf(field: Leaf, mode: Mode) -> Node:
    node = field.dump_schema() if mode is Mode.READ else field.load_schema()
    promised = field.dump_only if mode is Mode.READ else True
    if field.allow_none or not promised:
        node = _with_null(node)
    return _annotated(node, field)


def _with_null(node: Node) -> Node:
    if "type" not in node:
        return {"anyOf": [node, {"type": "null"}]}
    choices = {"enum": [*node["enum"], None]} if "enum" in node else {}
    return {**node, "type": [node["type"], "null"], **choices}


def _annotated(node: Node, field: Leaf | Group | Many) -> Node:
    if field.description:
        node["description"] = field.description
    if field.dump_only:
        node["readOnly"] = True
    if field.load_only:
        node["writeOnly"] = True
    if isinstance(field, Leaf) and field.example is not None:
        node["examples"] = [field.example]
    return node


def _or_null(kind: str, field: Group | Many, mode: Mode) -> str | list[str]:
    return [kind, "null"] if mode is not Mode.READ and field.allow_none else kind


def _ref_or_null(ref: Node, field: Group, mode: Mode) -> Node:
    return {"anyOf": [ref, {"type": "null"}]} if mode is not Mode.READ and field.allow_none else ref


def _replacement_rule(schema: Schema) -> str:
    kept = [f"`{name}`" for name, field in schema.load_fields.items() if getattr(field, "kept_when_absent", False)]
    if not kept:
        return "Every writable field that is left out is cleared."
    return (
        f"Every writable field that is left out is cleared, except {' and '.join(kept)}, which then stay as they are."
    )


def _page(name: str) -> Node:
    whole = {"type": "integer", "minimum": 0}
    return {
        "required": ["items", "page", "per_page", "pages", "total"],
        "properties": {
            "items": {"type": "array", "items": reference(name), "description": "Empty past the last page."},
            "page": {"type": "integer", "minimum": 1, "description": "The page this is, from 1."},
            "per_page": {"type": "integer", "minimum": 1, "maximum": 100, "description": "How many a page holds."},
            "pages": {**whole, "description": "How many pages there are; 0 when nothing was found."},
            "total": {**whole, "description": "How many records the filters match in all."},
        },
    }


def _only_id(name: str) -> Node:
    node = {"$ref": f"#/components/schemas/{name}/properties/id"}
    return {"required": ["id"], "properties": {"id": node}, "additionalProperties": False}


def _nested_names(resources: Sequence[Resource]) -> Mapping[type[Schema], str]:
    """What nested schemas are called: by their class, with the record's name before it when two classes share one."""
    owners = {cls: resource.record.__name__ for resource in resources for cls in _nested_classes(resource.schema)}
    sharing: dict[str, list[type[Schema]]] = defaultdict(list)
    for cls in owners:
        sharing[cls.__name__].append(cls)
    return {cls: (owners[cls] if len(sharing[cls.__name__]) > 1 else "") + cls.__name__ for cls in owners}


def _nested_classes(schema: Schema) -> Iterator[type[Schema]]:
    for field in schema.fields.values():
        if isinstance(field, Group | Many):
            yield type(field.schema)
            yield from _nested_classes(field.schema)


def example_record(schema: Schema) -> Node:
    """A record as it is read, out of its fields' examples; a field without one is null."""
    return {name: _example(field) for name, field in schema.dump_fields.items()}


def _example(field: fields.Field[Any]) -> Any:
    if isinstance(field, Many):
        return [example_record(field.schema)]
    return example_record(field.schema) if isinstance(field, Group) else getattr(field, "example", None)


def example_input(schema: Schema) -> Node:
    """A body with every writable field that has an example. Ids stay out: those are the upstream's to give."""
    written = {name: field for name, field in schema.load_fields.items() if name != "id"}
    return {name: value for name, field in written.items() if (value := _example_input(field)) not in (None, {}, [{}])}


def _example_input(field: fields.Field[Any]) -> Any:
    if isinstance(field, Many):
        return [example_input(field.schema)]
    return example_input(field.schema) if isinstance(field, Group) else getattr(field, "example", None)


def example_patch(schema: Schema) -> Node:
    """A patch that changes one field and clears another."""
    optional = {
        name: field for name, field in schema.load_fields.items() if isinstance(field, Leaf) and field.allow_none
    }
    changed = {name: field.example for name, field in optional.items() if field.example is not None}
    cleared = [name for name in optional if name not in changed]
    return dict([*list(changed.items())[:1], *((name, None) for name in cleared[:1])])
