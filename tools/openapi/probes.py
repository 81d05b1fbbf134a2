"""The routes that are not about records. They ask nobody for credentials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.rest.pages import ASSETS
from gateway.rest.problems import PROBLEMS
from tools.openapi.errors import READINESS_EXAMPLE, readiness
from tools.openapi.headers import answer_headers

Node = dict[str, Any]
TAG = {"name": "Gateway", "description": "The gateway itself: is it well, and what does it say about itself?"}


def path_items() -> dict[str, Node]:
    """The paths with their one operation each."""
    alive = {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}
    healthy = {"application/json": {"schema": alive, "example": {"status": "ok"}}}
    page = {"text/html": {"schema": {"type": "string"}}}
    yaml: Node = {"application/yaml": {"schema": {}}}
    json: Node = {"application/json": {"schema": {"type": "object"}}}
    slugs = [problem.slug for problem in PROBLEMS]
    return {
        "/": _redirect("getRoot", "Go to the docs page"),
        "/livez": _get("getLiveness", "Is the process alive?", healthy),
        "/readyz": _readiness(),
        "/metrics": _elsewhere(_get("getMetrics", "Metrics for Prometheus", _metrics())),
        "/openapi.yaml": _kept(_get("getDocumentAsYaml", "This document as YAML", yaml)),
        "/openapi.json": _kept(_get("getDocumentAsJson", "This document as JSON", json)),
        "/docs": _get("getDocs", "A page to explore and try the operations", page),
        "/docs/{name}": _named(_kept(_get("getAsset", "A file of the pages", _assets())), "name", ASSETS),
        "/problems": _get("listProblems", "The kinds of problems", page),
        "/problems/{slug}": _named(_get("getProblem", "What a problem means and what to do", page), "slug", slugs),
    }


def _get(name: str, summary: str, content: Node) -> Node:
    answer = {"description": "Here it is.", "headers": answer_headers(), "content": content}
    operation: Node = {"operationId": name, "tags": [TAG["name"]], "summary": summary, "security": []}
    return {"get": {**operation, "responses": {"200": answer}}}


def _redirect(name: str, summary: str) -> Node:
    item = _get(name, summary, {"text/html": {"schema": {"type": "string"}}})
    found = item["get"]["responses"].pop("200")
    item["get"]["responses"]["302"] = {
        **found,
        "description": "See `Location`.",
        "headers": answer_headers("Location"),
    }
    return item


def _kept(item: Node) -> Node:
    """The item of something that browsers keep and ask about."""
    responses = item["get"]["responses"]
    responses["200"]["headers"] = answer_headers("ETag")
    responses["304"] = {
        "description": "The copy that `If-None-Match` names still holds.",
        "headers": answer_headers("ETag"),
    }
    return item


def _readiness() -> Node:
    """`readiness` in the problem has the members that the good answer has besides its status."""
    known = readiness()
    shape = {**known, "required": ["status", *known["required"]]}
    shape["properties"] = {"status": {"const": "ok"}, **known["properties"]}
    content = {"application/json": {"schema": shape, "example": {"status": "ok", **READINESS_EXAMPLE}}}
    summary = "Does it take requests? The upstream's health is shown and plays no part."
    item = _get("getReadiness", summary, content)
    item["get"]["responses"]["503"] = {"$ref": "#/components/responses/NotReady"}
    return item


def _elsewhere(item: Node) -> Node:
    """The item of something that is not here when it has an address of its own."""
    item["get"]["responses"]["404"] = {"$ref": "#/components/responses/RouteNotFound"}
    return item


def _named(item: Node, name: str, known: Sequence[str]) -> Node:
    """The item with a name in its path; a name that nobody knows is a 404."""
    schema = {"type": "string", "enum": list(known)}
    item["parameters"] = [{"name": name, "in": "path", "required": True, "schema": schema}]
    item["get"]["responses"]["404"] = {"$ref": "#/components/responses/RouteNotFound"}
    return item


def _metrics() -> Node:
    text = {"schema": {"type": "string"}}
    return {"text/plain": text, "application/openmetrics-text": text}


def _assets() -> Node:
    text = {"schema": {"type": "string"}}
    return {"text/javascript": text, "text/css": text, "image/png": {}}
