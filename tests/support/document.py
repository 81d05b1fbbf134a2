"""Holds answers of the gateway to its own OpenAPI document."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

Node = dict[str, Any]

_ROOT = Path(__file__).parents[2]
_BASE = "urn:gateway:openapi"
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json")


class Headers(Protocol):
    """Header fields: a mapping, or what HTTP libraries have for one."""

    def items(self) -> Iterable[tuple[str, str]]: ...


def check_response(method: str, path: str, status: int, headers: Headers, body: bytes) -> None:
    """Raises AssertionError when an answer to a request for `path` (without query) does not fit openapi.json.

    A request that is no operation must be answered with the problem that says so.
    """
    committed_document().check(method, path, status, headers, body)


@functools.cache
def committed_document() -> Document:
    """The document as it stands in the repository."""
    return Document(json.loads((_ROOT / "openapi.json").read_bytes()))


class Document:
    """An OpenAPI 3.1 document, its paths and schemas compiled once."""

    def __init__(self, document: Node) -> None:
        self.document = document
        resource = DRAFT202012.create_resource(document)
        self._registry: Registry[Any] = Registry().with_resource(_BASE, resource)
        self._templates = [(_path_pattern(template), template) for template in document["paths"]]
        self._validators: dict[str, Draft202012Validator] = {}

    def check(self, method: str, path: str, status: int, headers: Headers, body: bytes) -> None:
        """See `check_response`."""
        named = {name.lower(): value for name, value in headers.items()}
        try:
            self._check(method.upper(), path, status, named, body)
        except AssertionError as error:
            shown = body[:500].decode("utf-8", "replace")
            raise AssertionError(f"{method} {path} -> {status}: {error}\n  headers: {named}\n  body: {shown}") from None

    def validator(self, pointer: str) -> Draft202012Validator:
        """The compiled validator of the schema at a pointer into the document."""
        if pointer not in self._validators:
            self._validators[pointer] = Draft202012Validator(
                {"$ref": f"{_BASE}#{pointer}"}, registry=self._registry, format_checker=FormatChecker()
            )
        return self._validators[pointer]

    def resolve(self, pointer: str) -> tuple[str, Any]:
        """What stands at a pointer, and where it really stands: references are followed."""
        node: Any = functools.reduce(_step, _parts(pointer), self.document)
        if isinstance(node, dict) and "$ref" in node:
            return self.resolve(node["$ref"].removeprefix("#"))
        return pointer, node

    def template(self, path: str) -> str | None:
        """The path template that a path fits; None when there is none. One without parameters comes first."""
        fitting = [template for pattern, template in self._templates if pattern.fullmatch(path)]
        return min(fitting, key=lambda template: template.count("{"), default=None)

    def _check(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        template = self.template(path)
        operation = "get" if method == "HEAD" else method.lower()
        item = self.document["paths"].get(template, {})
        if template is None or (operation not in item and status == 404 and "{" in template):
            self._check_as(404, "RouteNotFound", method, status, headers, body)
        elif method == "OPTIONS":
            _check_options(status, headers, body)
        elif operation not in item:
            self._check_as(405, "MethodNotAllowed", method, status, headers, body)
        else:
            responses = f"/paths/{escaped(template)}/{operation}/responses"
            documented = item[operation]["responses"]
            assert str(status) in documented, f"this status is not documented, only {', '.join(documented)}"
            self._check_answer(f"{responses}/{status}", method, status, headers, body)

    def _check_as(
        self, expected: int, name: str, method: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """For requests that are no operation; with a path that has parameters, their values may be what is wrong."""
        assert status == expected, f"this is no operation, so the status should be {expected}"
        self._check_answer(f"/components/responses/{name}", method, status, headers, body)

    def _check_answer(self, pointer: str, method: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        place, response = self.resolve(pointer)
        for name in response.get("headers", {}):
            self._check_header(f"{place}/headers/{escaped(name)}", name, headers)
        if method == "HEAD" or status in (204, 304):
            assert not body, "there must be no body"
        if status not in (204, 304):
            self._check_body(
                f"{place}/content", response.get("content", {}), headers, None if method == "HEAD" else body
            )

    def _check_header(self, pointer: str, name: str, headers: Mapping[str, str]) -> None:
        place, documented = self.resolve(pointer)
        text = headers.get(name.lower())
        if text is None:
            assert not documented.get("required"), f"the header {name} is missing"
            return
        schema = self.resolve(f"{place}/schema")[1]
        value = int(text) if schema.get("type") == "integer" and re.fullmatch("-?[0-9]+", text) else text
        self._check_value(f"{place}/schema", value, f"the header {name}")

    def _check_body(self, pointer: str, content: Node, headers: Mapping[str, str], body: bytes | None) -> None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        assert kind in content, f"the content type is {kind or 'missing'}, documented are {', '.join(content)}"
        if body is None:
            return
        if _JSON.fullmatch(kind):
            self._check_value(f"{pointer}/{escaped(kind)}/schema", _parsed(body), "the body")

    def _check_value(self, pointer: str, value: Any, what: str) -> None:
        error = min(self.validator(pointer).iter_errors(value), key=lambda one: len(one.absolute_path), default=None)
        if error is not None:
            deepest = _deepest(error)
            where = "/".join(str(part) for part in deepest.absolute_path)
            raise AssertionError(f"{what} does not fit its schema at /{where}: {deepest.message[:500]}")


def _check_options(status: int, headers: Mapping[str, str], body: bytes) -> None:
    assert status == 204, "OPTIONS should be answered by 204"
    assert headers.get("allow"), "the header Allow is missing"
    assert headers.get("x-request-id"), "the header X-Request-Id is missing"
    assert not body, "there must be no body"


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise AssertionError(f"the body is not JSON: {error}") from None


def _deepest(error: ValidationError) -> ValidationError:
    """The complaint that says most: of alternatives, the one that got furthest."""
    while error.context:
        error = max(error.context, key=lambda one: len(one.absolute_path))
    return error


def _path_pattern(template: str) -> re.Pattern[str]:
    literals = re.split(r"\{\w+\}", template)
    return re.compile("[^/]+".join(map(re.escape, literals)), re.DOTALL)


def escaped(part: str) -> str:
    """A name as it stands in a pointer within a URI (RFC 6901 §6)."""
    return part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _parts(pointer: str) -> list[str]:
    parts = pointer.replace("%7B", "{").replace("%7D", "}").split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def _step(node: Any, part: str) -> Any:
    return node[int(part)] if isinstance(node, list) else node[part]
