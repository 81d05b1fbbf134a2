"""Connections: kept, given up, and never the cause of a doubled write."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from gateway.errors import AnswerLost, NotSent, RpcOutcome, UpstreamError, Written
from gateway.upstream.transport import IDLE_FOR_WRITES_S
from tests.support.misbehaving import (
    OK_BODY,
    Misbehaving,
    Peer,
    Script,
    answering_always,
    answering_once,
    chunked,
    http,
)
from tests.support.wire import call
from tests.transport.conftest import OpenTransport

MIB = 1024 * 1024


@pytest.fixture(params=[True, False], ids=["read", "write"])
def repeatable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


REUSABLE = {
    "a length": http(),
    "chunks": chunked(OK_BODY[:10], OK_BODY[10:]),
    "no body": http(b"", status="204 No Content"),
    "interim answers first": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + http(),
    "an upgrade offered": http(headers="Upgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\n"),
    "HTTP/1.0 that keeps alive": http(headers="Connection: keep-alive\r\n").replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "a line end too many": http() + b"\r\n",
}


@pytest.mark.parametrize("data", REUSABLE.values(), ids=REUSABLE.keys())
def test_a_connection_carries_one_call_after_the_other(
    transport_to: OpenTransport, data: bytes, repeatable: bool
) -> None:
    """As long as each answer says where it ends."""
    with Misbehaving(answering_always(data)) as server:
        transport = transport_to(server.url)
        bodies = [transport(call(repeatable=repeatable)).body for _ in range(5)]
        assert set(bodies) == {b"" if b"204" in data[:20] else OK_BODY}
        assert (server.connections_total, len(server.requests)) == (1, 5)


NOT_REUSABLE = {
    "says close": http(headers="Connection: close\r\n"),
    "HTTP/1.0": http().replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "two answers glued together": http() + http(b"<response>another's</response>"),
    "bytes after the answer": http() + b"<!-- trailing -->",
    "bytes after the chunks": chunked(OK_BODY) + b"x",
    "half an answer after the answer": http() + b"HTTP/1.1 200 OK\r\nContent-",
}


@pytest.mark.parametrize("data", NOT_REUSABLE.values(), ids=NOT_REUSABLE.keys())
def test_a_connection_with_something_left_over_is_given_up(
    transport_to: OpenTransport, data: bytes, repeatable: bool
) -> None:
    """The answer is the first one; what follows it must never become the answer of another call."""
    with Misbehaving(answering_always(data)) as server:
        transport = transport_to(server.url)
        bodies = [transport(call(repeatable=repeatable)).body for _ in range(3)]
        assert bodies == [OK_BODY] * 3
        assert (server.connections_total, len(server.requests)) == (3, 3)


def test_bytes_that_come_while_a_connection_is_idle_end_it(transport_to: OpenTransport, repeatable: bool) -> None:
    """Nobody asked for them."""
    may_send, has_sent = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.answer(http())
        may_send.wait(30)
        peer.send(http(b"<response>stale</response>"))
        has_sent.set()
        peer.wait_for_client_to_leave()

    with Misbehaving(script, answering_always(http())) as server:
        transport = transport_to(server.url)
        transport(call())
        may_send.set()
        assert has_sent.wait(30)
        assert transport(call(repeatable=repeatable)).body == OK_BODY
        assert (server.connections_total, len(server.requests)) == (2, 2)


def test_a_connection_closed_while_idle_costs_nobody_an_error(transport_to: OpenTransport, repeatable: bool) -> None:
    """Observed of the service: it closes idle connections without notice. The next call goes out on a new one, once."""
    with Misbehaving(answering_once(http()), answering_always(http())) as server:
        transport = transport_to(server.url)
        transport(call())
        server.wait_until(lambda server: server.open_total == 0)
        assert transport(call(repeatable=repeatable)).body == OK_BODY
        assert (server.connections_total, len(server.requests)) == (2, 2)


def test_many_connections_closed_while_idle_cost_nobody_an_error(transport_to: OpenTransport, repeatable: bool) -> None:
    """All that were kept are gone at once, as after a restart of the upstream."""
    with Misbehaving(*[answering_once(http())] * 6, answering_always(http())) as server:
        transport = transport_to(server.url)
        together(6, lambda _: transport(call()))
        server.wait_until(lambda server: server.open_total == 0)
        opened = server.connections_total
        assert transport(call(repeatable=repeatable)).body == OK_BODY
        assert server.connections_total == opened + 1


def reading_then(end: Script) -> Script:
    """Answers one request; reads the second and then ends like this."""

    def script(peer: Peer) -> None:
        peer.answer(http())
        peer.read_request()
        end(peer)

    return script


ENDS: dict[str, Script] = {"FIN": lambda _: None, "RST": lambda peer: peer.reset()}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_a_read_lost_on_a_kept_connection_is_sent_again(transport_to: OpenTransport, end: Script) -> None:
    """The connection was being closed as the request went out; a read twice does no harm."""
    with Misbehaving(reading_then(end), answering_always(http())) as server:
        transport = transport_to(server.url)
        transport(call())
        assert transport(call()).body == OK_BODY
        assert (server.connections_total, len(server.requests)) == (2, 3)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_a_write_lost_on_a_kept_connection_is_never_sent_again(transport_to: OpenTransport, end: Script) -> None:
    """It may have been acted on; only the caller can decide."""
    with Misbehaving(reading_then(end), answering_always(http())) as server:
        transport = transport_to(server.url)
        transport(call(repeatable=False))
        with pytest.raises(AnswerLost) as raised:
            transport(call(repeatable=False))
        assert fate(raised.value) == (RpcOutcome.UNKNOWN, Written.UNKNOWN)
        assert (server.connections_total, len(server.requests)) == (1, 2)


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_a_call_lost_on_a_new_connection_is_not_sent_again(
    transport_to: OpenTransport, end: Script, repeatable: bool
) -> None:
    """That was no idle connection that went away; whether to try again is the policies' matter."""

    def script(peer: Peer) -> None:
        peer.read_request()
        end(peer)

    with Misbehaving(script) as server:
        with pytest.raises(AnswerLost) as raised:
            transport_to(server.url)(call(repeatable=repeatable))
        assert fate(raised.value) == (RpcOutcome.UNKNOWN, Written.UNKNOWN)
        assert len(server.requests) == 1


def test_a_read_whose_answer_had_begun_is_not_sent_again(transport_to: OpenTransport) -> None:
    """The upstream was at work on it."""

    def script(peer: Peer) -> None:
        peer.answer(http())
        peer.answer(http()[:20])

    with Misbehaving(script, answering_always(http())) as server:
        transport = transport_to(server.url)
        transport(call())
        with pytest.raises(AnswerLost):
            transport(call())
        assert len(server.requests) == 2


def test_a_write_takes_no_connection_that_has_been_idle_for_long(transport_to: OpenTransport) -> None:
    """A connection that the upstream may be about to close: a read could be sent again, a write could not."""
    with Misbehaving(reading_then(ENDS["RST"]), answering_always(http())) as server:
        transport = transport_to(server.url)
        transport(call())
        threading.Event().wait(IDLE_FOR_WRITES_S + 0.05)
        assert transport(call(repeatable=False)).body == OK_BODY
        assert (server.connections_total, len(server.requests)) == (2, 2)


def test_a_big_write_on_a_connection_reset_under_it_goes_out_again(transport_to: OpenTransport) -> None:
    """It had not left whole, so it cannot have been acted on."""

    def script(peer: Peer) -> None:
        peer.answer(http())
        peer.sock.recv(1)
        peer.reset()

    with Misbehaving(script, answering_always(http())) as server:
        transport = transport_to(server.url)
        transport(call())
        assert transport(call(b"x" * 32 * MIB, repeatable=False)).body == OK_BODY
        assert [len(request) > 32 * MIB for request in server.requests] == [False, True]


def test_a_big_write_cut_short_by_the_upstream_was_not_sent(transport_to: OpenTransport) -> None:
    """On a new connection the caller hears of it, and that nothing was applied."""

    def script(peer: Peer) -> None:
        peer.sock.recv(1)
        peer.reset()

    with Misbehaving(script) as server:
        with pytest.raises(NotSent) as raised:
            transport_to(server.url)(call(b"x" * 32 * MIB, repeatable=False))
        assert fate(raised.value) == (RpcOutcome.NOT_SENT, Written.NOT_APPLIED)


def echoing(peer: Peer) -> None:
    """Answers each request with its own body."""
    while True:
        peer.send(http(peer.read_request().partition(b"\r\n\r\n")[2]))


def test_answers_of_parallel_calls_are_their_own(transport_to: OpenTransport) -> None:
    """Thirty-two threads, never more connections than threads, each answer to its request."""
    with Misbehaving(echoing) as server:
        transport = transport_to(server.url, idle_connections_max=32)

        def work(number: int) -> None:
            for round_ in range(25):
                body = f"<request>{number}/{round_}</request>".encode() * (1 + number * 10)
                assert transport(call(body, repeatable=number % 2 == 0)).body == body

        together(32, work)
        assert len(server.requests) == 32 * 25
        assert server.connections_total <= 32


def test_no_more_connections_are_kept_than_allowed(transport_to: OpenTransport) -> None:
    """The others are closed once their calls are over."""
    barrier = threading.Barrier(12)

    def script(peer: Peer) -> None:
        while True:
            peer.read_request()
            barrier.wait(30)
            peer.send(http())

    with Misbehaving(script) as server:
        transport = transport_to(server.url, idle_connections_max=3)
        together(12, lambda _: transport(call()))
        assert server.connections_total == 12
        server.wait_until(lambda server: server.open_total == 3)
        transport.close()
        server.wait_until(lambda server: server.open_total == 0)


def test_a_transport_that_keeps_no_connections_opens_one_for_each_call(transport_to: OpenTransport) -> None:
    """Zero is a bound like any other."""
    with Misbehaving(answering_always(http())) as server:
        transport = transport_to(server.url, idle_connections_max=0)
        for _ in range(3):
            transport(call())
        assert server.connections_total == 3
        server.wait_until(lambda server: server.open_total == 0)


def together(count: int, work: Callable[[int], object]) -> None:
    """Does `work(number)` in that many threads, from one moment on; raises the first error of any."""
    barrier, errors = threading.Barrier(count), list[BaseException]()

    def run(number: int) -> None:
        try:
            barrier.wait(30)
            work(number)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads)


def fate(error: UpstreamError) -> tuple[RpcOutcome, Written]:
    """The outcome of the call, and what became of the write it carried."""
    return error.outcome, error.written
