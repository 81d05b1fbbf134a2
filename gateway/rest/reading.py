"""The operations that read."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, request

from gateway.policy.cache import Cache
from gateway.policy.copies import Content, content_of
from gateway.rest import answers, headers
from gateway.rest.admission import Admission
from gateway.rest.operations import Operation
from gateway.rest.query import filters, link_header
from gateway.upstream.freshbooks import FreshBooks
from schemas.resource import Resource


class Reading:
    """One resource's list and get."""

    def __init__(self, resource: Resource, admission: Admission, freshbooks: FreshBooks, cache: Cache) -> None:
        self._resource = resource
        self._admission = admission
        self._freshbooks = freshbooks
        self._cache = cache

    def list(self, operation: Operation) -> Response:
        asked = self._admission.admit(takes_parameters=True)
        known = headers.entity_tags(request, "If-None-Match")
        wanted, named = filters(self._resource, request.query_string)
        page, per_page = wanted["page"], wanted["per_page"]

        def fetch(once: bool) -> Content:
            found = self._freshbooks.list(self._resource, wanted, replace(asked.errand, once=once))
            body = {"items": found.items, "page": page, "per_page": per_page, "pages": found.pages}
            return content_of({**body, "total": found.total}, found.pages)

        token, deadline = asked.errand.token, asked.errand.deadline
        shown = self._cache.page(self._resource.name, wanted, token, headers.wish(request), deadline, fetch)
        response = answers.conditional(known, shown)
        path = operation.path(self._resource)
        response.headers["Link"] = link_header(path, named, page, per_page, shown.content.pages)
        return response

    def get(self, operation: Operation, key: int) -> Response:
        asked = self._admission.admit()
        known = headers.entity_tags(request, "If-None-Match")
        token, deadline = asked.errand.token, asked.errand.deadline

        def fetch(once: bool) -> Content:
            return content_of(self._freshbooks.get(self._resource, key, replace(asked.errand, once=once)))

        shown = self._cache.record(self._resource.name, key, token, headers.wish(request), deadline, fetch)
        return answers.conditional(known, shown)
