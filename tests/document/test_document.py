"""The document is OpenAPI 3.1 and tells all there is to tell."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.rest.operations import OPERATIONS
from gateway.rest.problems import PROBLEMS
from schemas import RESOURCES
from schemas.types import Leaf
from tests.support.document import committed_document, escaped
from tests.support.examples import Example, Operation, operations, request_examples, response_examples
from tests.support.gateway import start_gateway

DOCUMENT = committed_document()
ALL = list(operations(DOCUMENT))
OF_RECORDS = [one for one in ALL if one.node["tags"] != ["Gateway"]]
EXAMPLES = [example for one in ALL for example in [*request_examples(DOCUMENT, one), *response_examples(DOCUMENT, one)]]
PARAMETERS = [f"{one.place}/parameters/{index}" for one in ALL for index in range(len(one.node.get("parameters", [])))]


def _name(value: Any) -> str:
    if isinstance(value, Operation):
        return f"{value.method} {value.path}"
    if isinstance(value, Example):
        return f"{_name(value.operation)} {value.status or value.media_type} {value.name}"
    return ""


def _parameter(found: re.Match[str]) -> str:
    return "{" + found[1].replace("key", "id") + "}"


def test_document_is_valid_openapi() -> None:
    """By the specification's own schema, with every reference resolved and every default of its type."""
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT.document).iter_errors()] == []


def test_every_schema_is_one_of_json_schema() -> None:
    """A misspelt keyword would be ignored in silence; a pattern that does not compile would not."""
    validator = DOCUMENT.validator("/components/schemas/Problem")
    for schema in DOCUMENT.document["components"]["schemas"].values():
        validator.check_schema(schema)
        for pattern in re.findall(r"'pattern': '([^']*)'", str(schema)):
            re.compile(pattern)


def test_documented_paths_are_the_routes_of_the_application() -> None:
    """All of them, with their methods, and no more."""
    caller = start_gateway({"UPSTREAM_URL": "http://127.0.0.1:9/", "UPSTREAM_TOKEN": "none", "GATEWAY_AUTH": "open"})
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", _parameter, rule.rule))
        for rule in caller.client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(one.method, one.path) for one in ALL} == served


def test_operation_ids_are_unique_and_speak_of_the_resource() -> None:
    """Generated clients name their functions after them."""
    names = [one.node["operationId"] for one in ALL]
    assert len(set(names)) == len(names)
    expected = {"listClients", "createClient", "getClient", "patchClient", "replaceClient", "deleteClient"}
    assert expected <= set(names)


@pytest.mark.parametrize("operation", ALL, ids=_name)
def test_an_operation_is_explained(operation: Operation) -> None:
    """A summary, a tag that exists, and words for every answer."""
    tags = {tag["name"] for tag in DOCUMENT.document["tags"]}
    assert operation.node["summary"]
    assert set(operation.node["tags"]) <= tags
    for status in operation.node["responses"]:
        assert DOCUMENT.resolve(f"{operation.place}/responses/{status}")[1]["description"]


@pytest.mark.parametrize("operation", OF_RECORDS, ids=_name)
def test_every_body_of_an_operation_has_an_example(operation: Operation) -> None:
    """Of each request, and of each answer that has a body."""
    if "requestBody" in operation.node:
        documented = set(operation.node["requestBody"]["content"])
        assert {example.media_type for example in request_examples(DOCUMENT, operation)} == documented
    with_body = {
        status
        for status in operation.node["responses"]
        if DOCUMENT.resolve(f"{operation.place}/responses/{status}")[1].get("content")
    }
    assert {example.status for example in response_examples(DOCUMENT, operation)} == with_body
    assert with_body >= ({"200"} if operation.method == "GET" else {"500"})


@pytest.mark.parametrize("example", EXAMPLES, ids=_name)
def test_an_example_fits_its_schema(example: Example) -> None:
    """An example that lies is worse than none."""
    errors = [error.message for error in DOCUMENT.validator(example.schema).iter_errors(example.value)]
    assert errors == []


@pytest.mark.parametrize("place", PARAMETERS)
def test_an_example_of_a_parameter_fits_its_schema(place: str) -> None:
    """Those beside the schema and those in it."""
    place, parameter = DOCUMENT.resolve(place)
    shown = [parameter["example"]] if "example" in parameter else []
    for value in [*shown, *parameter["schema"].get("examples", [])]:
        assert DOCUMENT.validator(f"{place}/schema").is_valid(value), value


@pytest.mark.parametrize("name", DOCUMENT.document["components"]["headers"])
def test_an_example_of_a_header_fits_its_schema(name: str) -> None:
    """As answers carry them."""
    header = DOCUMENT.document["components"]["headers"][name]
    assert DOCUMENT.validator(f"/components/headers/{escaped(name)}/schema").is_valid(header["example"])


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.code)
def test_every_problem_has_an_example(problem: Any) -> None:
    """With its own type, title and status, at every operation that can meet it, under its status."""
    at_operations = [
        example
        for one in OF_RECORDS
        for example in response_examples(DOCUMENT, one)
        if example.name == problem.code and example.status == str(problem.status)
    ]
    expected = sum(problem.when in operation.traits for operation in OPERATIONS) * len(RESOURCES)
    assert len(at_operations) == expected
    shown = DOCUMENT.document["components"]["examples"]
    values = [example.value for example in at_operations] or [shown[problem.code]["value"]]
    for value in values:
        told = {name: value[name] for name in ("type", "title", "status", "code")}
        assert told == {
            "type": problem.type,
            "title": problem.title,
            "status": problem.status,
            "code": problem.code,
        }


def test_examples_of_writes_tell_the_outcome() -> None:
    """And examples of reads do not."""
    for example in EXAMPLES:
        if example.status and int(example.status) >= 400 and example.name != "no_such_route":
            assert ("outcome" in example.value) == (example.operation.method != "GET"), _name(example)


def test_every_field_of_every_record_is_in_its_schemas() -> None:
    """Readable ones in the record, all required; writable ones in the bodies, where nothing else is allowed."""
    schemas = DOCUMENT.document["components"]["schemas"]
    for resource in RESOURCES:
        name = resource.record.__name__
        assert list(schemas[name]["properties"]) == list(resource.schema.dump_fields)
        assert schemas[name]["required"] == list(resource.schema.dump_fields)
        for body in ("Create", "Replace", "Patch"):
            assert list(schemas[name + body]["properties"]) == list(resource.schema.load_fields)
            assert schemas[name + body]["additionalProperties"] is False
        required = [field for field, declared in resource.schema.load_fields.items() if declared.required]
        assert schemas[f"{name}Create"]["required"] == schemas[f"{name}Replace"]["required"] == required
        assert "required" not in schemas[f"{name}Patch"]


def test_a_record_that_breaks_todays_rules_fits_the_record_as_read() -> None:
    """Reading is tolerant: the document promises no more of a stored value than its type."""
    resource = RESOURCES[0]
    texts = {name: "?" for name, field in resource.schema.dump_fields.items() if isinstance(field, Leaf)}
    examples = DOCUMENT.document["components"]["examples"]
    record = {**examples[f"{resource.name}.record"]["value"], **texts, "id": 1, "updated_at": None}
    assert DOCUMENT.validator(f"/components/schemas/{resource.record.__name__}").is_valid(record)


def test_a_field_that_cannot_be_cleared_takes_no_null() -> None:
    """Where null clears, it is allowed; where it would be refused, it is not."""
    validator = DOCUMENT.validator("/components/schemas/ClientPatch")
    assert validator.is_valid({"mobile": None, "primary_address": None, "contacts": None, "language": None})
    assert not validator.is_valid({"email": None})
    assert not validator.is_valid({"password": None})
    assert not validator.is_valid({"contacts": [{"first_name": "Alex"}]})


def test_created_record_links_to_what_can_be_done_with_it() -> None:
    """A machine can follow from the answer of a create."""
    links = DOCUMENT.document["paths"]["/clients"]["post"]["responses"]["201"]["links"]
    assert {link["operationId"] for link in links.values()} == {
        "getClient",
        "patchClient",
        "replaceClient",
        "deleteClient",
    }
    assert all(link["parameters"] == {"id": "$response.body#/id"} for link in links.values())


def test_every_way_to_authenticate_is_documented() -> None:
    """Bearer, Basic, or nothing, whichever the operators chose; the probes ask nobody."""
    schemes = DOCUMENT.document["components"]["securitySchemes"]
    assert {scheme["scheme"] for scheme in schemes.values()} == {"bearer", "basic"}
    assert DOCUMENT.document["security"] == [*({name: []} for name in schemes), {}]
    assert all(one.node["security"] == [] for one in ALL if one not in OF_RECORDS)
