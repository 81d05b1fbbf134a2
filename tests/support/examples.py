"""The examples of an OpenAPI document, with the place of the schema that each must fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.support.document import Document, escaped


class Operation(NamedTuple):
    """An operation of a document; `place` is the pointer to it."""

    place: str
    method: str
    path: str
    node: dict[str, Any]


class Example(NamedTuple):
    """An example body; `schema` is the pointer to the schema it must fit. `status` is None for a request's."""

    operation: Operation
    status: str | None
    media_type: str
    name: str
    schema: str
    value: Any


def operations(document: Document) -> Iterator[Operation]:
    """Every operation, in the document's order."""
    for path, item in document.document["paths"].items():
        for method in [name for name in item if name != "parameters"]:
            place = f"/paths/{escaped(path)}/{method}"
            yield Operation(place, method.upper(), path, item[method])


def request_examples(document: Document, operation: Operation) -> Iterator[Example]:
    content = operation.node.get("requestBody", {}).get("content", {})
    yield from _examples(document, operation, None, f"{operation.place}/requestBody/content", content)


def response_examples(document: Document, operation: Operation) -> Iterator[Example]:
    for status in operation.node["responses"]:
        place, response = document.resolve(f"{operation.place}/responses/{status}")
        yield from _examples(document, operation, status, f"{place}/content", response.get("content", {}))


def _examples(
    document: Document, operation: Operation, status: str | None, place: str, content: dict[str, Any]
) -> Iterator[Example]:
    for media_type, body in content.items():
        here = f"{place}/{escaped(media_type)}"
        if "example" in body:
            yield Example(operation, status, media_type, "example", f"{here}/schema", body["example"])
        for name in body.get("examples", {}):
            value = document.resolve(f"{here}/examples/{escaped(name)}")[1]["value"]
            yield Example(operation, status, media_type, name, f"{here}/schema", value)
