"""`python -m simulator`: start, stop, state over restarts, TLS, bad settings."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.simulator.api_caller import ApiCaller, dial
from tests.simulator.conftest import Certificates
from tests.simulator.processes import SAFETY_S, launch, running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    """Exit code 0, no word on the error channel, no port left, an idle connection does not hold it up."""
    with running() as simulator, ApiCaller(simulator.url) as admin:
        admin.get(13).ok()
        assert simulator.end(number) == 0
        assert simulator.process.stderr is not None
        assert simulator.process.stderr.read() == ""
        with pytest.raises(ConnectionRefusedError):
            dial(simulator.url)


def test_it_tells_the_real_port() -> None:
    """Port 0 is any; the one line printed has the address in full."""
    with running() as simulator:
        assert urlsplit(simulator.url).port
        assert simulator.url.startswith("http://127.0.0.1:")
        assert simulator.url.endswith("/api/2.1/xml-in")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_state_survives(tmp_path: Path, number: signal.Signals) -> None:
    """Created, changed and deleted clients are there again, after a kill too; ids go on."""
    with running(state_file=tmp_path / "state" / "clients") as simulator, ApiCaller(simulator.url) as admin:
        client_id = int(admin.created(first_name="Kept 🎉"))
        admin.update(13, notes="a\rb").ok()
        admin.delete(5).ok()
        simulator.end(number)
    with running(state_file=tmp_path / "state" / "clients") as simulator, ApiCaller(simulator.url) as admin:
        assert admin.get(client_id).texts()["first_name"] == "Kept 🎉"
        assert admin.get(13).texts()["notes"] == "a\rb"
        assert admin.get(5).fault[1] == "'client_id' not found. Client is deleted."
        assert int(admin.created()) == client_id + 1


def test_without_a_file_state_does_not_survive() -> None:
    for _ in range(2):
        with running() as simulator, ApiCaller(simulator.url) as admin:
            assert admin.created() == "4423"


def test_https(certificates: Certificates) -> None:
    """With a certificate the API speaks TLS, and a verifying caller is content."""
    files = {"tls_cert_file": certificates.cert_file, "tls_key_file": certificates.key_file}
    with running(**files) as simulator, ApiCaller(simulator.url, context=certificates.context()) as admin:
        assert simulator.url.startswith("https://")
        admin.get(13).ok()


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"bind": "8081"}, ["SIMULATOR_BIND"]),
        ({"bind": "127.0.0.1:99999"}, ["SIMULATOR_BIND"]),
        (
            {"bind": "x", "steering_bind": "y", "tls_cert_file": "z"},
            ["SIMULATOR_BIND", "STEERING_BIND", "TLS_KEY_FILE"],
        ),
        ({"tls_cert_file": "/nowhere.pem", "tls_key_file": "/nowhere.key"}, ["No such file"]),
        ({"state_file": Path(__file__)}, ["not a state file"]),
    ],
)
def test_bad_settings(settings: dict[str, object], told: list[str]) -> None:
    """All problems at once on the error channel, exit code 2, nothing on the other."""
    with launch(**settings) as process:
        output, errors = process.communicate(timeout=SAFETY_S)
        assert (process.returncode, output) == (2, "")
        assert all(word in errors for word in told), errors
        assert "Traceback" not in errors


def test_a_port_that_is_taken() -> None:
    """Told in one line, exit code 1."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        launch(bind=f"127.0.0.1:{taken.getsockname()[1]}") as process,
    ):
        _, errors = process.communicate(timeout=SAFETY_S)
    assert process.returncode == 1
    assert "cannot listen" in errors
    assert "Traceback" not in errors
