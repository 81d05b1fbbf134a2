"""The operations that read."""

from __future__ import annotations

from flask import Response, request

from gateway.rest import answers, headers
from gateway.rest.admission import Admission
from gateway.rest.operations import Operation
from gateway.rest.query import filters, link_header
from gateway.upstream.freshbooks import FreshBooks
from schemas.resource import Resource


class Reading:
    """One resource's list and get."""

    def __init__(self, resource: Resource, admission: Admission, freshbooks: FreshBooks) -> None:
        self._resource = resource
        self._admission = admission
        self._freshbooks = freshbooks

    def list(self, operation: Operation) -> Response:
        asked = self._admission.admit(takes_parameters=True)
        known = headers.entity_tags(request, "If-None-Match")
        wanted, named = filters(self._resource, request.query_string)
        page, per_page = wanted["page"], wanted["per_page"]
        found = self._freshbooks.list(self._resource, wanted, asked.errand)
        body = {"items": found.items, "page": page, "per_page": per_page, "pages": found.pages, "total": found.total}
        response = answers.conditional(known, body)
        response.headers["Link"] = link_header(operation.path(self._resource), named, page, per_page, found.pages)
        return response

    def get(self, operation: Operation, key: int) -> Response:
        asked = self._admission.admit()
        known = headers.entity_tags(request, "If-None-Match")
        return answers.conditional(known, self._freshbooks.get(self._resource, key, asked.errand))
