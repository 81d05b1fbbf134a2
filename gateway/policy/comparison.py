"""Whether a record changed where a write did not touch it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.upstream.freshbooks import Record
from schemas.resource import Resource
from schemas.types import Group


def changed_elsewhere(
    resource: Resource, before: Record, values: Mapping[str, Any], now: Record
) -> list[tuple[str, ...]]:
    """The writable fields that differ between two readings though the values written between them do not name them."""
    return [place for place in _untouched(resource, values) if _at(before, place) != _at(now, place)]


def _untouched(resource: Resource, values: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Every writable field that comes back and is not among the values, members of groups one by one."""
    for name, field in resource.schema.load_fields.items():
        if field.load_only:
            continue
        if isinstance(field, Group):
            written = values.get(name, {})
            members = field.schema.load_fields if written is not None else ()
            yield from ((name, member) for member in members if member not in written)
        elif name not in values:
            yield (name,)


def _at(record: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        record = record[name]
    return record
