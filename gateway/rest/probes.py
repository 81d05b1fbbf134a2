"""What is not about records: liveness, readiness, metrics, the document, and the way to the pages."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, Response, redirect, request
from flask.typing import RouteCallable

from gateway import errors
from gateway.policy.readiness import Condition, Readiness
from gateway.rest import answers, pages
from gateway.telemetry import Metrics


@dataclass(frozen=True, slots=True)
class Documents:
    """The OpenAPI document, as bytes in both notations."""

    yaml: bytes
    json: bytes


def register(app: Flask, documents: Documents, metrics: Metrics, readiness: Readiness) -> None:
    """Adds the routes. None of them calls the upstream or asks who is calling."""
    routes: dict[str, RouteCallable] = {
        "/": lambda: redirect("/docs"),
        "/livez": lambda: answers.json({"status": "ok"}, 200),
        "/readyz": lambda: _ready(readiness.condition()),
        "/metrics": lambda: _metrics(metrics),
        "/openapi.yaml": lambda: pages.revalidated(documents.yaml, "application/yaml"),
        "/openapi.json": lambda: pages.revalidated(documents.json, answers.JSON),
        "/docs": pages.docs,
        "/docs/<name>": pages.asset,
        "/problems": pages.problems,
        "/problems/<slug>": pages.problem,
    }
    for rule, view in routes.items():
        app.add_url_rule(rule, rule, view, methods=["GET"])


def _ready(condition: Condition) -> Response:
    """Raises `NotReady`."""
    shown = {
        "draining": condition.draining,
        "store": {name: "ok" if is_up else "down" for name, is_up in condition.stores.items()},
        "upstream": condition.upstream,
    }
    if condition.is_ready:
        return answers.json({"status": "ok", **shown}, 200)
    why = "is about to end" if condition.draining else "cannot ask its store"
    raise errors.NotReady(f"The gateway {why}.", shown)


def _metrics(metrics: Metrics) -> Response:
    body, content_type = metrics.exposition(request.headers.get("Accept", ""))
    return Response(body, content_type=content_type)
