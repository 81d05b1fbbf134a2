"""A FreshBooks Classic that speaks TLS, and what concerns every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from simulator.server import Simulator


@pytest.fixture(scope="package")
def authority_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of the authority that `tls_simulator` is certified by; the key stands beside it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder / "authority.pem"


@pytest.fixture(scope="package")
def shared_tls_simulator(authority_file: Path) -> Iterator[Simulator]:
    server = authority_file.with_name("server.pem")
    with Simulator(bind="127.0.0.1:0", tls_cert_file=server, tls_key_file=server) as running:
        yield running


@pytest.fixture
def tls_simulator(shared_tls_simulator: Simulator) -> Simulator:
    """A FreshBooks Classic over TLS with its demo data, no faults and an empty ledger."""
    shared_tls_simulator.reset()
    return shared_tls_simulator
