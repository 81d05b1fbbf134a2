"""One deadline over all: each step that could take for ever ends with it, and says whether the request was out.

The tests assert which error ends the call, and a generous bound; never how long it took.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.deadline import Deadline
from gateway.errors import DeadlinePassed, NotSent, RpcOutcome, Written
from gateway.upstream.connection import Connection, Origin, Resolver
from gateway.upstream.transport import HttpTransport
from simulator.server import Simulator
from tests.support.misbehaving import (
    Misbehaving,
    Peer,
    Script,
    answering_always,
    chunked,
    deaf,
    full_backlog,
    http,
    silent,
)
from tests.support.wire import call
from tests.transport.conftest import OpenTransport

BRIEF_S = 0.5
GENEROUS_S = 15.0
BIG = b"x" * 32 * 1024 * 1024


@contextlib.contextmanager
def ends_soon() -> Iterator[None]:
    started_s = time.monotonic()
    yield
    assert time.monotonic() - started_s < GENEROUS_S


def late(transport: HttpTransport, *, sent: bool, body: bytes = b"<request/>", repeatable: bool = False) -> None:
    """Makes a call and expects the deadline to end it, with the request out or not."""
    with ends_soon(), pytest.raises(DeadlinePassed) as raised:
        transport(call(body, duration_s=BRIEF_S, repeatable=repeatable))
    error = raised.value
    expected = (RpcOutcome.UNKNOWN, Written.UNKNOWN) if sent else (RpcOutcome.NOT_SENT, Written.NOT_APPLIED)
    assert (error.outcome, error.written) == expected


def slow_headers(peer: Peer) -> None:
    peer.read_request()
    peer.drip(http(headers="X-Padding: " + "x" * 2000 + "\r\n"))


def slow_body(peer: Peer) -> None:
    peer.read_request()
    peer.send(http(b"", length=10_000))
    peer.drip(b"x" * 2000)


def slow_chunks(peer: Peer) -> None:
    peer.read_request()
    peer.drip(chunked(*[b"x"] * 500))


def endless_interim_answers(peer: Peer) -> None:
    peer.read_request()
    peer.drip(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)


def slow_unframed_body(peer: Peer) -> None:
    peer.read_request()
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    peer.drip(b"x" * 2000)


UNANSWERED: dict[str, Script] = {
    "never an answer": silent,
    "headers that drip": slow_headers,
    "a body that drips": slow_body,
    "chunks that drip": slow_chunks,
    "a body without an end that drips": slow_unframed_body,
    "interim answers and no other": endless_interim_answers,
    "not even reading": deaf,
}


@pytest.mark.parametrize("script", UNANSWERED.values(), ids=UNANSWERED.keys())
@pytest.mark.parametrize("repeatable", [True, False], ids=["read", "write"])
def test_an_upstream_that_does_not_finish_its_answer(
    transport_to: OpenTransport, script: Script, repeatable: bool
) -> None:
    """The request was out: what became of it is not known. It goes out once; its connection is not used again."""
    with Misbehaving(script, answering_always(http())) as server:
        transport = transport_to(server.url)
        late(transport, sent=True, repeatable=repeatable)
        assert len(server.requests) <= 1
        transport(call())
        assert server.connections_total == 2


def test_an_upstream_that_does_not_read_a_big_request(transport_to: OpenTransport) -> None:
    """It was not out whole, so it cannot have been acted on."""
    with Misbehaving(deaf) as server:
        late(transport_to(server.url), sent=False, body=BIG)


def test_an_upstream_that_reads_by_sips(transport_to: OpenTransport) -> None:
    """Each sip lets a little more through; the deadline holds all the same."""

    def sip(peer: Peer) -> None:
        while peer.sock.recv(4096):
            if peer.server_is_over(0.02):
                return

    with Misbehaving(sip) as server:
        late(transport_to(server.url), sent=False, body=BIG)


def test_an_upstream_that_does_not_take_the_connection(transport_to: OpenTransport) -> None:
    """Its queue of connections is full: nothing was sent."""
    listener, fillers = full_backlog()
    try:
        late(transport_to(f"http://127.0.0.1:{listener.getsockname()[1]}/"), sent=False)
    finally:
        for sock in (listener, *fillers):
            sock.close()


def test_an_upstream_that_does_not_shake_hands(transport_to: OpenTransport) -> None:
    """It takes the connection and never speaks TLS: nothing was sent."""

    def mute(peer: Peer) -> None:
        peer.wait_for_client_to_leave()

    with Misbehaving(mute) as server:
        late(transport_to(server.url.replace("http:", "https:")), sent=False)
        assert server.requests == []


def test_an_upstream_whose_handshake_drips(transport_to: OpenTransport) -> None:
    """A TLS record that grows by a byte at a time."""

    def drip(peer: Peer) -> None:
        peer.sock.recv(1)
        peer.drip(b"\x16\x03\x03\x20\x00" + b"\x02\x00\x1f\xfc\x03\x03" + b"\0" * 2000)

    with Misbehaving(drip) as server:
        late(transport_to(server.url.replace("http:", "https:")), sent=False)


def test_a_deadline_holds_under_tls_too(
    transport_to: OpenTransport, tls_server: Callable[..., Misbehaving], authority: tuple[object, str]
) -> None:
    """After the handshake, with the request out."""
    late(transport_to(tls_server(slow_body).url, ca_file=authority[1]), sent=True)


@pytest.mark.parametrize("idle", [False, True], ids=["a new connection", "a kept connection"])
def test_a_deadline_that_has_passed_sends_nothing(transport_to: OpenTransport, idle: bool) -> None:
    """Time used up before the call is time used up."""
    with Misbehaving(answering_always(http())) as server:
        transport = transport_to(server.url)
        if idle:
            transport(call())
        with pytest.raises(DeadlinePassed) as raised:
            transport(call(duration_s=-1, repeatable=False))
        assert raised.value.written is Written.NOT_APPLIED
        assert len(server.requests) == idle


class TestNames:
    """The resolver, over a lookup that is a function."""

    def test_a_lookup_that_hangs_ends_with_the_deadline(self) -> None:
        """The system's resolver knows no deadline; nothing was sent."""
        release = threading.Event()
        resolver = Resolver(lambda *_args, **_options: list[Any]() if release.wait(30) else [])
        with ends_soon(), pytest.raises(DeadlinePassed) as raised:
            Connection.open(Origin("upstream.example", 80), resolver, Deadline.after(BRIEF_S))
        assert raised.value.written is Written.NOT_APPLIED
        release.set()
        resolver.close()

    def test_lookups_nobody_waits_for_are_not_made(self) -> None:
        """While all its threads hang, calls that gave up leave nothing behind to be done later."""
        release, asked = threading.Event(), list[str]()

        def hang(host: str, *_args: object, **_options: object) -> list[Any]:
            asked.append(host)
            release.wait(30)
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9))]

        resolver = Resolver(hang)
        for number in range(12):
            with pytest.raises(DeadlinePassed):
                resolver.addresses(Origin(f"host{number}.example", 80), Deadline.after(0.05))
        release.set()
        assert resolver.addresses(Origin("last.example", 80), Deadline.after(30))
        assert (len(asked), asked[-1]) == (5, "last.example")
        resolver.close()

    @pytest.mark.parametrize(
        "error", [socket.gaierror(-2, "Name or service not known"), OSError("no"), UnicodeError("no")]
    )
    def test_a_name_that_is_not_known_sends_nothing(self, error: Exception) -> None:
        """And says when to try again."""

        def fail(*_args: object, **_options: object) -> list[Any]:
            raise error

        with pytest.raises(NotSent) as raised:
            Connection.open(Origin("upstream.example", 80), Resolver(fail), Deadline.after(30))
        assert raised.value.written is Written.NOT_APPLIED

    def test_a_name_that_cannot_be_one_sends_nothing(self, transport_to: OpenTransport) -> None:
        """The whole way through the transport."""
        with pytest.raises(NotSent):
            transport_to("http://" + "x" * 64 + ".example/")(call())

    @pytest.mark.parametrize("order", [1, -1], ids=["good one last", "good one first"])
    def test_each_address_of_a_name_is_tried(self, order: int) -> None:
        """One that refuses, one that swallows connections, one that works."""
        listener, fillers = full_backlog()
        refusing = socket.socket()
        refusing.bind(("127.0.0.1", 0))
        with Misbehaving(answering_always(http())) as server:
            ports = [refusing.getsockname()[1], listener.getsockname()[1], server.port][::order]
            found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports]
            resolver = Resolver(lambda *_args, **_options: found)
            connection = Connection.open(Origin("upstream.example", 80), resolver, Deadline.after(1.5))
            assert (
                connection.exchange(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Deadline.after(30), 1024).status
                == 200
            )
            connection.close()
            resolver.close()
        for sock in (listener, refusing, *fillers):
            sock.close()

    def test_a_name_with_several_addresses_is_reached(self, transport_to: OpenTransport) -> None:
        """localhost, by the system's own resolver."""
        with Misbehaving(answering_always(http())) as server:
            assert transport_to(f"http://localhost:{server.port}/")(call()).status == 200

    def test_an_address_of_a_family_that_is_not_there_is_passed_over(self) -> None:
        """A socket that cannot even be made is a connection refused."""
        found = [(socket.AF_UNSPEC, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9))]
        with pytest.raises(NotSent):
            Connection.open(Origin("x.example", 80), Resolver(lambda *_args, **_options: found), Deadline.after(30))


def test_a_connection_refused_sends_nothing(transport_to: OpenTransport) -> None:
    """Nobody listens there."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent) as raised:
            transport_to(f"http://127.0.0.1:{bound.getsockname()[1]}/")(call(repeatable=False))
    assert (raised.value.outcome, raised.value.written) == (RpcOutcome.NOT_SENT, Written.NOT_APPLIED)


def test_a_write_that_outlived_its_deadline_was_made_once(transport_to: OpenTransport, simulator: Simulator) -> None:
    """The upstream did it, whoever was still waiting: the outcome is unknown, and its ledger has one call."""
    simulator.faults.add("gate", gate="late", point="after_commit", methods=["client.delete"])
    key = simulator.store.dump()[0]["client_id"]
    transport = transport_to(simulator.url)
    body = f'<request method="client.delete"><client_id>{key}</client_id></request>'.encode()
    late(transport, sent=True, body=body)
    simulator.gates.wait("late")
    simulator.gates.open("late")
    assert simulator.ledger.wait_idle()
    assert simulator.ledger.summary()["applied_total"] == simulator.ledger.summary()["total"] == 1
