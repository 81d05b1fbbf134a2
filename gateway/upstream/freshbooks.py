"""Create, get, list, update and delete: where the protocol meets the transport."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gateway.deadline import Deadline
from gateway.errors import ActionRefused, FieldError, FieldsRejected, GarbledAnswer, RecordNotFound, UpstreamError
from gateway.secret import Secret
from gateway.telemetry import Drift
from gateway.telemetry.tally import Tally
from gateway.upstream.codec import Codec, escape
from gateway.upstream.decoding import Node, local_name
from gateway.upstream.protocol import envelope
from gateway.upstream.remote import Remote
from gateway.upstream.transport import Call, Repeat
from schemas.resource import Resource
from schemas.types import Identifier

Record = dict[str, Any]

_KEY = Identifier()


class Errand(msgspec.Struct, frozen=True):
    """On whose behalf calls are made: with which token, until when, and which headers and trace go with them.

    `once`: no call is to be sent again, whatever comes of it. `tally` counts the calls.
    """

    token: Secret
    deadline: Deadline
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    once: bool = False
    tally: Tally = msgspec.field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list: its records, and how many pages and records the filters match in all."""

    items: list[Record]
    pages: int
    total: int


def codecs_of(resources: Sequence[Resource], zone: ZoneInfo, drift: Drift) -> dict[str, Codec]:
    """The codecs of resources, by their names. `drift` is told what records have and lack."""
    return {one.name: Codec(one, zone, drift.reporter(one.name), drift.missing_reporter(one.name)) for one in resources}


class FreshBooks:
    """The upstream's operations on records. `codecs` are those of the resources, by their names.

    Every method raises an `UpstreamError` when the call does not succeed.
    """

    def __init__(self, remote: Remote, codecs: Mapping[str, Codec], zone: ZoneInfo) -> None:
        self._remote = remote
        self._codecs = codecs
        self._zone = zone

    def create(self, resource: Resource, values: Mapping[str, Any], errand: Errand) -> int:
        """Creates a record from loaded values and returns its id."""
        fields = self._codecs[resource.name].encode(values, clear=False)
        content = f"<{resource.name}>{fields}</{resource.name}>"
        answer = self._write(resource, "create", content, values, errand, Repeat.IF_UNSENT)
        for child in answer:
            if local_name(child.tag) == resource.key_element and (key := self._read_key(child)):
                return key
        raise GarbledAnswer(f"The upstream answered {resource.method('create')} without an id.")

    def get(self, resource: Resource, key: int, errand: Errand) -> Record:
        """The record as the upstream has it now."""
        answer = self._call(resource.method("get"), _key_element(resource, key), errand, Repeat.READ)
        for child in answer:
            if local_name(child.tag) == resource.name:
                return self._decode(resource, child)
        raise GarbledAnswer(f"The upstream answered {resource.method('get')} without a {resource.name}.")

    def update(
        self, resource: Resource, key: int, values: Mapping[str, Any], errand: Errand, *, alone: bool = False
    ) -> None:
        """Changes the named fields; a field that is None is cleared.

        `alone` says that no other change of the record can come between two attempts.
        """
        fields = self._codecs[resource.name].encode(values, clear=True)
        content = f"<{resource.name}>{_key_element(resource, key)}{fields}</{resource.name}>"
        repeat = Repeat.IDEMPOTENT if alone and resource.is_plain(values) else Repeat.IF_UNSENT
        self._write(resource, "update", content, values, errand, repeat)

    def delete(self, resource: Resource, key: int, errand: Errand) -> None:
        """Moves the record to the deleted ones. Observed: afterwards a get says that it is deleted."""
        try:
            self._write(resource, "delete", _key_element(resource, key), {}, errand, Repeat.IDEMPOTENT)
        except RecordNotFound as error:
            if not error.in_doubt:
                raise

    def list(self, resource: Resource, filters: Mapping[str, Any], errand: Errand) -> Page:
        """One page of the records that match.

        What the upstream does with a page past the end is unknown, so an empty page, the last page again and a fault
        that names the page are all read as an empty page.
        """
        try:
            answer = self._call(resource.method("list"), self._filters(resource, filters), errand, Repeat.READ)
        except FieldsRejected as error:
            if filters["page"] == 1 or error.fault is None or "page" not in error.fault.message.lower():
                raise
            return replace(self.list(resource, {**filters, "page": 1}, errand), items=[])
        return self._page(resource, answer, filters)

    def _filters(self, resource: Resource, filters: Mapping[str, Any]) -> str:
        fields = resource.filter_schema.load_fields
        texts = ((name, field.to_text(filters[name], self._zone)) for name, field in fields.items() if name in filters)  # type: ignore[attr-defined]
        return "".join(f"<{name}>{escape(text)}</{name}>" for name, text in texts)

    def _page(self, resource: Resource, answer: Node, filters: Mapping[str, Any]) -> Page:
        """Source: the vendor's sample of an empty list has `<invoices>` in the place of `<clients>`."""
        lists = (
            child for child in answer if local_name(child.tag) == resource.plural or child.get("total") is not None
        )
        if (container := next(lists, None)) is None:
            raise GarbledAnswer(f"The upstream answered {resource.method('list')} without a list.")
        rows = [row for row in container if local_name(row.tag) == resource.name]
        if _is_past_the_end(container, filters["page"]):
            rows = []
        total = _whole(container, "total", len(rows))
        pages = _whole(container, "pages", math.ceil(total / filters["per_page"]))
        return Page([self._decode(resource, row) for row in rows], pages, total)

    def _decode(self, resource: Resource, element: Node) -> Record:
        record = self._codecs[resource.name].decode(element)
        if record["id"] is None:
            raise GarbledAnswer(f"The upstream answered with a {resource.name} that has no id.")
        return record

    def _read_key(self, element: Node) -> int | None:
        return _KEY.from_text(element.text or "", self._zone)

    def _write(
        self,
        resource: Resource,
        verb: str,
        content: str,
        values: Mapping[str, Any],
        errand: Errand,
        repeat: Repeat,
    ) -> Node:
        try:
            return self._call(resource.method(verb), content, errand, repeat)
        except UpstreamError as error:
            for name in resource.secret_fields & values.keys():
                error.blot_out(values[name])
            if isinstance(error, RecordNotFound) and (places := _places(resource, error)):
                raise _part_not_found(error, places) from error
            if isinstance(error, FieldsRejected):
                error.errors = _places(resource, error)
            raise

    def _call(self, method: str, content: str, errand: Errand, repeat: Repeat) -> Node:
        body = envelope(method, content)
        repeat = Repeat.NEVER if errand.once else repeat
        return self._remote(Call(method, body, errand.token, errand.deadline, repeat, errand.headers, errand.tally))


def _is_past_the_end(container: Node, page: int) -> bool:
    """Whether the rows are those of an earlier page, by the page that the answer names or the last one there is."""
    return page > 1 and (0 < _whole(container, "page", page) < page or _whole(container, "pages", page) < page)


def _key_element(resource: Resource, key: int) -> str:
    return f"<{resource.key_element}>{key}</{resource.key_element}>"


def _part_not_found(error: RecordNotFound, places: Sequence[FieldError]) -> ActionRefused:
    """The record is there, but something that the body names is not: `'contact_id' not found.`"""
    return ActionRefused("The upstream refused the action.", fault=error.fault, errors=places)


def _places(resource: Resource, error: UpstreamError) -> tuple[FieldError, ...]:
    """Which field a fault is about: its own `<field>`, or the name in its text. Observed: `'type'`, `node: NAME.`"""
    message = error.fault.message if error.fault else ""
    named = [error.fault.field or "" if error.fault else "", *re.findall(r"'(\w+)'|node: (\w+)", message)]
    elements = [name if isinstance(name, str) else name[0] or name[1] for name in named]
    pointers = [resource.pointers[element] for element in elements if element in resource.pointers]
    return tuple(FieldError("refused_by_upstream", message, pointer=pointer) for pointer in pointers[:1])


def _whole(element: Node, attribute: str, otherwise: int) -> int:
    text = (element.get(attribute) or "").strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else otherwise
