"""What is plain: no bytes make the reader stumble, and what it accepts gunicorn's own parser reads the same way."""

from __future__ import annotations

import re

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.edge import plain
from gateway.edge.arrival import Arrival
from tests.edge.corpus import requests

_PIECES = st.sampled_from(
    [b"GET ", b"/clients/13", b" HTTP/1.1", b"\r\n", b"\n", b"\r", b"Host", b": ", b":", b" ", b"\t", b"localhost",
     b"\0", b"Accept", b"*/*", b"Cookie", b"Connection: close\r\n", b"Dnt: 1\r\n", b"Host: a\r\n", b"\xff",
     b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"GET / HTTP/1.1\r\n", b"\r\n\r\n",
     b"X_Request_Id: a\r\n",
     b"authorization: x\r\n"]
)  # fmt: skip
_BYTES = st.binary(max_size=200) | st.lists(_PIECES | st.binary(max_size=3), max_size=25).map(b"".join)
_NEARLY = st.lists(_PIECES, max_size=6).map(lambda parts: b"GET /clients/13 HTTP/1.1\r\nHost: a\r\n" + b"".join(parts))
_ANY = _BYTES | _NEARLY | _NEARLY.map(lambda data: data + b"\r\n\r\n")
_TARGET = re.compile(rb"[!-~]+")
"""`gateway.edge.targets` knows none with other bytes."""
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def check(data: bytes) -> bool:
    """Whether it is plain; if so, gunicorn must read target and headers the same way and end it at the same byte."""
    head = plain.split(data)
    fields = None if head is None else plain.read(head.fields)
    if head is None or fields is None or not _TARGET.fullmatch(head.target):
        return False
    parser = RequestParser(Config(), [data], ("192.0.2.1", 1))
    request = next(parser)
    assert (request.method, request.uri, request.version) == ("GET", head.target.decode("latin-1"), (1, 1))
    assert parser.unreader.take_buffered() == data[head.end :]
    assert not request.should_close()
    named = dict(request.headers)
    for variable, value in zip(plain.VARIABLES, fields, strict=True):
        assert named.get(variable.removeprefix("HTTP_").replace("_", "-")) == value
        assert value is None or _VALUE.fullmatch(value)
    return True


@settings(max_examples=1500)
@given(_ANY)
@example(b"GET /clients/13 HTTP/1.1\r\nHost: a\r\n\r\n")
@example(b"GET  HTTP/1.1\r\nHost: a\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n\r\n")
@example(b"GET / http/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
def test_any_bytes_are_read_as_gunicorn_reads_them_or_not_at_all(data: bytes) -> None:
    """Without an exception."""
    check(data)


@settings(max_examples=300)
@given(st.binary(max_size=400), st.integers(0, 400))
def test_header_lines_and_starts_of_any_kind_raise_nothing(data: bytes, start: int) -> None:
    """Each part of the reader for itself."""
    plain.read(data)
    plain.split(data, start)


@pytest.mark.parametrize("mode", ["open", "keys", "passthrough"])
def test_the_corpus_is_read_as_gunicorn_reads_it_or_not_at_all(mode: str) -> None:
    """Some of it is plain."""
    assert sum(check(one.data) for one in requests(mode, seed=3, total=3000)) > 100


@pytest.mark.parametrize("total, is_plain", [(1, True), (plain.FIELDS_MAX, True), (plain.FIELDS_MAX + 1, False)])
def test_more_headers_than_anybody_sends_are_not_plain(total: int, is_plain: bool) -> None:
    """gunicorn has a bound, and it is lower than what fits."""
    assert check(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"Dnt: 1\r\n" * (total - 1) + b"\r\n") is is_plain


@pytest.mark.parametrize("host", ["a..b", ".", "a b", "[", "a:b", "x" * 64, "a:123456", "user@a", "a/b", "é"])
def test_a_host_that_names_none_is_not_plain(host: str) -> None:
    """The application has a problem for it."""
    assert not check(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert not check(b"GET / HTTP/1.1\r\nDnt: 1\r\n\r\n")


@settings(max_examples=800)
@given(_ANY, st.lists(st.integers(0, 300), max_size=4))
def test_arriving_bytes_raise_nothing_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    """And once a request has arrived whole it stays so."""
    arrival, whole = Arrival(), False
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True):
        if piece := data[start:end]:
            whole = arrival.feed(piece)
        if whole:
            break
        arrival.take_wish_for_leave()
    if re.match(rb"GET / HTTP/1\.1\r\nHost: a\r\n\r\n", data):
        assert whole
