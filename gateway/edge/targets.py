"""Which operation a plain target means, and what it seeks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.errors import InvalidQuery
from gateway.rest.operations import OPERATIONS, Operation
from gateway.rest.reading import Reading, Sought
from gateway.secret import Secret

_TARGET = re.compile(rb"(/[a-z_]+)(?:/([1-9][0-9]{0,17}))?(?:\?([!-\"$-~]*))?")
_BY_NAME = {operation.name: operation for operation in OPERATIONS}


@dataclass(frozen=True, slots=True)
class Target:
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
        _, key, query = parts.groups()
        if key is not None:
            sought = None if query else reading.record(int(key), token)
            return _target(reading, _BY_NAME["get"], sought, target.partition(b"?")[0])
        try:
            sought = reading.page(query or b"", token)
        except InvalidQuery:
            return None
        return _target(reading, _BY_NAME["list"], sought, parts[1])


def _target(reading: Reading, operation: Operation, sought: Sought | None, path: bytes) -> Target | None:
    if sought is None:
        return None
    resource = reading.resource
    return Target(reading, sought, path.decode("ascii"), operation.label(resource), operation.path(resource))
