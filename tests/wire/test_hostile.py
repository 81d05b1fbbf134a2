"""Answers made to hurt: each ends soon, in an element or an `UpstreamError`."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from gateway.errors import GarbledAnswer, UpstreamError, UpstreamFailed
from gateway.upstream.protocol import Answer, read_answer
from tests.support.wire import Outbound, answering

MIB = 1024 * 1024


def in_client(inner: bytes) -> bytes:
    return b'<response status="ok"><client><client_id>13</client_id>' + inner + b"</client></response>"


def laughs(where: bytes) -> bytes:
    """The billion laughs: nine entities, each ten times the one before, used at `where`."""
    entities = b'<!ENTITY l0 "ha">' + b"".join(
        b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10) for level in range(1, 10)
    )
    return b"<!DOCTYPE response [" + entities + b"]>" + where


BOMBS = {
    "in a text": laughs(in_client(b"<notes>&l9;</notes>")),
    "in an attribute": laughs(
        b'<response status="ok"><client note="&l9;"><client_id>1</client_id></client></response>'
    ),
    "never used": laughs(in_client(b"")),
    "one long entity many times": b'<!DOCTYPE response [<!ENTITY e "%s">]>' % (b"a" * MIB)
    + in_client(b"<notes>" + b"&e;" * 1000 + b"</notes>"),
    "by parameter entities": b'<!DOCTYPE response [<!ENTITY % a "&#37;a;"> %a;]>' + in_client(b""),
    "from a file": b'<!DOCTYPE response SYSTEM "file:///dev/zero">' + in_client(b""),
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS.keys())
def test_entities_are_refused_before_they_grow(body: bytes) -> None:
    """A DOCTYPE is not the API's, and refusing it takes no more memory than a few times the answer."""
    tracemalloc.start()
    with pytest.raises(GarbledAnswer):
        read_answer(Answer(200, {}, body))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 5 * len(body) + MIB


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_elements_nested_deeply_are_refused_or_passed_over(depth: int) -> None:
    """Never a crash of the process or a `RecursionError`: the depth that is read is libxml2's."""
    body = in_client(b"<a>" * depth + b"</a>" * depth)
    try:
        assert Outbound(answering([Answer(200, {}, body)])[0]).run("get", None)["id"] == 13
    except GarbledAnswer:
        assert depth > 250


def test_a_fault_nested_deeply_is_read_once() -> None:
    """The texts of a fault's three elements, not those of every element around them."""
    inner = b"<error>" * 200 + b"deep" + b"</error>" * 200 + b"<x/>" * 100_000
    with pytest.raises(UpstreamFailed) as raised:
        read_answer(Answer(200, {}, b'<response status="fail">' + inner + b"</response>"))
    assert raised.value.fault is not None
    assert raised.value.fault.message == "deep"


HUGE: dict[str, Callable[[int], bytes]] = {
    "a text": lambda size: in_client(b"<notes>" + b"x" * size + b"</notes>"),
    "an attribute": lambda size: in_client(b'<notes a="' + b"x" * size + b'"/>'),
    "a name": lambda size: in_client(b"<" + b"n" * size + b"/>"),
    "a comment": lambda size: in_client(b"<!--" + b"x" * size + b"-->"),
    "many elements": lambda size: in_client(b"<x/>" * (size // 4)),
    "many names": lambda size: in_client(b"".join(b"<x%d/>" % number for number in range(size // 8))),
    "many attributes": lambda size: in_client(b"<x " + b" ".join(b'a%d=""' % i for i in range(size // 800)) + b"/>"),
    "an error text": lambda size: b'<response status="fail"><error>' + b"x" * size + b"</error></response>",
    "blanks before it": lambda size: b" " * size + in_client(b""),
}


@pytest.mark.parametrize("size_bytes", [4 * MIB, 12 * MIB])
@pytest.mark.parametrize("make", HUGE.values(), ids=HUGE.keys())
def test_anything_huge_is_read_or_refused(make: Callable[[int], bytes], size_bytes: int) -> None:
    """Up to the cap of the transport; what libxml2 finds too long is an answer that is not the API's."""
    outbound = Outbound(answering([Answer(200, {}, make(size_bytes))])[0])
    try:
        assert outbound.run("get", None)["id"] == 13
    except UpstreamError as error:
        shown = error.fault.message if error.fault else ""
    else:
        shown = ""
    assert len(shown) <= 300
    assert len(outbound.log_lines()) <= 1001


def test_a_flood_of_unknown_names_is_counted_and_mostly_not_logged() -> None:
    """Ten thousand names are ten thousand in the metric and a bounded number of lines."""
    body = in_client(b"".join(b"<x%d/>" % number for number in range(10_000)))
    outbound = Outbound(answering([Answer(200, {}, body)] * 2)[0])
    outbound.run("get", None)
    outbound.run("get", None)
    warned = [line for line in outbound.log_lines() if line["event"] == "unknown_upstream_element"]
    assert (outbound.unknown_elements_total(), len(warned)) == (20_000, 1_000)
