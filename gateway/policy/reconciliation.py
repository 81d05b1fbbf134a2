"""Which of the upstream's records is the one that a create of unknown outcome made, if it made one."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from gateway.upstream.freshbooks import Errand, FreshBooks, Record
from schemas.resource import Resource

LOOKED_AT_MAX = 100
_LOOK_BACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Before:
    """The records that were there before a create: their ids, and the smallest of them if there were more than were
    looked at (0: these are all)."""

    ids: frozenset[int] = frozenset()
    oldest: int = 0

    def had(self, key: int) -> bool:
        return key in self.ids or key < self.oldest


@dataclass(frozen=True, slots=True)
class Findings:
    """`matching` have every submitted field; `alike` are others that came up since, found by the same query."""

    matching: tuple[int, ...]
    alike: tuple[int, ...]


def can_find(resource: Resource, values: Mapping[str, Any]) -> bool:
    """Whether a record with these values can be looked for at all."""
    return resource.found_by is not None and bool(values.get(resource.found_by))


def look_before(freshbooks: FreshBooks, resource: Resource, values: Mapping[str, Any], errand: Errand) -> Before:
    """What is there already that a create of these values could later be mistaken for."""
    if not can_find(resource, values):
        return Before()
    page = freshbooks.list(resource, _query(resource, values), errand)
    ids = frozenset(record["id"] for record in page.items)
    return Before(ids, min(ids, default=0) if page.total > len(ids) else 0)


def find(
    freshbooks: FreshBooks,
    resource: Resource,
    values: Mapping[str, Any],
    errand: Errand,
    before: Before,
    sent_s: float,
) -> Findings:
    """Looks for the record that a create, sent at `sent_s` (seconds since the epoch), may have made.

    The query looks back a whole day: the upstream's clock need not be ours.
    """
    query = _query(resource, values)
    if "updated_from" in resource.filter_schema.load_fields:
        query["updated_from"] = datetime.fromtimestamp(sent_s, UTC) - _LOOK_BACK
    found = [one for one in freshbooks.list(resource, query, errand).items if not before.had(one["id"])]
    matching = tuple(one["id"] for one in found if matches(resource, values, one))
    return Findings(matching, tuple(one["id"] for one in found if one["id"] not in matching))


def made_since(freshbooks: FreshBooks, resource: Resource, key: int, errand: Errand, sent_s: float) -> bool:
    """Whether a record was last changed in the second of `sent_s` or later, if the upstream's clock is not ahead."""
    updated_at = freshbooks.get(resource, key, errand).get("updated_at")
    return updated_at is not None and datetime.fromisoformat(updated_at).timestamp() >= int(sent_s)


def matches(resource: Resource, values: Mapping[str, Any], record: Record) -> bool:
    """Whether a record has every submitted field. What never comes back cannot be compared."""
    shown = {name: value for name, value in values.items() if name not in resource.secret_fields}
    return all(_same(value, record.get(name)) for name, value in shown.items())


def question(resource: Resource, values: Mapping[str, Any]) -> str | None:
    """The path and query that would tell a person whether the record exists; None when there is no such query."""
    if not can_find(resource, values):
        return None
    return f"/{resource.plural}?{urlencode({str(resource.found_by): values[str(resource.found_by)]})}"


def _query(resource: Resource, values: Mapping[str, Any]) -> dict[str, Any]:
    name = str(resource.found_by)
    return {name: values[name], "page": 1, "per_page": LOOKED_AT_MAX}


def _same(submitted: Any, stored: Any) -> bool:
    """What was not submitted is the upstream's to fill in. Lists are compared without regard to order."""
    if submitted is None or submitted == []:
        return True
    if isinstance(submitted, Mapping):
        return isinstance(stored, Mapping) and all(_same(part, stored.get(name)) for name, part in submitted.items())
    if isinstance(submitted, Sequence) and not isinstance(submitted, str):
        return isinstance(stored, list) and len(stored) == len(submitted) and _pair_up(submitted, stored)
    return _plain(submitted) == _plain(stored)


def _pair_up(submitted: Sequence[Any], stored: Sequence[Any]) -> bool:
    left = list(stored)
    for one in submitted:
        partner = next((other for other in left if _same(one, other)), None)
        if partner is None:
            return False
        left.remove(partner)
    return True


def _plain(value: Any) -> str:
    """Text without what a service may change in passing: blanks around it, line ends, the form of its accents."""
    return unicodedata.normalize("NFC", "\n".join(str(value).splitlines())).strip()
