"""Answers: how long, how framed, cut where, and what may follow from each."""

from __future__ import annotations

import gzip

import pytest

from gateway.errors import AnswerLost, GarbledAnswer, RpcOutcome, UpstreamError, Written
from gateway.upstream import remote
from gateway.upstream.protocol import Answer
from tests.support.misbehaving import (
    OK_BODY,
    Misbehaving,
    Script,
    answering_always,
    answering_once,
    chunked,
    http,
    unframed,
)
from tests.support.wire import call
from tests.transport.conftest import ANSWER_BYTES_MAX, OpenTransport

FULL = b"<response>" + b"x" * (ANSWER_BYTES_MAX - len(b"<response></response>")) + b"</response>"
OVER = FULL.replace(b"x", b"xx", 1)
HEAD_BYTES = 150_000
"""More than a head may have, and less than would be too long for head and body together."""

MANY = ANSWER_BYTES_MAX // 4096 * 4


def received(transport_to: OpenTransport, script: Script) -> Answer:
    with Misbehaving(script) as server:
        return transport_to(server.url)(call())


def raised(transport_to: OpenTransport, script: Script) -> UpstreamError:
    """What a write ends in, with its answer read as the protocol has it. It is sent once, whatever happens."""
    with Misbehaving(script, answering_always(http())) as server:
        with pytest.raises(UpstreamError) as caught:
            remote.over(transport_to(server.url))(call(repeatable=False))
        assert len(server.requests) == 1
    return caught.value


WHOLE = {
    "a length": (http(), True),
    "one chunk": (chunked(OK_BODY), True),
    "a byte a chunk": (chunked(*[OK_BODY[at : at + 1] for at in range(len(OK_BODY))]), True),
    "chunks with extensions": (chunked(OK_BODY).replace(b"\r\n\r\n", b"\r\n\r\n", 1), True),
    "chunks with a trailer": (chunked(OK_BODY, end=b"0\r\nX-Checksum: 1\r\n\r\n"), True),
    "the end of the connection": (unframed(), False),
    "the end of the connection, HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n" + OK_BODY, False),
    "no reason phrase": (http(status="200"), True),
    "a length in leading zeros": (http().replace(b"Content-Length: ", b"Content-Length: 000"), True),
}


@pytest.mark.parametrize("data, framed", WHOLE.values(), ids=WHOLE.keys())
def test_a_whole_answer_is_read(transport_to: OpenTransport, data: bytes, framed: bool) -> None:
    """However its end is marked; whether anything but the end of the connection marked it is told."""
    answer = received(transport_to, answering_once(data))
    assert (answer.status, answer.body, answer.framed) == (200, OK_BODY, framed)


def test_an_answer_comes_in_pieces_of_any_size(transport_to: OpenTransport) -> None:
    """Byte by byte, head and body."""

    def script(peer: object) -> None:
        peer.read_request()  # type: ignore[attr-defined]
        for at in range(len(http())):
            peer.send(http()[at : at + 1])  # type: ignore[attr-defined]

    assert received(transport_to, script).body == OK_BODY


def test_the_headers_of_an_answer_are_found_in_any_case(transport_to: OpenTransport) -> None:
    """Status and headers as they came; of one that stands twice, the last."""
    data = http(
        status="503 Sorry",
        headers="RETRY-AFTER: 7\r\nX-A: 1\r\nx-a: 2\r\nX-Latin: caf\xe9\r\n".encode("latin-1").decode("latin-1"),
    )
    answer = received(transport_to, answering_once(data))
    assert (answer.status, answer.headers["retry-after"], answer.headers["x-a"]) == (503, "7", "2")


LOST = {
    "nothing at all": b"",
    "half a status line": b"HTTP/1.1 20",
    "half the headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "headers and no end of them": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
    "an interim answer alone": b"HTTP/1.1 100 Continue\r\n\r\n",
    "no byte of the body": http()[: -len(OK_BODY)],
    "a body one byte short": http()[:-1],
    "well-formed XML, shorter than promised": http(length=len(OK_BODY) + 1),
    "chunks cut in a size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5",
    "chunks cut in one": chunked(OK_BODY, end=b"")[:-30],
    "whole chunks and no last one": chunked(OK_BODY, end=b""),
    "a last chunk cut": chunked(OK_BODY, end=b"0\r\n"),
    "XML cut where only the end ends it": unframed(OK_BODY[:-5]),
    "no body where only the end ends it": unframed(b""),
}


@pytest.mark.parametrize("data", LOST.values(), ids=LOST.keys())
def test_an_answer_cut_short_is_lost(transport_to: OpenTransport, data: bytes) -> None:
    """The request was out whole: what became of a write is not known. requests alone would call some of these whole."""
    error = raised(transport_to, answering_once(data))
    assert type(error) is AnswerLost
    assert (error.outcome, error.written) == (RpcOutcome.UNKNOWN, Written.UNKNOWN)


TOO_LONG = {
    "a length": http(OVER),
    "a length that is promised and never comes": http(b"", length=10**12),
    "a length longer than any number": http(b"").replace(b": 0", b": 99999999999999999", 1),
    "one chunk": chunked(OVER),
    "many chunks": chunked(*[b"x" * 4096] * MANY),
    "chunks of a byte": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"1\r\nx\r\n" * (ANSWER_BYTES_MAX * 2),
    "chunk extensions": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"x" * ANSWER_BYTES_MAX * 8,
    "no length": unframed(OVER),
    "a header": b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * HEAD_BYTES + b"\r\n\r\n",
    "headers": b"HTTP/1.1 200 OK\r\n" + b"X-A: x\r\n" * (HEAD_BYTES // 8) + b"\r\n",
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * (HEAD_BYTES // 25) + http(),
}


@pytest.mark.parametrize("data", TOO_LONG.values(), ids=TOO_LONG.keys())
def test_an_answer_longer_than_allowed_is_refused(transport_to: OpenTransport, data: bytes) -> None:
    """Head or body, promised or not; nothing is read for ever."""
    error = raised(transport_to, answering_always(data))
    assert type(error) is GarbledAnswer
    assert (error.outcome, error.written) == (RpcOutcome.GARBLED, Written.UNKNOWN)


@pytest.mark.parametrize("data", [http(FULL), chunked(FULL), unframed(FULL)], ids=["a length", "chunks", "no length"])
def test_an_answer_of_just_the_length_allowed_is_read(transport_to: OpenTransport, data: bytes) -> None:
    """The bound itself is allowed."""
    assert received(transport_to, answering_once(data)).body == FULL


NOT_HTTP = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "XML without HTTP": OK_BODY,
    "two lengths that differ": http(headers="Content-Length: 5\r\n"),
    "a length and chunks": chunked(OK_BODY).replace(b"Transfer", b"Content-Length: 5\r\nTransfer", 1),
    "a negative length": http().replace(b"Content-Length: ", b"Content-Length: -", 1),
    "a length that is no number": http().replace(b"Content-Length: ", b"Content-Length: x", 1),
    "a length beyond 64 bits": http().replace(b"Content-Length: ", b"Content-Length: 1" + b"0" * 30, 1),
    "a chunk size that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a header without a colon": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "a null byte in a header": b"HTTP/1.1 200 OK\r\nX-A: \0\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a protocol switched": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("data", NOT_HTTP.values(), ids=NOT_HTTP.keys())
def test_an_answer_that_is_not_http_is_garbled(transport_to: OpenTransport, data: bytes) -> None:
    """Something answered that is not the service."""
    error = raised(transport_to, answering_once(data))
    assert type(error) is GarbledAnswer
    assert (error.outcome, error.written) == (RpcOutcome.GARBLED, Written.UNKNOWN)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_a_compressed_answer_nobody_asked_for_is_garbled(transport_to: OpenTransport, encoding: str) -> None:
    """It could be a bomb; it was told that only the plain form is read."""
    data = http(gzip.compress(OK_BODY), headers=f"Content-Encoding: {encoding}\r\n")
    assert type(raised(transport_to, answering_once(data))) is GarbledAnswer


LOCATIONS = [
    *("/elsewhere", "//evil.example/", "http://[::1", "http://x:99999/", "http://x:port/", "", "javascript:alert(1)"),
    *("https://www.freshbooks.com/deactivated", "caf\xe9", "\xff\xfe", "http://\x80/", "x" * 10_000),
]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", LOCATIONS, ids=lambda location: ascii(location)[:30])
def test_a_redirect_is_not_followed(transport_to: OpenTransport, status: int, location: str) -> None:
    """Not even looked at: whatever its address, it is an answer that is not the API's, and the write was not made."""
    head = f"HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n"
    error = raised(transport_to, answering_always(head.encode("latin-1")))
    assert type(error) is GarbledAnswer
    assert (error.outcome, error.written) == (RpcOutcome.GARBLED, Written.NOT_APPLIED)


def test_a_redirect_to_the_very_server_brings_no_second_request(transport_to: OpenTransport) -> None:
    """As the 302 of a POST would be followed with a GET."""
    location = "http://127.0.0.1/api/2.1/xml-in"
    with Misbehaving(answering_always(http(b"", status="302 Found", headers=f"Location: {location}\r\n"))) as server:
        assert transport_to(server.url)(call()).status == 302
        assert (server.connections_total, len(server.requests)) == (1, 1)
