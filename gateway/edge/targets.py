"""Which operation a plain target means, and what it seeks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from gateway.errors import InvalidQuery
from gateway.rest.operations import OPERATIONS, Operation
from gateway.rest.reading import Reading, Sought
from gateway.secret import Secret

_TARGET = re.compile(rb"(/[a-z_]+)(?:/([1-9][0-9]{0,17}))?(?:\?([!-\"$-~]*))?")
_BY_NAME = {operation.name: operation for operation in OPERATIONS}


class Target(msgspec.Struct, frozen=True):
    """A target understood. `label` and `route` are the operation's in logs and metrics."""

    reading: Reading
    sought: Sought
    path: str
    label: str
    route: str


class Targets:
    """The targets of the operations that read."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings: Mapping[bytes, Reading] = {f"/{one.resource.plural}".encode(): one for one in readings}

    def find(self, target: bytes, token: Secret) -> Target | None:
        """What a target means for these credentials; None where the application must say so itself."""
        parts = _TARGET.fullmatch(target)
        reading = None if parts is None else self._readings.get(parts[1])
        if parts is None or reading is None:
            return None
        plural, key, query = parts.groups()
        if key is None:
            return _page(reading, plural, query or b"", token)
        if query is not None:
            return None
        return _target(reading, "get", reading.record(int(key), token), target)


def _page(reading: Reading, path: bytes, query: bytes, token: Secret) -> Target | None:
    try:
        return _target(reading, "list", reading.page(query, token), path)
    except InvalidQuery:
        return None


def _target(reading: Reading, name: str, sought: Sought, path: bytes) -> Target:
    operation: Operation = _BY_NAME[name]
    resource = reading.resource
    return Target(reading, sought, path.decode("ascii"), operation.label(resource), operation.path(resource))
