"""gunicorn's own log: lines like ours, that repeat nothing of what a caller sent."""

from __future__ import annotations

import collections
import json
import os
import signal
import socket

import pytest

from simulator.server import Simulator
from tests.operations.conftest import settings
from tests.operations.watching import get, until, workers
from tests.support.server import GatewayProcess

SECRET = b"canary-4b1d"
MALFORMED = {
    "a header without a colon": b"Authorization Bearer " + SECRET,
    "a name that is none": b"Authorization\x01: Bearer " + SECRET,
    "a value that is none": b"Authorization: Bearer " + SECRET + b"\x00",
    "a folded header": b"Authorization: Bearer\r\n " + SECRET,
    "a length that is none": b"Content-Length: " + SECRET,
    "a coding that is none": b"Transfer-Encoding: " + SECRET,
    "an expectation that is none": b"Expect: " + SECRET,
    "a line end in the middle": b'X: a\n{"event": "request", "forged": 1}\r\nAuthorization\x00: ' + SECRET,
}
BAD_LINES = {
    "no version": b"GET /" + SECRET,
    "a version that is none": b"GET /" + SECRET + b" HTTP/" + SECRET,
    "a method that is none": b"G\x01" + SECRET + b" / HTTP/1.1",
    "too long": b"GET /" + SECRET * 1000 + b" HTTP/1.1",
}


def send(gateway: GatewayProcess, data: bytes) -> bytes:
    """The answer to raw bytes, read to its end."""
    with socket.create_connection((gateway.host, gateway.port), timeout=30) as line:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        try:
            return line.makefile("rb").read()
        except ConnectionResetError:
            return b""


@pytest.fixture(scope="module")
def gateway(shared_simulator: Simulator) -> GatewayProcess:
    """One that has been sent all of it, and has ended."""
    shared_simulator.reset()
    with GatewayProcess(settings(shared_simulator)) as running:
        for header in MALFORMED.values():
            send(running, b"GET /clients/13 HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
        for first in BAD_LINES.values():
            send(running, first + b"\r\nHost: localhost\r\n\r\n")
        victim = workers(running)[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in workers(running) and len(workers(running)) == 2, running)
        assert get(running, "/clients/13").status == 200
    return running


def server_lines(gateway: GatewayProcess) -> list[dict[str, object]]:
    return [line for line in gateway.log() if line["event"] == "gunicorn"]


def test_every_line_is_json_of_the_same_form(gateway: GatewayProcess) -> None:
    """Whoever wrote it: when, how grave, what."""
    for text in gateway.output().splitlines():
        line = json.loads(text)
        assert list(line)[:3] == ["time", "level", "event"]
        assert line["time"].endswith("Z")


def test_a_malformed_request_is_told_by_its_kind(gateway: GatewayProcess) -> None:
    """Once, as any request that is answered; what it was has not been understood."""
    told = [line for line in gateway.log() if line.get("method") == "-"]
    kinds = collections.Counter((line["status"], line["code"]) for line in told)
    assert kinds == {
        (400, "malformed_request"): 9,
        (414, "uri_too_long"): 1,
        (417, "expectation_unknown"): 1,
        (501, "transfer_coding_unknown"): 1,
    }
    assert not [line for line in server_lines(gateway) if "request" in str(line["message"]).lower()]


def test_nothing_that_was_sent_is_repeated(gateway: GatewayProcess) -> None:
    """Neither a secret in a malformed header nor a line that would pass for one of ours."""
    assert SECRET.decode() not in gateway.output()
    assert "forged" not in gateway.output()


def test_a_worker_that_was_killed_is_told_in_full(gateway: GatewayProcess) -> None:
    """The arbiter sees no requests, so its words are safe, and needed."""
    told = [str(line["message"]) for line in server_lines(gateway) if line["level"] == "error"]
    assert any("was sent SIGKILL" in message for message in told)
