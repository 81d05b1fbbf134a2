"""The operations that every resource has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, request

from gateway.deadline import Deadline
from gateway.errors import (
    ActionRefused,
    FieldError,
    InvalidFields,
    PreconditionFailed,
    PreconditionRequired,
    RecordNotFound,
    UpstreamError,
    Written,
)
from gateway.rest import answers, defects, headers
from gateway.rest.auth import Authenticate
from gateway.rest.body import read_object
from gateway.rest.context import current
from gateway.rest.query import filters, link_header, refuse_parameters
from gateway.settings import Settings
from gateway.telemetry import Log
from gateway.upstream.freshbooks import Errand, FreshBooks, Record
from schemas.resource import InvalidRecord, Resource

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
_PLACES_MAX = 100
"""How many places a refusal points at: a body can be wrong in a hundred thousand."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of ours: its route and what it needs.

    `status` is that of its success. `media_types` are those of the body it reads; none when it reads none.
    """

    name: str
    http_method: str
    on_record: bool
    status: int
    media_types: tuple[str, ...] = ()
    writes: bool = True

    def path(self, resource: Resource) -> str:
        """The route as the document has it."""
        return f"/{resource.plural}" + ("/{id}" if self.on_record else "")

    def label(self, resource: Resource) -> str:
        """The operation's name in logs, metrics and the document: `client.patch`."""
        return f"{resource.name}.{self.name}"

    @property
    def traits(self) -> frozenset[str]:
        """What decides which problems it can meet (see `Problem.when`)."""
        held = {"any": True, "body": bool(self.media_types), "item": self.on_record, "list": self.name == "list"}
        held["change"] = self.on_record and self.writes
        held["conditional"] = not self.writes or self.on_record
        return frozenset(trait for trait, holds in held.items() if holds)


OPERATIONS: tuple[Operation, ...] = (
    Operation("list", "GET", on_record=False, status=200, writes=False),
    Operation("create", "POST", on_record=False, status=201, media_types=(JSON,)),
    Operation("get", "GET", on_record=True, status=200, writes=False),
    Operation("patch", "PATCH", on_record=True, status=200, media_types=(MERGE_PATCH, JSON)),
    Operation("replace", "PUT", on_record=True, status=200, media_types=(JSON,)),
    Operation("delete", "DELETE", on_record=True, status=204),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an admitted request asks for."""

    preferences: headers.Preferences
    errand: Errand


class Endpoints:
    """One resource's operations as Flask views."""

    def __init__(
        self, resource: Resource, freshbooks: FreshBooks, authenticate: Authenticate, settings: Settings, log: Log
    ) -> None:
        self.resource = resource
        self._freshbooks = freshbooks
        self._authenticate = authenticate
        self._deadline_s = settings.upstream_deadline_s
        self._require_if_match = settings.gateway_require_if_match
        self._log = log

    def list(self, operation: Operation) -> Response:
        asked = self._admit(takes_parameters=True)
        known = headers.entity_tags(request, "If-None-Match")
        wanted, named = filters(self.resource, request.query_string)
        page, per_page = wanted["page"], wanted["per_page"]
        found = self._freshbooks.list(self.resource, wanted, asked.errand)
        body = {"items": found.items, "page": page, "per_page": per_page, "pages": found.pages, "total": found.total}
        response = answers.conditional(known, body)
        response.headers["Link"] = link_header(operation.path(self.resource), named, page, per_page, found.pages)
        return response

    def get(self, operation: Operation, key: int) -> Response:
        asked = self._admit()
        known = headers.entity_tags(request, "If-None-Match")
        return answers.conditional(known, self._freshbooks.get(self.resource, key, asked.errand))

    def create(self, operation: Operation) -> Response:
        asked = self._admit()
        values = self._load(self.resource.load_new, operation)
        key = self._freshbooks.create(self.resource, values, asked.errand)
        response = self._written(key, asked, operation.status, minimal_status=operation.status)
        response.headers["Location"] = f"{operation.path(self.resource)}/{key}"
        return response

    def patch(self, operation: Operation, key: int) -> Response:
        asked = self._admit()
        values = self._load(self.resource.load_patch, operation)
        self._check_precondition(key, asked)
        return self._update(key, values, asked, operation)

    def replace(self, operation: Operation, key: int) -> Response:
        asked = self._admit()
        values = self._load(self.resource.load_replacement, operation)
        self._check_precondition(key, asked)
        return self._update(key, values, asked, operation)

    def delete(self, operation: Operation, key: int) -> Response:
        asked = self._admit()
        self._check_precondition(key, asked)
        self._freshbooks.delete(self.resource, key, asked.errand)
        return Response(status=operation.status)

    def _admit(self, *, takes_parameters: bool = False) -> Asked:
        """What every operation does first: who is it, what is accepted, how long may it take."""
        token = self._authenticate(request)
        headers.check_accepts_json(request)
        if not takes_parameters:
            refuse_parameters(request.query_string)
        preferences = headers.preferences(request)
        allowed_s = self._deadline_s if preferences.wait_s is None else min(preferences.wait_s, self._deadline_s)
        context = current()
        trace = {"X-Request-Id": context.request_id}
        return Asked(preferences, Errand(token, Deadline(context.started_s + allowed_s), trace))

    def _load(self, load: Callable[[Mapping[str, Any]], dict[str, Any]], operation: Operation) -> dict[str, Any]:
        body = read_object(request, operation.media_types)
        try:
            return load(body)
        except InvalidRecord as invalid:
            places = [
                FieldError(one.code, one.detail, pointer=_pointer(one.path), suggestion=one.suggestion)
                for one in sorted(invalid.complaints, key=lambda one: _pointer(one.path))[:_PLACES_MAX]
            ]
            raise InvalidFields("Some fields are not valid.", errors=places) from None

    def _check_precondition(self, key: int, asked: Asked) -> None:
        """Raises `PreconditionFailed` or `PreconditionRequired`, before anything is changed."""
        tags = headers.entity_tags(request, "If-Match")
        if tags is None:
            if self._require_if_match:
                raise PreconditionRequired("This gateway requires If-Match here.")
            return
        current_tag = answers.etag_of(self._unwritten(key, asked))
        if not headers.matches_strongly(tags, current_tag):
            detail = "The record is not the one that If-Match names."
            raise PreconditionFailed(detail, headers={"ETag": current_tag})

    def _update(self, key: int, values: dict[str, Any], asked: Asked, operation: Operation) -> Response:
        """A patch that names nothing changes nothing: it only reads."""
        if not values:
            return self._shown(self._unwritten(key, asked), key, asked, operation.status, minimal_status=204)
        self._freshbooks.update(self.resource, key, values, asked.errand)
        return self._written(key, asked, operation.status, minimal_status=204)

    def _unwritten(self, key: int, asked: Asked) -> Record:
        """The record before anything is changed. What fails here leaves it as it was."""
        try:
            return self._freshbooks.get(self.resource, key, asked.errand)
        except UpstreamError as error:
            error.written = Written.NOT_APPLIED
            raise

    def _written(self, key: int, asked: Asked, status: int, minimal_status: int) -> Response:
        """The answer to a write that is done. A read back that fails does not make it an error."""
        record = None if asked.preferences.minimal else self._read_back(key, asked.errand)
        return self._shown(record, key, asked, status, minimal_status)

    def _shown(self, record: Record | None, key: int, asked: Asked, status: int, minimal_status: int) -> Response:
        applied = asked.preferences.applied()
        if asked.preferences.minimal and minimal_status == 204:
            response = Response(status=204)
        elif record is None:
            response = answers.json({"id": key}, status)
        else:
            response = answers.record(record, status)
        if applied:
            response.headers["Preference-Applied"] = applied
        return response

    def _read_back(self, key: int, errand: Errand) -> Record | None:
        try:
            return self._freshbooks.get(self.resource, key, errand)
        except UpstreamError as error:
            self._log.warning("read_back_failed", request_id=current().request_id, outcome=error.outcome.value)
        except Exception as error:  # noqa: BLE001  the write is done and must be reported so, whatever broke after it
            defects.report(self._log, error)
        return None

    def register(self, app: Flask) -> None:
        """Adds the routes of the operations."""
        for operation in OPERATIONS:
            rule = operation.path(self.resource).replace("{id}", "<key:key>")
            label = operation.label(self.resource)
            app.add_url_rule(rule, label, self._view(operation), methods=[operation.http_method])

    def _view(self, operation: Operation) -> Callable[..., Response]:
        perform = getattr(self, operation.name)

        def view(**arguments: int) -> Response:
            current().operation = operation.label(self.resource)
            try:
                response: Response = perform(operation, **arguments)
            except RecordNotFound as error:
                raise error if operation.on_record else _without_record(error) from error
            return response

        return view


def _without_record(error: RecordNotFound) -> ActionRefused:
    """Where the request names no record, none can be missing: what the upstream did not find is something else."""
    return ActionRefused("The upstream refused the action.", fault=error.fault, errors=error.errors)


def _pointer(path: tuple[str | int, ...]) -> str:
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
