"""Requests: the very bytes that leave, and that nothing of the environment or of callers changes them."""

from __future__ import annotations

import base64
import re
import socket
from pathlib import Path

import pytest

from tests.support.misbehaving import Misbehaving, answering_always, http
from tests.support.wire import call
from tests.transport.conftest import OpenTransport


def parts(request: bytes) -> tuple[str, dict[str, str], bytes]:
    """The request line, the headers by lower-case name (each once), and the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *lines = head.decode("ascii").split("\r\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    assert len(dict(pairs)) == len(pairs)
    return line, dict(pairs), body


def test_a_request_is_one_post_with_these_headers(transport_to: OpenTransport) -> None:
    """The token is the user name of Basic credentials with the password X; the length counts bytes, not characters."""
    body = "<request>é\U0001f600</request>".encode()
    with Misbehaving(answering_always(http())) as server:
        transport_to(server.url)(call(body, token="0123abcd", headers={"X-Request-Id": "r-1"}))
        line, headers, sent = parts(server.requests[0])
    assert (line, sent) == ("POST /api/2.1/xml-in HTTP/1.1", body)
    assert headers == {
        "host": f"127.0.0.1:{server.port}",
        "content-type": "application/xml; charset=utf-8",
        "accept": "application/xml",
        "accept-encoding": "identity",
        "user-agent": "freshbooks-gateway",
        "x-request-id": "r-1",
        "authorization": "Basic " + base64.b64encode(b"0123abcd:X").decode(),
        "content-length": str(len(body)),
    }


def test_headers_of_one_call_are_not_sent_with_the_next(transport_to: OpenTransport) -> None:
    """Neither the token nor what traces the call."""
    with Misbehaving(answering_always(http())) as server:
        transport = transport_to(server.url)
        transport(call(token="first", headers={"X-Request-Id": "r-1", "traceparent": "00-1"}))
        transport(call(token="second"))
        headers = parts(server.requests[1])[1]
    assert "x-request-id" not in headers
    assert "traceparent" not in headers
    assert base64.b64decode(headers["authorization"].split()[1]) == b"second:X"


def test_cookies_are_not_kept(transport_to: OpenTransport) -> None:
    """A session of the upstream's web pages is no business of ours."""
    with Misbehaving(answering_always(http(headers="Set-Cookie: session=1; Path=/\r\n"))) as server:
        transport = transport_to(server.url)
        for _ in range(2):
            transport(call())
        assert all("cookie" not in parts(request)[1] for request in server.requests)


@pytest.mark.parametrize(
    "name, value",
    [
        ("X-Request-Id", "a\r\nX-Evil: 1"),
        ("X-Request-Id", "a\nX-Evil: 1"),
        ("X-Request-Id", "a\r\n\r\n<request/>"),
        ("X-Request-Id", "a\x00b"),
        ("X-Request-Id", "a\x7f"),
        ("X-Request-Id", "caf\xe9"),
        ("X-Request-Id", "\u010a"),
        ("X-Request-Id", "\u2028"),
        ("X-Evil: 1\r\nX-Request-Id", "a"),
        ("X-\u010d\u010aEvil", "a"),
    ],
)
def test_a_header_that_would_become_two_is_never_sent(transport_to: OpenTransport, name: str, value: str) -> None:
    """It is a defect of ours, and not one byte leaves; the next call is as it should be."""
    with Misbehaving(answering_always(http())) as server:
        transport = transport_to(server.url)
        with pytest.raises(ValueError, match="header"):
            transport(call(headers={name: value}))
        assert server.requests == []
        transport(call(headers={"X-Request-Id": "fine"}))
        assert b"Evil" not in server.requests[0]


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "t\u00f6k", "a" * 1000, "\u010d\u010a"])
def test_a_token_of_any_characters_is_one_header(transport_to: OpenTransport, token: str) -> None:
    """Base64 knows no line ends."""
    with Misbehaving(answering_always(http())) as server:
        transport_to(server.url)(call(token=token))
        authorization = parts(server.requests[0])[1]["authorization"]
    assert base64.b64decode(authorization.split()[1]).decode() == f"{token}:X"


@pytest.mark.parametrize(
    "url, target",
    [
        ("", "/"),
        ("/", "/"),
        ("/a/../b", "/b"),
        ("/a%7Eb/%2f", "/a~b/%2F"),
        ("/API/2.1/XML-IN", "/API/2.1/XML-IN"),
        ("/a;b=c,d", "/a;b=c,d"),
        ("//a", "//a"),
    ],
)
def test_any_url_goes_through_the_pool_of_this_transport(transport_to: OpenTransport, url: str, target: str) -> None:
    """Also one that requests spells otherwise than it was given: its own adapters are never asked."""
    with Misbehaving(answering_always(http())) as server:
        transport = transport_to(f"HTTP://127.0.0.1:{server.port}{url}")
        for _ in range(3):
            transport(call())
        assert server.connections_total == 1
        assert {parts(request)[0] for request in server.requests} == {f"POST {target} HTTP/1.1"}


def test_an_address_of_ipv6_is_written_in_brackets(transport_to: OpenTransport) -> None:
    """In `Host`, as in the URL."""
    try:
        server = Misbehaving(answering_always(http()), host="::1", family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")
    with server:
        transport_to(f"http://[::1]:{server.port}/x")(call())
        assert parts(server.requests[0])[1]["host"] == f"[::1]:{server.port}"


PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def test_nothing_of_the_environment_changes_a_request(
    transport_to: OpenTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxies, .netrc and certificate bundles that every other program would follow."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\ndefault login canary password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere.pem"))
    with Misbehaving(answering_always(http())) as server, Misbehaving(answering_always(http())) as proxy:
        transport_to(server.url)(call())
        for name in PROXIES:
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        transport_to(server.url)(call())
        assert (proxy.connections_total, proxy.requests) == (0, [])
        assert server.requests[0] == server.requests[1]
        assert parts(server.requests[1])[1]["authorization"] == "Basic " + base64.b64encode(b"demo-admin:X").decode()


def test_a_request_is_complete_before_anything_is_read(transport_to: OpenTransport) -> None:
    """No `Expect`, no chunks: one head with a length and one body."""
    with Misbehaving(answering_always(http())) as server:
        transport_to(server.url)(call(b"x" * 1_000_000))
        line, headers, body = parts(server.requests[0])
    assert re.fullmatch(r"POST \S+ HTTP/1\.1", line)
    assert not {"expect", "transfer-encoding", "connection"} & headers.keys()
    assert len(body) == int(headers["content-length"]) == 1_000_000
