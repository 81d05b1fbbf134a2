"""Each documented request example does what the document says when it is sent."""

from __future__ import annotations

import pytest

from tests.support.document import committed_document
from tests.support.examples import Example, Operation, operations, request_examples
from tests.support.gateway import Caller

DOCUMENT = committed_document()
ALL = list(operations(DOCUMENT))
REQUESTS = [example for one in ALL for example in request_examples(DOCUMENT, one)]
PLAIN = [one for one in ALL if "requestBody" not in one.node]


def _name(value: Example) -> str:
    return f"{value.operation.method} {value.operation.path} {value.media_type} {value.name}"


def _success(node: dict[str, dict[str, object]]) -> int:
    return min(int(status) for status in node["responses"])


@pytest.fixture
def key(caller: Caller) -> int:
    """The id of a client of one's own."""
    made = caller.post("/clients", json={"email": "example@example.com"})
    return int(made.get_json()["id"])


@pytest.mark.parametrize("example", REQUESTS, ids=_name)
def test_an_example_request_gets_its_documented_answer(example: Example, caller: Caller, key: int) -> None:
    """The success status, a body that fits, and the record shows what was sent."""
    path = example.operation.path.replace("{id}", str(key))
    answer = caller.request(
        example.operation.method, path, json=example.value, headers={"Content-Type": example.media_type}
    )
    assert answer.status_code == _success(example.operation.node), answer.get_data(as_text=True)
    shown = answer.get_json()
    plain = {name: value for name, value in example.value.items() if name not in ("password", "contacts")}
    assert {name: shown[name] for name in plain} == plain
    for sent, stored in zip(example.value.get("contacts", []), shown["contacts"], strict=False):
        assert sent.items() <= stored.items()


@pytest.mark.parametrize("operation", PLAIN, ids=lambda one: f"{one.method} {one.path}")
def test_an_operation_without_a_body_works_as_documented(operation: Operation, caller: Caller, key: int) -> None:
    """With a value that the document names in its path."""
    path = operation.path
    for parameter in DOCUMENT.document["paths"][path].get("parameters", []):
        known = parameter["schema"].get("enum", [key])
        path = path.replace("{" + parameter["name"] + "}", str(known[0]))
    assert caller.request(operation.method, path).status_code == _success(operation.node)


def test_examples_of_filters_are_taken_together(caller: Caller) -> None:
    """A newcomer may paste every one of them."""
    parameters = DOCUMENT.document["paths"]["/clients"]["get"]["parameters"]
    query = {
        one["name"]: one["schema"].get("examples", [one["schema"].get("default")])[0]
        for one in parameters
        if one.get("in") == "query"
    }
    assert len(query) == 8
    assert caller.get("/clients", query_string=query).status_code == 200
