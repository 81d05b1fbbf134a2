"""Requests of every kind, plain and odd, drawn from a seed."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from typing import NamedTuple

_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_TARGETS = (
    "/clients/13", "/clients/14", "/clients/9", "/clients/1", "/clients/21", "/clients/60", "/clients/4711",
    "/clients", "/clients?per_page=3", "/clients?page=2&per_page=5", "/clients?per_page=100", "/clients?folder=deleted",
    "/clients?email=janedoe%40freshbooks.com", "/clients?email=janedoe@freshbooks.com", "/clients?notes=a+b",
    "/clients?notes=caf%C3%A9", "/clients?notes=%FF", "/clients?notes=%", "/clients?notes=%00", "/clients?username=",
    "/clients?updated_from=2009-01-01", "/clients?updated_from=2009-01-01T00:00:00%2B01:00",
    "/clients?page=0", "/clients?page=1&page=1", "/clients?per_page=101", "/clients?bogus=1", "/clients?page",
    "/clients?", "/clients?&", "/clients?&page=1", "/clients?page=1&", "/clients?page=1;per_page=2", "/clients?page=01",
    "/clients?notes=a?b", "/clients?notes=a/b", "/clients?notes=a#b", "/clients?notes=a%23b", "/clients?notes=a=b",
    '/clients?notes="', "/clients?notes=<>", "/clients?notes=\\", "/clients?notes={|}^`", "/clients?page=1%26page=2",
    "/clients/0", "/clients/013", "/clients/13/", "/clients//13", "//clients/13", "//clients", "/clients/13?x=1",
    "/clients/13?", "/clients/13#f", "/clients/13;v=1", "/clients/%31%33", "/client%73/13", "/clients/1%33",
    "/clients/./13", "/clients/../clients/13", "/clients/13%0d%0aX:y", "/clients/999999999999999999",
    "/clients/9999999999999999999", "/Clients/13", "/clients/1e1", "/clients/-13", "/clients/+13", "/clients/13%20",
    "http://localhost/clients/13", "http://evil.example/clients/13", "https://localhost:1/clients?per_page=2",
    "http:///clients/13", "localhost:80", "*", "", "/", "?", "#", "/livez", "/nothing", "/problems/not-found",
    "clients/13",
    "/clients?notes=" + "x" * 300, "/clients?notes=" + "x" * 3600, "/clients?notes=" + "x" * 4200,
)  # fmt: skip
_HOSTS = (
    "localhost", "127.0.0.1", "localhost:8080", "[::1]", "[::1]:80", "LOCALHOST", "127.0.0.1:1", "evil.example",
    "local host", "localhost:99999", "localhost:", ":80", "localhost/", "user@localhost", "a..b", "_", "localhost,evil",
    "xn--a", "127.1", "localhost.", "%6c", "[", "",
)  # fmt: skip
_EXTRAS: tuple[tuple[str, Sequence[str]], ...] = (
    ("Accept", ("*/*", "application/json", "text/html", "application/*;q=0", "text/html, application/json;q=0.1", "a")),
    ("Accept", ("application/json;charset=utf-8", "*/*;q=0.0", ",", "application/json;q=x", "text/html,*/*;q=0.8")),
    (
        "If-None-Match",
        ("*", "*", "*", "*", '"x"', 'W/"x"', '"x", "y"', "x", '"', '"a" "b"', "*, *", '"a",,"b"', "W/*", '""'),
    ),
    ("X-Request-Id", ("abc-1", "a b", "x" * 128, "x" * 129, "ünsafe", "a,b", "-", "last")),
    ("traceparent", (_TRACE, _TRACE + "-x", "01" + _TRACE[2:], "ff" + _TRACE[2:], "x", _TRACE.upper(), "00-0-0-00")),
    ("tracestate", ("a=b", "a=b,c=d", "x" * 600, "=")),
    ("User-Agent", ("curl/8.0", "a" * 200, "(")),
    ("Accept-Encoding", ("gzip, br", "identity;q=0")),
    ("Accept-Language", ("en",)),
    ("Cookie", ("a=b",)),
    ("Connection", ("keep-alive", "Keep-Alive", "close", "keep-alive, x", "upgrade", "x")),
    ("Cache-Control", ("no-cache", "no-store", "max-age=0", "only-if-cached", "x")),
    ("Pragma", ("no-cache",)),
    ("Prefer", ("return=minimal", "wait=5", "wait=x")),
    ("Range", ("bytes=0-1",)),
    ("Origin", ("https://app.example", "https://evil.example", "null")),
    ("Referer", ("http://localhost/",)),
    ("If-Match", ('"x"', "*")),
    ("If-Modified-Since", ("Sat, 01 Jan 2022 00:00:00 GMT",)),
    ("Idempotency-Key", ("abc", "a b")),
    ("X-Forwarded-For", ("1.2.3.4",)),
    ("X-Forwarded-Host", ("evil.example",)),
    ("X-Forwarded-Proto", ("https", "http")),
    ("X-Forwarded-Ssl", ("on",)),
    ("X-Real-Ip", ("1.2.3.4",)),
    ("Forwarded", ("for=1.2.3.4;host=evil.example",)),
    ("X-Http-Method-Override", ("DELETE",)),
    ("X_Request_Id", ("evil",)),
    ("Content-Type", ("application/json", "text/plain")),
    ("Content-Length", ("0",)),
    ("Te", ("trailers",)),
    ("Upgrade", ("websocket", "h2c")),
    ("Max-Forwards", ("0",)),
    ("Via", ("1.1 proxy",)),
    ("Priority", ("u=1",)),
    ("Dnt", ("1",)),
    ("Sec-Fetch-Site", ("cross-site",)),
    ("X-Unknown", ("y", "", "\tz", "é")),
    ("Script_Name", ("/x",)),
)
_VERSIONS = ("HTTP/1.1",) * 30 + ("HTTP/1.0",) * 3 + ("HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 ", "http/1.1", "")
_METHODS = ("GET",) * 40 + ("HEAD",) * 4 + ("OPTIONS", "DELETE", "TRACE", "FOO", "get", "GE T", "POST", "PUT", "QUERY")
_ODD_FORMS = ("{n}:{v}", "{n}:  {v}", "{n}:\t{v}", "{n}: {v} ", "{n} : {v}", " {n}: {v}", "{n}: {v}\x01")
_FRAMINGS = (
    (b"Content-Length: 2\r\n", b"{}"), (b"Content-Length: 50\r\n", b"{}"), (b"Content-Length: 02\r\n", b"{}"),
    (b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}"), (b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{}"),
    (b"Content-Length: 2, 2\r\n", b"{}"), (b"Content-Length: +2\r\n", b"{}"), (b"Content-Length: -2\r\n", b"{}"),
    (b"Content-Length: 0x2\r\n", b"{}"), (b"Content-Length: \r\n", b""), (b"Content-Length:2 \r\n", b"{}"),
    (b"Content-Length: 99999999999999999999\r\n", b"{}"), (b"Content_Length: 2\r\n", b"{}"),
    (b"Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"), (b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    (b"Transfer-Encoding: Chunked\r\n", b"2;x=y\r\n{}\r\n0\r\nX: y\r\n\r\n"),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    (b"Content-Length: 15\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    (b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"), (b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    (b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"), (b"Transfer-Encoding: identity\r\n", b""),
    (b"Transfer-Encoding: x\r\n", b"0\r\n\r\n"), (b"Transfer-Encoding:\x0bchunked\r\n", b"0\r\n\r\n"),
    (b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), (b"Transfer_Encoding: chunked\r\n", b"0\r\n\r\n"),
    (b"Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"), (b"Transfer-Encoding: chunked\r\n", b"2\n{}\n0\n\n"),
    (b"Transfer-Encoding: chunked\r\n", b"-1\r\n\r\n"), (b"Transfer-Encoding: chunked\r\n", b"2\r\n{}0\r\n\r\n"),
    (b"Expect: 100-continue\r\nContent-Length: 2\r\n", b"{}"), (b"Expect: 100-Continue\r\n", b""),
    (b"Expect: x\r\nContent-Length: 2\r\n", b"{}"), (b"X: y\r\n z\r\n", b""), (b"X: y\n", b""), (b"\r\n", b""),
    (b"X\r\n", b""), (b": x\r\n", b""), (b"X: a\x00b\r\n", b""), (b"X: a\rb\r\n", b""), (b"X: \x7f\r\n", b""),
    (b"Host: localhost\r\n", b""), (b"Connection: close\r\n", b"GET /clients/13 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    (b"Dnt: 1\r\n" * 101, b""), (b"Dnt: 1\r\n" * 60, b""), (b"Cookie: %s\r\n" % (b"x" * 5000), b""),
    (b"Cookie: %s\r\n" % (b"x" * 9000), b""), (b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n", b""),
)  # fmt: skip


class Request(NamedTuple):
    """`method` is how the answer is framed. `at_once`: where the request ends is doubtful, so nobody waits for its
    answer before going on."""

    data: bytes
    method: str
    at_once: bool


def credentials(mode: str) -> Sequence[str]:
    """What a caller may show in a mode of authentication, right and wrong."""
    users = ("demo-admin:X", "demo-staff:", "wrong:X", ":")
    basic = [f"Basic {base64.b64encode(user.encode()).decode()}" for user in users]
    wrong = ("Bearer wrong", "bearer", "Basic ====", "Digest x", "x")
    right = {"keys": ("Bearer key-one", "bearer key-two", "Bearer  key-one"), "passthrough": tuple(basic), "open": ()}
    return (*right[mode] * 6, *wrong, basic[0])


def requests(mode: str, seed: int, total: int) -> list[Request]:
    """Requests of callers in this mode of authentication."""
    draw = random.Random(seed)
    return [_request(draw, credentials(mode)) for _ in range(total)]


def _request(draw: random.Random, shown: Sequence[str]) -> Request:
    method, version = draw.choice(_METHODS), draw.choice(_VERSIONS)
    target = draw.choice(_TARGETS[:12] if draw.random() < 0.4 else _TARGETS)
    if method == "DELETE":  # both gateways ask the same upstream: nothing may change there
        target = "/clients/4711"
    fields = [("Host", "localhost" if draw.random() < 0.8 else draw.choice(_HOSTS))] if draw.random() < 0.97 else []
    if draw.random() < 0.9:
        fields.append(("Authorization", draw.choice(shown)))
    for _ in range(draw.choice((0, 0, 1, 1, 2, 3, 5))):
        name, values = draw.choice(_EXTRAS[:6] if draw.random() < 0.5 else _EXTRAS)
        fields.append((name, draw.choice(values)))
    if draw.random() < 0.05:
        fields.append(draw.choice(fields or [("Host", "localhost")]))
    odd = 0.3 if draw.random() < 0.25 else 0.0
    lines = [f"{method} {target} {version}", *(_line(draw, odd, *field) for field in fields)]
    framing, body = draw.choice(_FRAMINGS) if draw.random() < 0.15 else (b"", b"")
    data = "".join(f"{line}\r\n" for line in lines).encode("latin-1") + framing + b"\r\n" + body
    return Request(data, method, at_once=bool(framing) or draw.random() < 0.1)


def _line(draw: random.Random, odd: float, name: str, value: str) -> str:
    """`odd`: how often it is written in a way that few would."""
    spelled = draw.choice((name,) * 8 + (name.lower(), name.upper()))
    form = draw.choice(_ODD_FORMS) if draw.random() < odd else "{n}: {v}"
    return form.format(n=spelled, v=value)
