"""The routes of a resource's operations."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask, Response

from gateway.errors import ActionRefused, RecordNotFound
from gateway.rest.admission import Admission
from gateway.rest.changing import Changing
from gateway.rest.context import current
from gateway.rest.operations import OPERATIONS, Operation
from gateway.rest.reading import Reading
from schemas.resource import Resource


def register(app: Flask, resource: Resource, admission: Admission, reading: Reading, changing: Changing) -> None:
    """Adds the routes of a resource."""
    for operation in OPERATIONS:
        rule = operation.path(resource).replace("{id}", "<key:id>")
        perform = getattr(changing if operation.writes else reading, operation.name)
        view = _view(operation, operation.label(resource), admission, perform)
        app.add_url_rule(rule, operation.label(resource), view, methods=[operation.http_method])


def _view(
    operation: Operation, label: str, admission: Admission, perform: Callable[..., Response]
) -> Callable[..., Response]:
    def view(**arguments: int) -> Response:
        current().operation = label
        with admission.place():
            try:
                return perform(operation, *arguments.values())
            except RecordNotFound as error:
                raise error if operation.on_record else _without_record(error) from error

    return view


def _without_record(error: RecordNotFound) -> ActionRefused:
    """Where the request names no record, none can be missing: what the upstream did not find is something else."""
    return ActionRefused("The upstream refused the action.", fault=error.fault, errors=error.errors)
