"""TLS: the upstream is who it says, or nothing is sent."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from gateway.errors import NotSent, RpcOutcome, Written
from gateway.upstream.tls import client_context
from simulator.server import Simulator
from tests.support.misbehaving import OK_BODY, SAFETY_S, Misbehaving, answering_always, answering_once, http, unframed
from tests.support.wire import Outbound, call
from tests.transport.conftest import ANSWER_BYTES_MAX, OpenTransport

Authority = tuple[trustme.CA, str]
TlsServer = Callable[..., Misbehaving]


def refused(transport_to: OpenTransport, server: Misbehaving, url: str | None = None, **options: str) -> NotSent:
    """The error of a write; not a byte of it reached the server."""
    with pytest.raises(NotSent) as raised:
        transport_to(url or server.url, **options)(call(b"canary", repeatable=False))
    assert server.requests == []
    assert (raised.value.outcome, raised.value.written) == (RpcOutcome.NOT_SENT, Written.NOT_APPLIED)
    return raised.value


def test_a_trusted_certificate_is_accepted(
    transport_to: OpenTransport, tls_server: TlsServer, authority: Authority
) -> None:
    """With its authority named, and its connection is kept as any other."""
    server = tls_server(answering_always(http()))
    transport = transport_to(server.url, ca_file=authority[1])
    assert [transport(call(repeatable=False)).body for _ in range(4)] == [OK_BODY] * 4
    assert server.connections_total == 1


def test_the_other_side_is_gone_before_the_handshake(authority: Authority) -> None:
    """The socket is closed then: one that is left open would be told of as a warning, which is an error here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        assert select.select([ours], [], [], SAFETY_S)[0]
        with pytest.raises(ConnectionResetError):
            client_context(authority[1]).wrap_socket(ours, server_hostname="127.0.0.1", do_handshake_on_connect=False)


def test_a_certificate_of_an_unknown_authority_is_refused(transport_to: OpenTransport, tls_server: TlsServer) -> None:
    """The public authorities do not know this one."""
    error = refused(transport_to, tls_server(answering_always(http())))
    assert "certificate" in error.detail


def test_a_certificate_of_another_authority_is_refused(
    transport_to: OpenTransport, tls_server: TlsServer, authority: Authority
) -> None:
    """Trusting one authority is not trusting all."""
    server = tls_server(answering_always(http()), certificate=trustme.CA().issue_cert("127.0.0.1"))
    refused(transport_to, server, ca_file=authority[1])


def test_a_certificate_for_another_name_is_refused(
    transport_to: OpenTransport, tls_server: TlsServer, authority: Authority
) -> None:
    """A good certificate, of somebody else."""
    server = tls_server(answering_always(http()), certificate=authority[0].issue_cert("other.freshbooks.com"))
    refused(transport_to, server, ca_file=authority[1])
    refused(transport_to, server, f"https://localhost:{server.port}/", ca_file=authority[1])


def test_a_certificate_that_is_over_is_refused(
    transport_to: OpenTransport, tls_server: TlsServer, authority: Authority
) -> None:
    """Since yesterday."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    certificate = authority[0].issue_cert("127.0.0.1", not_before=yesterday - timedelta(days=9), not_after=yesterday)
    refused(transport_to, tls_server(answering_always(http()), certificate=certificate), ca_file=authority[1])


def test_names_of_hosts_are_checked_as_names(
    transport_to: OpenTransport, tls_server: TlsServer, authority: Authority
) -> None:
    """A wildcard covers one label."""
    server = tls_server(answering_always(http()), certificate=authority[0].issue_cert("localhost"))
    assert transport_to(f"https://localhost:{server.port}/", ca_file=authority[1])(call()).status == 200
    refused_server = tls_server(answering_always(http()), certificate=authority[0].issue_cert("*.localhost"))
    refused(transport_to, refused_server, f"https://localhost:{refused_server.port}/", ca_file=authority[1])


def test_a_server_that_speaks_no_tls_is_refused(transport_to: OpenTransport, authority: Authority) -> None:
    """Something else answers on that port."""
    with Misbehaving(lambda peer: peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        refused(transport_to, server, server.url.replace("http:", "https:"), ca_file=authority[1])


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_handshake_cut_off_is_refused(transport_to: OpenTransport, authority: Authority, end: str) -> None:
    """Nothing was sent that could be acted on."""
    with Misbehaving(lambda peer: peer.reset() if end == "reset" else None) as server:
        refused(transport_to, server, server.url.replace("http:", "https:"), ca_file=authority[1])


def test_an_old_version_of_tls_is_refused(transport_to: OpenTransport, authority: Authority) -> None:
    """Below 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("127.0.0.1").configure_cert(context)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with Misbehaving(answering_always(http()), tls=context) as server:
        refused(transport_to, server, ca_file=authority[1])


def test_the_environment_names_no_authority(
    transport_to: OpenTransport, tls_server: TlsServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can set a variable shall not be able to set whom to trust."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, authority[1])
    refused(transport_to, tls_server(answering_always(http())))


def test_an_answer_ended_by_the_end_of_a_connection_is_read(
    transport_to: OpenTransport, tls_server: TlsServer, authority: Authority
) -> None:
    """Whole; that the end could be an attacker's is why a cut one counts as lost."""
    server = tls_server(answering_once(unframed()))
    answer = transport_to(server.url, ca_file=authority[1])(call())
    assert (answer.body, answer.framed) == (OK_BODY, False)


def test_a_connection_closed_while_idle_costs_nobody_an_error(
    transport_to: OpenTransport, tls_server: TlsServer, authority: Authority
) -> None:
    """Under TLS as without it."""
    server = tls_server(answering_once(http()), answering_always(http()))
    transport = transport_to(server.url, ca_file=authority[1])
    transport(call())
    server.wait_until(lambda server: server.open_total == 0)
    assert transport(call(repeatable=False)).body == OK_BODY


def test_a_big_request_and_a_big_answer_pass(
    transport_to: OpenTransport, tls_server: TlsServer, authority: Authority
) -> None:
    """Of many TLS records each."""
    body = b"x" * ANSWER_BYTES_MAX

    def echo(peer: object) -> None:
        while True:
            request = peer.read_request()  # type: ignore[attr-defined]
            peer.send(http(request.partition(b"\r\n\r\n")[2]))  # type: ignore[attr-defined]

    server = tls_server(echo)
    transport = transport_to(server.url, ca_file=authority[1])
    assert [transport(call(body)).body == body for _ in range(3)] == [True] * 3
    assert server.connections_total == 1


def test_the_simulator_is_reached_over_https(transport_to: OpenTransport, authority: Authority, tmp_path: Path) -> None:
    """The whole outbound half, to an upstream with a certificate."""
    leaf = authority[0].issue_cert("127.0.0.1")
    (tmp_path / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    with Simulator(tls_cert_file=tmp_path / "cert.pem", tls_key_file=tmp_path / "key.pem") as simulator:
        outbound = Outbound(transport_to(simulator.url, ca_file=authority[1]))
        key = outbound.run("create", {"email": "a@example.com"})["id"]
        assert outbound.run("get", None, key=key)["email"] == "a@example.com"
        assert simulator.ledger.summary()["connections_opened"] == 1
