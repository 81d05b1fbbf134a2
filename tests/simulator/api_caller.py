"""Calls the simulated API the plainest way, and reads its answers by local name."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

SAFETY_S = 30.0


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def root(self) -> ElementTree.Element:
        root = ElementTree.fromstring(self.body)
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root

    @property
    def fault(self) -> tuple[str | None, str | None]:
        """Code and text of a fault; fails when it is none."""
        assert self.root.get("status") == "fail", self.body
        return self.root.findtext("code"), self.root.findtext("error")

    def ok(self) -> ElementTree.Element:
        assert (self.status, self.root.get("status")) == (200, "ok"), self.body
        return self.root

    def texts(self) -> dict[str, str]:
        """The leaves of the one client in the answer."""
        client = self.ok().find(".//client")
        assert client is not None
        return {child.tag: child.text or "" for child in client if not len(child)}

    def ids(self) -> list[int]:
        return [int(found.text or "") for found in self.ok().findall("./*/client/client_id")]

    def counts(self) -> dict[str, str]:
        return dict(self.ok()[0].attrib)


class ApiCaller:
    """One kept connection, one token. `token` None: no credentials."""

    def __init__(self, url: str, token: str | None = "demo-admin", context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        address: tuple[Any, Any] = (parts.hostname, parts.port)
        self.connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(*address, context=context, timeout=SAFETY_S)
            if parts.scheme == "https"
            else http.client.HTTPConnection(*address, timeout=SAFETY_S)
        )
        self.path = parts.path
        self.headers = {} if token is None else {"Authorization": basic(token)}

    def __enter__(self) -> ApiCaller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def send(self, body: bytes | str, **headers: str) -> Reply:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body.encode() if isinstance(body, str) else body
        self.connection.request("POST", self.path, data, {**self.headers, **given})
        answer = self.connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def get(self, client_id: object) -> Reply:
        return self.send(request("client.get", f"<client_id>{client_id}</client_id>"))

    def delete(self, client_id: object) -> Reply:
        return self.send(request("client.delete", f"<client_id>{client_id}</client_id>"))

    def list(self, **filters: object) -> Reply:
        return self.send(request("client.list", elements(filters)))

    def create(self, inner: str = "", **texts: str) -> Reply:
        return self.send(request("client.create", f"<client>{elements(texts)}{inner}</client>"))

    def created(self, **texts: str) -> str:
        """The id of a new client."""
        return self.create(**{"email": "new@example.com", **texts}).ok().findtext("client_id") or ""

    def update(self, client_id: object, inner: str = "", **texts: str) -> Reply:
        return self.send(
            request("client.update", f"<client>{elements({'client_id': client_id, **texts})}{inner}</client>")
        )


def request(method: str, inner: str = "") -> str:
    return f'<?xml version="1.0" encoding="utf-8"?><request method="{method}">{inner}</request>'


def elements(texts: dict[str, Any]) -> str:
    return "".join(f"<{name}>{escape(str(text), {chr(13): '&#13;'})}</{name}>" for name, text in texts.items())


def basic(token: str, password: str = "X") -> str:
    return "Basic " + base64.b64encode(f"{token}:{password}".encode()).decode()


def raw_call(url: str, body: str, token: str = "demo-admin") -> bytes:
    """A whole HTTP request as bytes."""
    parts = urlsplit(url)
    data = body.encode()
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: {basic(token)}\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


def dial(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=SAFETY_S)


def read_all(sock: socket.socket) -> tuple[bytes, bool]:
    """What arrives until the end, and whether that was a reset."""
    received = b""
    try:
        while data := sock.recv(65536):
            received += data
    except ConnectionResetError:
        return received, True
    return received, False
