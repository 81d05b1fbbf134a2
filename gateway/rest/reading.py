"""The operations that read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response, request

from gateway.policy.cache import Cache, Shown
from gateway.policy.copies import Content, content_of
from gateway.policy.shelf import Place, Seen
from gateway.policy.wishes import Wish
from gateway.rest import answers, headers
from gateway.rest.admission import Admission
from gateway.rest.operations import Operation
from gateway.rest.query import filters, link_header
from gateway.secret import Secret
from gateway.upstream.freshbooks import Errand, FreshBooks
from schemas.resource import Resource


class Sought(msgspec.Struct, frozen=True):
    """What a read asks for, and where a copy of it is kept.

    `key` is None for a page; then `filters` are what it is filtered by, and `named` the parameters as the caller wrote
    them.
    """

    place: Place
    key: int | None
    filters: Mapping[str, Any]
    named: Mapping[str, str]


class Reading:
    """One resource's list and get."""

    def __init__(self, resource: Resource, admission: Admission, freshbooks: FreshBooks, cache: Cache) -> None:
        self.resource = resource
        self._admission = admission
        self._freshbooks = freshbooks
        self._cache = cache

    def list(self, operation: Operation) -> Response:
        asked = self._admission.admit(takes_parameters=True)
        known = headers.entity_tags(request, "If-None-Match")
        sought = self.page(request.query_string, asked.errand.token)
        return answers.response(self.answer(sought, known, headers.wish(request), asked.errand))

    def get(self, operation: Operation, key: int) -> Response:
        asked = self._admission.admit()
        known = headers.entity_tags(request, "If-None-Match")
        sought = self.record(key, asked.errand.token)
        return answers.response(self.answer(sought, known, headers.wish(request), asked.errand))

    def record(self, key: int, token: Secret) -> Sought:
        return Sought(self._cache.record_place(self.resource.name, key, token), key, {}, {})

    def page(self, query_string: bytes, token: Secret) -> Sought:
        """Raises `InvalidQuery`."""
        wanted, named = filters(self.resource, query_string)
        return Sought(self._cache.page_place(self.resource.name, wanted, token), None, wanted, named)

    def answer(
        self, sought: Sought, known: frozenset[str] | None, wish: Wish, errand: Errand, seen: Seen | None = None
    ) -> answers.Answer:
        """`seen` as for `Cache.read`. Raises what the upstream answers but a success, and `NotCached`."""

        def fetch(once: bool) -> Content:
            return self._fetch(sought, msgspec.structs.replace(errand, once=True) if once else errand)

        return self.shown(sought, known, self._cache.read(sought.place, wish, errand.deadline, fetch, seen))

    def shown(self, sought: Sought, known: frozenset[str] | None, shown: Shown) -> answers.Answer:
        """What is shown as it is answered to a caller that has the representations `known`; None: it did not say."""
        link = "" if sought.key is not None else self._link(sought, shown.content.pages)
        return answers.conditional(known, shown, link)

    def _fetch(self, sought: Sought, errand: Errand) -> Content:
        if sought.key is not None:
            return content_of(self._freshbooks.get(self.resource, sought.key, errand))
        wanted = sought.filters
        found = self._freshbooks.list(self.resource, wanted, errand)
        body = {"items": found.items, "page": wanted["page"], "per_page": wanted["per_page"], "pages": found.pages}
        return content_of({**body, "total": found.total}, found.pages)

    def _link(self, sought: Sought, pages: int) -> str:
        page, per_page = sought.filters["page"], sought.filters["per_page"]
        return link_header(f"/{self.resource.plural}", sought.named, page, per_page, pages)
