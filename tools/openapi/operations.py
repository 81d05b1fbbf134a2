"""The operations of a resource: one path item for its list, one for its records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.rest.operations import JSON, OPERATIONS, Operation
from schemas.resource import Resource
from schemas.types import Leaf
from tools.openapi import errors
from tools.openapi.bodies import example_input, example_patch, example_record, reference
from tools.openapi.headers import answer_headers, request_headers

Node = dict[str, Any]
_FRAME = ("Cache-Control", "Vary")
_CACHED = (*_FRAME, "Cache-Status", "Age")


@dataclass(frozen=True, slots=True)
class Told:
    """What people are told about an operation; `{thing}` and `{things}` stand for the resource's names."""

    summary: str
    description: str
    success: str


TOLD: dict[str, Told] = {
    "list": Told(
        "List {things}",
        "One page of the {things} that these credentials may see, the newest first. Filters narrow it down and go "
        "together; the `Link` header leads to the other pages.",
        "A page of {things}.",
    ),
    "create": Told(
        "Create a {thing}",
        "Creates a {thing} and answers with it as the upstream now has it. Sending the same body again creates "
        "another one.",
        "The new {thing}. Only its id with `Prefer: return=minimal`, and when it was created but could not be read "
        "back.",
    ),
    "get": Told(
        "Get a {thing}", "The {thing} as the upstream has it, or had it a short while ago (`Age`).", "The {thing}."
    ),
    "patch": Told(
        "Change some fields of a {thing}",
        "A JSON merge patch (RFC 7396): fields that are left out stay as they are, `null` clears a field, a list "
        "replaces the stored list. `{{}}` changes nothing and answers with the {thing}.",
        "The {thing} after the change. Only its id when it was changed but could not be read back.",
    ),
    "replace": Told(
        "Replace a {thing}",
        "Makes the {thing} what the body says. {rule}",
        "The {thing} after the change. Only its id when it was changed but could not be read back.",
    ),
    "delete": Told(
        "Delete a {thing}",
        "Moves the {thing} to the upstream's deleted ones, which a list with `folder=deleted` shows. Deleting it "
        "again is a 404.",
        "The {thing} is deleted.",
    ),
}


def operation_id(operation: Operation, resource: Resource) -> str:
    """`listClients`, `getClient`."""
    name = resource.plural if operation.name == "list" else resource.name
    return operation.name + "".join(part.capitalize() for part in name.split("_"))


def path_items(resource: Resource) -> dict[str, Node]:
    """The resource's paths with their operations."""
    items: dict[str, Node] = {}
    for operation in OPERATIONS:
        item = items.setdefault(operation.path(resource), _path_parameters(operation, resource))
        item[operation.http_method.lower()] = _operation(operation, resource)
    return items


def tag(resource: Resource) -> Node:
    name = resource.plural.replace("_", " ").capitalize()
    return {"name": name, "description": f"{name} of FreshBooks Classic: list, create, read, change and delete them."}


def _path_parameters(operation: Operation, resource: Resource) -> Node:
    if not operation.on_record:
        return {}
    key = resource.schema.fields["id"]
    assert isinstance(key, Leaf)  # noqa: S101 - every record is named by a house type
    parameter = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The record's id, in decimal digits without leading zeros.",
        "schema": key.load_schema(),
        "example": key.example,
    }
    return {"parameters": [parameter]}


def _operation(operation: Operation, resource: Resource) -> Node:
    told, words = TOLD[operation.name], _words(resource)
    node: Node = {
        "operationId": operation_id(operation, resource),
        "tags": [tag(resource)["name"]],
        "summary": told.summary.format(**words),
        "description": told.description.format(**words),
        "parameters": [*_query(operation, resource), *request_headers(operation)],
    }
    if operation.media_types:
        node["requestBody"] = _request_body(operation, resource)
    success = SUCCESSES[operation.name](resource, told.success.format(**words))
    node["responses"] = {**success, **errors.responses(operation)}
    return node


def _words(resource: Resource) -> dict[str, str]:
    thing, things = (name.replace("_", " ") for name in (resource.name, resource.plural))
    kept = [name for name, field in resource.schema.load_fields.items() if getattr(field, "kept_when_absent", False)]
    spared = f", except {' and '.join(f'`{name}`' for name in kept)}, which then stay as they are" if kept else ""
    return {"thing": thing, "things": things, "rule": f"Writable fields that are left out are cleared{spared}."}


def _query(operation: Operation, resource: Resource) -> list[Node]:
    if operation.name != "list":
        return []
    fields = resource.filter_schema.load_fields.items()
    return [_parameter(name, field) for name, field in fields if isinstance(field, Leaf)]


def _parameter(name: str, field: Leaf) -> Node:
    schema = field.load_schema()
    if isinstance(field.load_default, int):
        schema["default"] = field.load_default
    elif field.example is not None:
        schema["examples"] = [field.example]
    return {"name": name, "in": "query", "description": field.description, "schema": schema}


def _request_body(operation: Operation, resource: Resource) -> Node:
    names = ("change", "nothing") if operation.name == "patch" else ("short", "full")
    schema = reference(f"{resource.record.__name__}{operation.name.capitalize()}")
    return {"required": True, "content": {kind: _body(resource, schema, *names) for kind in operation.media_types}}


def _body(resource: Resource, schema: Node, *examples: str) -> Node:
    named = {name: {"$ref": f"#/components/examples/{resource.name}.{name}"} for name in examples}
    return {"schema": schema, "examples": named}


def examples(resources: Sequence[Resource]) -> dict[str, Node]:
    """Example bodies by name, the resource's name before it. Those of requests work as they stand."""
    return {f"{resource.name}.{name}": one for resource in resources for name, one in _examples(resource).items()}


def _examples(resource: Resource) -> dict[str, Node]:
    schema, thing = resource.schema, _words(resource)["thing"]
    record = example_record(schema)
    counts = {"page": 1, "per_page": 25, "pages": 1, "total": 1}
    told: dict[str, tuple[str, Any]] = {
        "short": (f"A {thing} in short", dict(resource.example)),
        "full": ("Every field", example_input(schema)),
        "change": ("Change one field, clear another", example_patch(schema)),
        "nothing": ("Change nothing", {}),
        "record": (f"A {thing}", record),
        "minimal": ("Not read back", {"id": record["id"]}),
        "page": ("One record found", {"items": [record], **counts}),
        "empty": ("Nothing found", {"items": [], **counts, "pages": 0, "total": 0}),
    }
    return {name: {"summary": summary, "value": value} for name, (summary, value) in told.items()}


def _record_body(resource: Resource, *, or_id: bool) -> Node:
    name = resource.record.__name__
    if not or_id:
        return {JSON: _body(resource, reference(name), "record")}
    either = {"anyOf": [reference(name), reference(f"{name}Id")]}
    return {JSON: _body(resource, either, "record", "minimal")}


def _links(resource: Resource, place: str) -> dict[str, Node]:
    """From an id in an answer to what can be done with it."""
    linked = [(operation_id(operation, resource), operation) for operation in OPERATIONS if operation.on_record]
    thing = _words(resource)["thing"]
    return {
        name: {
            "operationId": name,
            "parameters": {"id": f"$response.body#{place}"},
            "description": TOLD[operation.name].summary.format(thing=thing),
        }
        for name, operation in linked
    }


def _list_success(resource: Resource, told: str) -> Node:
    found = {
        "description": told,
        "headers": answer_headers(*_CACHED, "ETag", "Link"),
        "content": {JSON: _body(resource, reference(f"{resource.record.__name__}Page"), "page", "empty")},
        "links": _links(resource, "/items/0/id"),
    }
    return {"200": found, "304": _not_modified("Link")}


def _get_success(resource: Resource, told: str) -> Node:
    found = {
        "description": told,
        "headers": answer_headers(*_CACHED, "ETag"),
        "content": _record_body(resource, or_id=False),
    }
    return {"200": found, "304": _not_modified()}


def _not_modified(*more: str) -> Node:
    headers = answer_headers(*_CACHED, "ETag", *more)
    return {"description": "The caller's copy still holds (`If-None-Match`). There is no body.", "headers": headers}


def _create_success(resource: Resource, told: str) -> Node:
    made = {
        "description": told,
        "headers": answer_headers(*_FRAME, "Location", optional=("ETag", "Preference-Applied", "Idempotency-Replayed")),
        "content": _record_body(resource, or_id=True),
        "links": _links(resource, "/id"),
    }
    return {"201": made}


def _change_success(resource: Resource, told: str) -> Node:
    changed = {
        "description": told,
        "headers": answer_headers(*_FRAME, optional=("ETag", "Preference-Applied", "Idempotency-Replayed")),
        "content": _record_body(resource, or_id=True),
    }
    minimal = {
        "description": "Done, as `Prefer: return=minimal` asked for: there is no body.",
        "headers": answer_headers(*_FRAME, "Preference-Applied", optional=("Idempotency-Replayed",)),
    }
    return {"200": changed, "204": minimal}


def _delete_success(_resource: Resource, told: str) -> Node:
    return {"204": {"description": told, "headers": answer_headers(*_FRAME, optional=("Idempotency-Replayed",))}}


Success = Callable[[Resource, str], Node]
SUCCESSES: dict[str, Success] = {
    "list": _list_success,
    "create": _create_success,
    "get": _get_success,
    "patch": _change_success,
    "replace": _change_success,
    "delete": _delete_success,
}


def all_path_items(resources: Sequence[Resource]) -> dict[str, Node]:
    return {path: item for resource in resources for path, item in path_items(resource).items()}
