"""How a caller reaches a gateway."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

_ANSWER_S = 30.0


class NoAnswerError(Exception):
    """The connection broke before there was a whole answer: what was asked may have been done."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A gateway's answer. `body` is None when it is empty; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Door(Protocol):
    """A caller's own way in, for one thread at a time."""

    def ask(self, http_method: str, path: str, headers: Mapping[str, str], body: Any = None) -> Reply:
        """One request, sent once; a body goes as JSON. Raises `NoAnswerError`."""

    def close(self) -> None: ...


class HttpDoor:
    """A connection, made anew after it broke; not `kept`: for every request."""

    def __init__(self, host: str, port: int, *, kept: bool = True) -> None:
        self._kept = kept
        self._connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_S)

    def ask(self, http_method: str, path: str, headers: Mapping[str, str], body: Any = None) -> Reply:
        data = None if body is None else json.dumps(body).encode()
        content_type = {} if data is None else {"Content-Type": "application/json"}
        try:
            self._connection.request(http_method, path, data, {**headers, **content_type})
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise NoAnswerError(type(error).__name__) from error
        if not self._kept:
            self._connection.close()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.loads(text) if text else None)

    def close(self) -> None:
        self._connection.close()
