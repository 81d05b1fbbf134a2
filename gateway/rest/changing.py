"""The operations that write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from flask import Response, request

from gateway.errors import (
    ChangedFromOutside,
    FieldError,
    InvalidFields,
    PreconditionFailed,
    PreconditionRequired,
    RecordNotFound,
    StoreUnavailable,
    UpstreamError,
    WriteInDoubt,
    Written,
)
from gateway.policy.cache import Cache
from gateway.policy.comparison import changed_elsewhere
from gateway.policy.copies import Content, content_of
from gateway.policy.creation import Creation
from gateway.policy.idempotency import Answer, Idempotency, Reservation
from gateway.policy.leases import RecordLeases
from gateway.rest import answers, defects, headers, keyed
from gateway.rest.admission import Admission, Asked
from gateway.rest.body import read_object
from gateway.rest.context import current
from gateway.rest.operations import Operation
from gateway.telemetry import Log
from gateway.upstream.freshbooks import Errand, FreshBooks, Record
from schemas.resource import InvalidRecord, Resource

_PLACES_MAX = 100


@dataclass(frozen=True, slots=True)
class Safety:
    """What makes writes safe: creating at most once, keys, and one writer at a time per record."""

    creation: Creation
    keys: Idempotency
    leases: RecordLeases


class Changing:
    """One resource's create, patch, replace and delete. `require_if_match`: changes without `If-Match` are refused."""

    def __init__(
        self,
        resource: Resource,
        admission: Admission,
        freshbooks: FreshBooks,
        cache: Cache,
        safety: Safety,
        log: Log,
        *,
        require_if_match: bool,
    ) -> None:
        self._resource = resource
        self._admission = admission
        self._freshbooks = freshbooks
        self._cache = cache
        self._safety = safety
        self._log = log
        self._require_if_match = require_if_match

    def create(self, operation: Operation) -> Response:
        asked = self._admission.admit()
        body, values = self._load(self._resource.load_new, operation)
        hold = self._begin(asked, body, path=operation.path(self._resource))
        if isinstance(hold, Answer):
            return keyed.replay(hold)
        if isinstance(hold, int):
            return keyed.mark_replayed(self._created(hold, asked, operation))
        with self._cache.changing(self._resource.name, None, asked.errand.deadline) as made:
            if hold is None:
                key = self._safety.creation.create(self._resource, values, asked.errand)
            else:
                key = self._safety.creation.create_keyed(self._resource, values, asked.errand, hold)
            made.append(key)
        response = self._created(key, asked, operation)
        if hold is not None:
            hold.done(keyed.kept(response))
        return response

    def patch(self, operation: Operation, key: int) -> Response:
        return self._update(self._resource.load_patch, operation, key)

    def replace(self, operation: Operation, key: int) -> Response:
        return self._update(self._resource.load_replacement, operation, key)

    def delete(self, operation: Operation, key: int) -> Response:
        asked = self._admission.admit()

        def perform(hold: Reservation | None, _alone: bool) -> Response:
            try:
                self._check_precondition(key, asked, hold)
                with self._cache.changing(self._resource.name, key, asked.errand.deadline):
                    self._freshbooks.delete(self._resource, key, asked.errand)
            except RecordNotFound:
                if not _in_doubt(hold):
                    raise
            return Response(status=operation.status)

        return self._change(operation, key, asked, None, perform, repeatable=True)

    def _update(self, load: Callable[[Mapping[str, Any]], dict[str, Any]], operation: Operation, key: int) -> Response:
        asked = self._admission.admit()
        body, values = self._load(load, operation)

        def perform(hold: Reservation | None, alone: bool) -> Response:
            before = self._check_precondition(key, asked, hold)
            if not values:
                unchanged = content_of(before or self._unwritten(key, asked))
                return self._shown(unchanged, key, asked, operation.status, minimal_status=204)
            with self._cache.changing(self._resource.name, key, asked.errand.deadline):
                self._freshbooks.update(self._resource, key, values, asked.errand, alone=alone)
            return self._written(key, asked, operation.status, 204, lambda now: self._compare(before, values, now))

        return self._change(operation, key, asked, body, perform, repeatable=self._resource.is_plain(values))

    def _change(
        self,
        operation: Operation,
        key: int,
        asked: Asked,
        body: Any,
        perform: Callable[[Reservation | None, bool], Response],
        *,
        repeatable: bool,
    ) -> Response:
        """Performs a change of one record as its only writer, once per key.

        A change whose outcome an earlier request with the key left open is performed again if that is harmless
        (`repeatable`).
        """
        path = operation.path(self._resource).replace("{id}", str(key))
        hold = self._begin(asked, body, path=path)
        if isinstance(hold, Answer):
            return keyed.replay(hold)
        if isinstance(hold, int):
            raise AssertionError("only a create leaves an id")
        if hold is not None and hold.in_doubt and not repeatable:
            hold.unknown()
            raise _write_in_doubt(self._resource, key)

        def perform_alone() -> Response:
            with self._safety.leases.hold(self._resource.name, key, asked.errand.deadline) as alone:
                if not alone and _is_conditional():
                    raise StoreUnavailable(
                        "Whether the record is still the same cannot be told while others may write."
                    )
                return perform(hold, alone)

        return keyed.keeping(hold, perform_alone)

    def _begin(self, asked: Asked, body: Any, path: str) -> Reservation | Answer | int | None:
        return keyed.begin(self._safety.keys, request, path, asked, body)

    def _load(
        self, load: Callable[[Mapping[str, Any]], dict[str, Any]], operation: Operation
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The body as it came, and its values. Raises `InvalidFields`, or as `read_object`."""
        body = read_object(request, operation.media_types)
        try:
            return body, load(body)
        except InvalidRecord as invalid:
            places = [
                FieldError(one.code, one.detail, pointer=_pointer(one.path), suggestion=one.suggestion)
                for one in sorted(invalid.complaints, key=lambda one: _pointer(one.path))[:_PLACES_MAX]
            ]
            raise InvalidFields("Some fields are not valid.", errors=places) from None

    def _check_precondition(self, key: int, asked: Asked, hold: Reservation | None) -> Record | None:
        """The record that a condition was compared with, read just now; None without a condition.

        Raises `PreconditionFailed` or `PreconditionRequired`, before anything is changed. Once an earlier request with
        the key may have changed the record, another tag tells nothing: `WriteInDoubt`.
        """
        wanted = headers.entity_tags(request, "If-Match")
        unwanted = headers.entity_tags(request, "If-None-Match")
        if wanted is None and self._require_if_match:
            raise PreconditionRequired("This gateway requires If-Match here.")
        if wanted is None and unwanted is None:
            return None
        record = self._unwritten(key, asked)
        tag = content_of(record).etag
        if wanted is not None and not headers.matches_strongly(wanted, tag) and _in_doubt(hold):
            raise _write_in_doubt(self._resource, key)
        if wanted is not None and not headers.matches_strongly(wanted, tag):
            raise PreconditionFailed("The record is not the one that If-Match names.", headers={"ETag": tag})
        if unwanted is not None and headers.matches_weakly(unwanted, tag):
            raise PreconditionFailed("The record is one that If-None-Match excludes.", headers={"ETag": tag})
        return record

    def _compare(self, before: Record | None, values: Mapping[str, Any], now: Content) -> None:
        """Raises `ChangedFromOutside` when fields that a conditional change did not touch are no longer the same."""
        if before is None:
            return
        places = changed_elsewhere(self._resource, before, values, msgspec.json.decode(now.body))
        if places:
            detail = "Somebody changed this field past the gateway at the same moment."
            errors = [FieldError("changed_from_outside", detail, pointer=_pointer(place)) for place in places]
            raise ChangedFromOutside(
                "The change was made, and somebody else changed the record past the gateway at the same moment.",
                errors=errors,
                headers={"ETag": now.etag},
            )

    def _unwritten(self, key: int, asked: Asked) -> Record:
        """The record before anything is changed. What fails here leaves it as it was."""
        try:
            return self._freshbooks.get(self._resource, key, asked.errand)
        except UpstreamError as error:
            error.written = Written.NOT_APPLIED
            raise

    def _created(self, key: int, asked: Asked, operation: Operation) -> Response:
        response = self._written(key, asked, operation.status, minimal_status=operation.status)
        response.headers["Location"] = f"{operation.path(self._resource)}/{key}"
        return response

    def _written(
        self,
        key: int,
        asked: Asked,
        status: int,
        minimal_status: int,
        compare: Callable[[Content], None] = lambda _: None,
    ) -> Response:
        """The answer to a write that is done. A read back that fails does not make it an error."""
        content = None if asked.preferences.minimal else self._read_back(key, asked.errand)
        if content is not None:
            compare(content)
        return self._shown(content, key, asked, status, minimal_status)

    def _shown(self, content: Content | None, key: int, asked: Asked, status: int, minimal_status: int) -> Response:
        applied = asked.preferences.applied()
        if asked.preferences.minimal and minimal_status == 204:
            response = Response(status=204)
        elif content is None:
            response = answers.json({"id": key}, status)
        else:
            response = answers.of_content(content, status)
        if applied:
            response.headers["Preference-Applied"] = applied
        return response

    def _read_back(self, key: int, errand: Errand) -> Content | None:
        """The record as the upstream has it now; the cache has it then, too."""

        def fetch(once: bool) -> Content:
            return content_of(self._freshbooks.get(self._resource, key, msgspec.structs.replace(errand, once=once)))

        try:
            return self._cache.read_back(self._resource.name, key, errand.token, fetch)
        except UpstreamError as error:
            self._log.warning("read_back_failed", request_id=current().request_id, outcome=error.outcome.value)
        except Exception as error:  # noqa: BLE001  the write is done and must be reported so, whatever broke after it
            defects.report(self._log, error)
        return None


def _is_conditional() -> bool:
    return "If-Match" in request.headers or "If-None-Match" in request.headers


def _in_doubt(hold: Reservation | None) -> bool:
    return hold is not None and hold.in_doubt


def _write_in_doubt(resource: Resource, key: int) -> WriteInDoubt:
    detail = "The change was sent and it cannot be told whether it was applied."
    return WriteInDoubt(detail, see=f"/{resource.plural}/{key}")


def _pointer(path: tuple[str | int, ...]) -> str:
    """RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
