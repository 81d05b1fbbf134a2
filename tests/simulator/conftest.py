"""A simulator of its own for every test here: switches, faults and clients start fresh."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from simulator.server import Simulator
from tests.simulator.api_caller import ApiCaller


@pytest.fixture
def others() -> frozenset[threading.Thread]:
    """The threads of those who were here before: name it before `sim`."""
    return frozenset(threading.enumerate())


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture
def admin(sim: Simulator) -> Iterator[ApiCaller]:
    with ApiCaller(sim.url) as caller:
        yield caller


@pytest.fixture
def staff(sim: Simulator) -> Iterator[ApiCaller]:
    with ApiCaller(sim.url, "demo-staff") as caller:
        yield caller


@dataclass(frozen=True)
class Certificates:
    cert_file: Path
    key_file: Path
    ca_file: Path

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca_file)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    files = Certificates(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    files.cert_file.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(files.key_file)
    authority.cert_pem.write_to_path(files.ca_file)
    return files
