"""HTTP/1.1 as public client libraries speak it, and many of them at once."""

from __future__ import annotations

import ast
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from simulator.http_wire import BODY_LIMIT_BYTES
from simulator.server import Simulator
from tests.simulator.api_caller import ApiCaller, basic, dial, raw_call, read_all, request

FETCH = request("client.get", "<client_id>13</client_id>")
SIMULATOR = Path(__file__).parents[2] / "simulator"


def test_three_hundred_connections_at_once(sim: Simulator) -> None:
    """All are accepted, all calls are in flight together, all are answered."""
    sim.faults.add("gate", gate="all")
    callers = [ApiCaller(sim.url) for _ in range(300)]
    with ThreadPoolExecutor(300) as pool:
        calls = [pool.submit(caller.get, 13) for caller in callers]
        assert sim.gates.wait("all", arrived=300, timeout_s=60)["waiting"] == 300
        sim.gates.open("all")
        assert {call.result(60).status for call in calls} == {200}
    assert sim.ledger.summary()["in_flight_max"] == 300
    for caller in callers:
        caller.connection.close()


def test_a_connection_is_kept(sim: Simulator, admin: ApiCaller) -> None:
    for _ in range(20):
        admin.get(13).ok()
    assert sim.ledger.summary()["connections_opened"] == 1


@pytest.mark.parametrize("start", ["HTTP/1.0\r\n", "HTTP/1.1\r\nConnection: close\r\n"])
def test_a_connection_that_is_not_to_be_kept(sim: Simulator, start: str) -> None:
    """Is told so and closed."""
    with dial(sim.url) as sock:
        sock.sendall(raw_call(sim.url, FETCH).replace(b"HTTP/1.1\r\n", start.encode()))
        data, _ = read_all(sock)
    assert b"\r\nConnection: close\r\n" in data
    assert data.endswith(b"</response>\n")


def test_a_request_in_single_bytes(sim: Simulator) -> None:
    with dial(sim.url) as sock:
        for byte in raw_call(sim.url, FETCH).replace(b"Host:", b"Connection: close\r\nHost:"):
            sock.sendall(bytes([byte]))
        assert read_all(sock)[0].endswith(b"</response>\n")


def test_two_requests_at_once(sim: Simulator) -> None:
    """Both are answered in their order."""
    with dial(sim.url) as sock:
        last = raw_call(sim.url, FETCH).replace(b"Host:", b"Connection: close\r\nHost:")
        sock.sendall(raw_call(sim.url, request("client.list")) + last)
        data, _ = read_all(sock)
    assert data.count(b"HTTP/1.1 200 OK") == 2
    assert data.index(b"<clients") < data.rindex(b"<client>")


def test_a_chunked_body(sim: Simulator) -> None:
    with dial(sim.url) as sock:
        body = b"".join(b"%x;ext=1\r\n%c\r\n" % (1, byte) for byte in FETCH.encode()) + b"0\r\n\r\n"
        head = f"POST /api/2.1/xml-in HTTP/1.1\r\nAuthorization: {basic('demo-admin')}\r\nConnection: close\r\n"
        sock.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + body)
        assert read_all(sock)[0].endswith(b"</response>\n")


def test_a_client_that_waits_for_100_continue(sim: Simulator) -> None:
    """As curl does with larger bodies."""
    with dial(sim.url) as sock:
        head, _, body = raw_call(sim.url, FETCH).partition(b"\r\n\r\n")
        sock.sendall(head + b"\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert read_all(sock)[0].endswith(b"</response>\n")


def test_a_length_counted_in_characters(sim: Simulator) -> None:
    """Cuts a body with accents: 40010, the classic of client authors."""
    body = '<request method="client.list"><notes>éééé</notes></request>'
    with dial(sim.url) as sock:
        call = raw_call(sim.url, body).replace(b"Host:", b"Connection: close\r\nHost:")
        sock.sendall(call.replace(b"Length: %d" % len(body.encode()), b"Length: %d" % len(body)))
        sock.shutdown(socket.SHUT_WR)
        assert b"<code>40010</code>" in read_all(sock)[0]


@pytest.mark.parametrize(
    "data, status",
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST / HTTP/3.0\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_LIMIT_BYTES + 10), b"413"),
        (b"POST / HTTP/1.1\r\nX: " + b"x" * 70_000, b"431"),
        (b"GET /api/2.1/xml-in HTTP/1.1\r\nConnection: close\r\n\r\n", b"405"),
    ],
)
def test_what_is_no_call(sim: Simulator, data: bytes, status: bytes) -> None:
    """An HTML page, the end of the connection, no entry in the ledger, and the next caller is served."""
    with dial(sim.url) as sock:
        sock.sendall(data)
        received, _ = read_all(sock)
    assert received.startswith(b"HTTP/1.1 " + status)
    with ApiCaller(sim.url) as admin:
        admin.get(13).ok()
    assert len(sim.ledger.calls()) == 1


def test_a_caller_that_leaves_in_the_middle(others: frozenset[threading.Thread], sim: Simulator) -> None:
    """No entry, no noise, no thread left."""
    for part in (b"", b"POST /api", raw_call(sim.url, FETCH)[:-5]):
        with dial(sim.url) as sock:
            sock.sendall(part)
    with ApiCaller(sim.url) as admin:
        admin.get(13).ok()
    assert len(sim.ledger.calls()) == 1
    sim.stop()
    assert not [thread for thread in {*threading.enumerate()} - others if thread.name.startswith("simulator")]


def test_restart_keeps_port_clients_and_ledger(sim: Simulator, admin: ApiCaller) -> None:
    """Open connections are lost, as in a crash."""
    url = sim.url
    client_id = admin.created()
    sim.restart()
    assert sim.url == url
    with pytest.raises(ConnectionError):
        admin.get(client_id)
    admin.connection.close()
    admin.get(client_id).ok()
    assert len(sim.ledger.calls()) == 2


def test_a_stopped_simulator_refuses_connections(sim: Simulator) -> None:
    sim.stop()
    sim.stop()
    with pytest.raises(ConnectionRefusedError):
        dial(sim.url)
    sim.start()
    with ApiCaller(sim.url) as admin:
        admin.get(13).ok()


@pytest.mark.parametrize("path", sorted(SIMULATOR.glob("*.py")), ids=lambda path: path.name)
def test_nothing_but_the_standard_library_is_imported(path: Path) -> None:
    """And the simulator itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= {*sys.stdlib_module_names, "simulator"}
