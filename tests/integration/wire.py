"""Raw HTTP/1.1 over a socket, for what a client library would not send."""

from __future__ import annotations

import http.client
import io
import json
import socket
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from tests.support.document import check_response
from tests.support.server import GatewayProcess

SAFETY_S = 30.0


@dataclass(frozen=True)
class Answer:
    """One answer as it came over the wire; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """One connection to the gateway."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._socket = socket.create_connection((gateway.host, gateway.port), timeout=SAFETY_S)
        self._reader = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def end(self) -> None:
        """Says that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self, method: str = "GET") -> Answer:
        """The next answer; 1xx ones are passed over. Raises `http.client.HTTPException` when there is none."""
        response = http.client.HTTPResponse(_Kept(self._reader), method=method)  # type: ignore[arg-type]
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())

    def rest(self) -> bytes:
        """All that comes until the gateway closes the connection; waits for that."""
        try:
            return self._reader.read()
        except ConnectionResetError:
            return b""

    def is_closed(self) -> bool:
        """Whether the gateway closes the connection without another word; waits for it."""
        return self.rest() == b""

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        self._socket.close()


class _Kept:
    """The one reader of a connection, as http.client wants a socket: what it holds already is the next answer's."""

    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader

    def makefile(self, mode: str) -> Any:
        return _Unclosed(self._reader)


class _Unclosed:
    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def close(self) -> None:
        """http.client closes after each answer; the connection goes on."""


def head(line: str, **headers: object) -> bytes:
    """A request line and its headers; underscores in names stand for hyphens."""
    fields = {"Host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in fields.items()), "", ""]).encode("latin-1")


def ask(gateway: GatewayProcess, method: str, path: str, body: bytes = b"", **headers: object) -> Answer:
    """One request on a connection of its own; its answer is checked against the document."""
    if body or method in ("POST", "PUT", "PATCH"):
        headers = {"Content_Type": "application/json", "Content_Length": len(body), **headers}
    with Line(gateway) as line:
        line.send(head(f"{method} {path} HTTP/1.1", Connection="close", **headers) + body)
        answer = line.answer(method)
    check_response(method, path.partition("?")[0], answer.status, answer.headers, answer.body)
    return answer
