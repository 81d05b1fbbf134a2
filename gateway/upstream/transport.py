"""Bytes to the upstream and back: one pool of connections per process behind the interface of requests.

requests brings the request, the response and the adapter's interface; the connections are ours, because a total
deadline and the difference between "never sent" and "maybe applied" are below what its own adapter shows. The adapter
is asked directly: what a `Session` would add to it, redirects, cookies, proxies and hooks, must not happen here, and
costs more than the rest of the call.
"""

from __future__ import annotations

import re
import threading
from binascii import b2a_base64
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from requests import PreparedRequest, Request, Response
from requests.adapters import BaseAdapter

from gateway.deadline import Deadline
from gateway.errors import AnswerLost, NotSent
from gateway.secret import Secret
from gateway.telemetry.tally import Tally
from gateway.upstream.connection import Connection, Origin, Resolver
from gateway.upstream.protocol import Answer
from gateway.upstream.tls import client_context

IDLE_FOR_READS_S = 60.0
IDLE_FOR_WRITES_S = 1.0
"""How long a connection may have been idle. A write lost on a connection that the upstream was just closing cannot be
repeated, so writes take only connections too young for that."""


_LINES = re.compile("(?:[\x20-\x7e]+\r\n)*")


class Repeat(Enum):
    """Whether a call may be sent again. `READ`: always. `IDEMPOTENT`: a write that a second time changes nothing more.
    `IF_UNSENT`: only when nothing can have reached the upstream. `NEVER`: not even then."""

    READ = "read"
    IDEMPOTENT = "idempotent"
    IF_UNSENT = "if_unsent"
    NEVER = "never"


class Call(msgspec.Struct, frozen=True):
    """One call as it goes over the wire. `token` is the FreshBooks API token; `headers` are passed on for tracing,
    `tally` counts what the caller's request cost."""

    method: str
    body: bytes
    token: Secret
    deadline: Deadline
    repeat: Repeat
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    tally: Tally = msgspec.field(default_factory=Tally)

    def __repr__(self) -> str:
        """Without the body, which may hold a password."""
        return f"Call({self.method!r}, {self.repeat})"


Transport = Callable[[Call], Answer]
"""Sends a call. Raises `NotSent`, `AnswerLost`, `DeadlinePassed` or `GarbledAnswer`."""


class HttpTransport:
    """The transport over HTTP or HTTPS.

    `answer_bytes_max` bounds an answer's body; `idle_connections_max` the connections kept; `ca_file` names the
    certificates to trust instead of certifi's. Redirects, proxies, `.netrc` and other settings of the environment are
    not followed.
    """

    def __init__(
        self, url: str, *, answer_bytes_max: int, idle_connections_max: int, ca_file: str | None = None
    ) -> None:
        headers = {
            "Content-Type": "application/xml; charset=utf-8",
            "Accept": "application/xml",
            "Accept-Encoding": "identity",
            "User-Agent": "freshbooks-gateway",
        }
        template = Request("POST", url, headers=headers).prepare()
        self._template = template
        self._adapter = PooledAdapter(template.url or "", answer_bytes_max, idle_connections_max, ca_file)
        standing = {"Host": self._adapter.host, **headers}
        self._head = f"POST {template.path_url} HTTP/1.1\r\n{_lines(standing)}Authorization: Basic ".encode("ascii")

    def __call__(self, call: Call) -> Answer:
        request = ReadyRequest(self._template, call.body, self._wire_format(call))
        return self._adapter.send(request, timeout=Limits(call.deadline, call.repeat is Repeat.READ)).answer

    def close(self) -> None:
        self._adapter.close()

    def _wire_format(self, call: Call) -> bytes:
        """Source: the token is the user name; the password is not looked at."""
        credentials = b2a_base64(f"{call.token.reveal()}:X".encode(), newline=False)
        own = _lines(call.headers).encode("ascii")
        return b"%b%b\r\n%bContent-Length: %d\r\n\r\n%b" % (self._head, credentials, own, len(call.body), call.body)


def _lines(headers: Mapping[str, str]) -> str:
    """The header lines. Raises `ValueError` for what is not one line each."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not _LINES.fullmatch(lines) or lines.count("\r\n") != len(headers):
        raise ValueError("A request header holds what a header cannot carry.")
    return lines


class ReadyRequest(PreparedRequest):
    """A request of which all is known, down to its bytes (`wire`): to prepare each anew would parse the address again.

    Its headers are those that all have; the rest stands in the bytes alone.
    """

    def __init__(self, template: PreparedRequest, body: bytes, wire: bytes) -> None:
        self.method = template.method
        self.url = template.url
        self.headers = template.headers
        self.body = body
        self.wire = wire


class Limits(msgspec.Struct, frozen=True):
    """What a session hands to the adapter as its timeout: an instant instead of a duration per receive."""

    deadline: Deadline
    repeatable: bool


class AnsweredResponse(Response):
    """A response whose answer is here whole. `requests` would make ready for cookies, redirects and streaming."""

    def __init__(self, request: PreparedRequest, answer: Answer) -> None:
        self.answer = answer
        self.request = request
        self.url = request.url or ""
        self.status_code = answer.status
        self.headers = answer.headers  # type: ignore[assignment]  # their names are in lower case
        self._content = answer.body
        self._content_consumed = True
        self.history = []


class PooledAdapter(BaseAdapter):
    """requests' adapter over connections of our own, all to one origin."""

    def __init__(self, url: str, answer_bytes_max: int, idle_connections_max: int, ca_file: str | None) -> None:
        super().__init__()
        parts = urlsplit(url)
        tls = client_context(ca_file) if parts.scheme == "https" else None
        self._origin = Origin(parts.hostname or "", parts.port or (443 if tls else 80), tls)
        self.host = parts.netloc
        self._answer_bytes_max = answer_bytes_max
        self._idle: deque[Connection] = deque()
        self._lock = threading.Lock()
        self._idle_connections_max = idle_connections_max
        self._resolver = Resolver()

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> AnsweredResponse:
        """One exchange of a `ReadyRequest` within `timeout`, which must be `Limits`. Raises as `Transport` says."""
        return AnsweredResponse(request, self._exchange(cast(ReadyRequest, request).wire, timeout))

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
        self._resolver.close()

    def _exchange(self, raw: bytes, limits: Limits) -> Answer:
        """On an idle connection or a new one.

        Observed: the service closes idle connections without notice. A request that met such a connection goes out
        again on a new one if that does no harm: it is repeatable, or cannot have left whole.
        """
        connection = self._take(IDLE_FOR_READS_S if limits.repeatable else IDLE_FOR_WRITES_S)
        if connection is not None:
            try:
                return self._use(connection, raw, limits.deadline)
            except NotSent:
                pass
            except AnswerLost:
                if not (connection.silent and limits.repeatable):
                    raise
        return self._use(Connection.open(self._origin, self._resolver, limits.deadline), raw, limits.deadline)

    def _use(self, connection: Connection, raw: bytes, deadline: Deadline) -> Answer:
        try:
            answer = connection.exchange(raw, deadline, self._answer_bytes_max)
        except BaseException:
            connection.close()
            raise
        if connection.reusable:
            self._keep(connection)
        else:
            connection.close()
        return answer

    def _keep(self, connection: Connection) -> None:
        """Of more than may be kept, and of those too old for anything, the ones used longest ago are closed."""
        with self._lock:
            self._idle.append(connection)
            while self._idle and (
                len(self._idle) > self._idle_connections_max or self._idle[0].idle_s() > IDLE_FOR_READS_S
            ):
                self._idle.popleft().close()

    def _take(self, idle_s_max: float) -> Connection | None:
        """The connection used last that is open, unless it is too old; one too old for a write stays for reads."""
        with self._lock:
            while self._idle and self._idle[-1].idle_s() < idle_s_max:
                connection = self._idle.pop()
                if connection.looks_alive():
                    return connection
                connection.close()
        return None
