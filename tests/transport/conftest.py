"""Transports that are closed when their test is over, and certificates."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.upstream.transport import HttpTransport
from tests.support.misbehaving import Misbehaving, Script

ANSWER_BYTES_MAX = 64 * 1024

OpenTransport = Callable[..., HttpTransport]


@pytest.fixture
def transport_to() -> Iterator[OpenTransport]:
    """Makes transports to a URL; keyword arguments are theirs."""
    opened: list[HttpTransport] = []

    def make(url: str, **options: Any) -> HttpTransport:
        limits = {"answer_bytes_max": ANSWER_BYTES_MAX, "idle_connections_max": 8}
        opened.append(HttpTransport(url, **(limits | options)))
        return opened[-1]

    yield make
    for transport in opened:
        transport.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    """A certificate authority of the tests' own, and the file of its certificate."""
    made = trustme.CA()
    path: Path = tmp_path_factory.mktemp("authority") / "ca.pem"
    made.cert_pem.write_to_path(str(path))
    return made, str(path)


@pytest.fixture
def tls_server(authority: tuple[trustme.CA, str]) -> Iterator[Callable[..., Misbehaving]]:
    """Makes servers that speak TLS, by default with a good certificate for 127.0.0.1."""
    started: list[Misbehaving] = []

    def make(*scripts: Script, certificate: trustme.LeafCert | None = None) -> Misbehaving:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (certificate or authority[0].issue_cert("127.0.0.1")).configure_cert(context)
        started.append(Misbehaving(*scripts, tls=context).__enter__())
        return started[-1]

    yield make
    for server in started:
        server.__exit__(None, None, None)
