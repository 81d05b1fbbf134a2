"""Every fault, as a caller meets it on the wire, and what it leaves behind."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from simulator.fault_catalogue import FAULTS
from simulator.refusal import Refused
from simulator.server import Simulator
from tests.simulator.api_caller import ApiCaller, Reply, dial, elements, raw_call, read_all, request
from tests.simulator.conftest import Certificates

RENAME = request("client.update", f"<client>{elements({'client_id': 13, 'first_name': 'Renamed'})}</client>")
FETCH = request("client.get", "<client_id>13</client_id>")


@pytest.fixture
def sock(sim: Simulator) -> Iterator[socket.socket]:
    with dial(sim.url) as connected:
        yield connected


def renamed(sim: Simulator) -> bool:
    client = sim.store.find(13)
    assert client is not None
    return client.texts["first_name"] == "Renamed"


def entry(sim: Simulator) -> tuple[str | None, bool, str | None]:
    """Fault, applied and outcome of the last call."""
    last = sim.ledger.calls()[-1]
    return last.fault, last.applied, last.outcome


BROKEN: list[tuple[str, dict[str, Any], bool, Callable[[bytes], bool], bool]] = [
    ("reset_before", {}, False, lambda data: data == b"", True),
    ("commit_then_drop", {}, True, lambda data: data == b"", True),
    ("reset_in_headers", {}, True, lambda data: data == b"HTTP/1.1 200 OK\r\nCon", True),
    ("reset_in_headers", {"bytes_sent": 3}, True, lambda data: data == b"HTT", True),
    ("cut_body", {}, True, lambda data: b"Content-Length" in data and b"</response>" not in data, False),
    (
        "cut_body",
        {"declare_length": False, "fraction": 0.9},
        True,
        lambda data: b"Content-Length" not in data and b"<response" in data and b"/>" not in data,
        False,
    ),
    ("cut_body", {"fraction": 0}, True, lambda data: data.endswith(b"\r\n\r\n"), False),
]


@pytest.mark.parametrize("fault, params, applied, received, is_reset", BROKEN)
def test_a_broken_connection(
    sim: Simulator,
    sock: socket.socket,
    fault: str,
    params: dict[str, Any],
    applied: bool,
    received: Callable[[bytes], bool],
    is_reset: bool,
) -> None:
    """What arrives before the end, how it ends, and whether the change was made."""
    sim.faults.add(fault, times=1, **params)
    sock.sendall(raw_call(sim.url, RENAME))
    data, was_reset = read_all(sock)
    assert received(data), data
    assert was_reset == is_reset
    assert renamed(sim) == applied
    assert entry(sim) == (fault, applied, f"fault {fault}")


REPLACED: list[tuple[str, dict[str, Any], int, Callable[[Reply], bool]]] = [
    ("html_page", {}, 200, lambda r: r.headers["content-type"].startswith("text/html") and b"<html>" in r.body),
    ("redirect", {}, 302, lambda r: r.headers["location"] == "https://www.freshbooks.com/find-your-login"),
    ("redirect", {"location": "/login"}, 302, lambda r: r.headers["location"] == "/login"),
    ("redirect", {"deactivated": True}, 302, lambda r: "deactivated" in r.headers["location"]),
    ("unauthorized", {}, 401, lambda r: r.fault[0] == "20010" and "www-authenticate" in r.headers),
    ("forbidden_api", {}, 400, lambda r: b"not enabled" in r.body),
    ("maintenance", {}, 503, lambda r: "retry-after" not in r.headers and b"<html>" in r.body),
    ("maintenance", {"retry_after": "120"}, 503, lambda r: r.headers["retry-after"] == "120"),
    ("server_error", {}, 500, lambda r: b"<html>" in r.body),
    ("server_error", {"status": 504}, 504, lambda r: b"<html>" in r.body),
    ("throttle", {}, 429, lambda r: "retry-after" not in r.headers),
    ("unknown_fault", {}, 200, lambda r: r.fault == ("99999", "Something unusual happened.")),
    ("unknown_fault", {"code": None, "text": "a < b"}, 200, lambda r: r.fault == (None, "a < b")),
    (
        "custom_body",
        {"text": "☃"},
        200,
        lambda r: r.body == "☃".encode() and r.headers["content-type"] == "application/xml",
    ),
    (
        "custom_body",
        {"status": 418, "headers": {"X-Tea": "pot"}, "base64": "AP8="},
        418,
        lambda r: r.body == b"\x00\xff" and r.headers["x-tea"] == "pot",
    ),
]


@pytest.mark.parametrize("commit", [False, True])
@pytest.mark.parametrize("fault, params, status, looks_right", REPLACED)
def test_another_answer(
    sim: Simulator,
    admin: ApiCaller,
    fault: str,
    params: dict[str, Any],
    status: int,
    looks_right: Callable[[Reply], bool],
    commit: bool,
) -> None:
    """The answer of somebody else, with the work done or not, on a connection that goes on."""
    sim.faults.add(fault, times=1, commit=commit, **params)
    reply = admin.send(RENAME)
    assert reply.status == status
    assert looks_right(reply), reply
    assert renamed(sim) == commit
    assert entry(sim) == (fault, commit, f"fault {fault}")
    admin.get(13).ok()
    assert len({call.connection for call in sim.ledger.calls()}) == 1


def test_a_foreign_namespace(sim: Simulator, admin: ApiCaller) -> None:
    """Well-formed, right local names, not the API's own; whatever the namespace switch says."""
    sim.faults.add("wrong_namespace")
    for namespace in ("default", "none", "prefix"):
        sim.switches.set(namespace=namespace)
        assert ElementTree.fromstring(admin.get(13).body).tag == "{http://example.com/not-the-api/}response"


def test_another_root(sim: Simulator, admin: ApiCaller) -> None:
    sim.faults.add("wrong_root")
    for namespace in ("default", "prefix"):
        sim.switches.set(namespace=namespace)
        assert admin.get(13).root.tag == "reply"
        assert admin.delete(14).root.tag == "reply"
        sim.store.reset()


def test_an_answer_that_is_no_xml(sim: Simulator, admin: ApiCaller) -> None:
    sim.faults.add("not_xml")
    reply = admin.send(RENAME)
    assert reply.headers["content-type"] == "application/xml"
    with pytest.raises(ElementTree.ParseError):
        ElementTree.fromstring(reply.body)
    assert renamed(sim)


def test_an_answer_with_a_doctype(sim: Simulator, admin: ApiCaller) -> None:
    """A trusting parser expands its entity into the e-mail."""
    sim.faults.add("doctype")
    reply = admin.get(13)
    assert b"<!DOCTYPE" in reply.body
    assert reply.root.findtext("client/email") == "janedoe@freshbooks.comexpanded"


@pytest.mark.parametrize("declare_length", [True, False])
def test_a_huge_answer(sim: Simulator, admin: ApiCaller, declare_length: bool) -> None:
    """Exactly as long as asked for, and well-formed."""
    sim.faults.add("huge", bytes=3_000_000, declare_length=declare_length)
    reply = admin.get(13)
    assert len(reply.body) == 3_000_000
    assert ("content-length" in reply.headers) == declare_length
    assert reply.root.get("status") == "ok"


def test_a_compressed_answer(sim: Simulator, admin: ApiCaller) -> None:
    """Uninvited: nobody sent Accept-Encoding: gzip."""
    before = admin.get(13).body
    sim.faults.add("gzip")
    reply = admin.get(13)
    assert reply.headers["content-encoding"] == "gzip"
    assert gzip.decompress(reply.body) == before


def test_an_empty_answer(sim: Simulator, admin: ApiCaller) -> None:
    sim.faults.add("empty")
    reply = admin.send(RENAME)
    assert (reply.status, reply.body) == (200, b"")
    assert renamed(sim)


def test_a_denied_action(sim: Simulator, admin: ApiCaller) -> None:
    """Checks first, then 50020; reads pass."""
    sim.faults.add("deny_action")
    assert admin.delete(13).fault == ("50020", "Failed to delete client. Request failed.")
    assert admin.create(email="a@b.example").fault == ("50020", "Failed to create client. Request failed.")
    assert admin.delete(12).fault[0] == "50010"
    assert not renamed(sim)
    admin.get(13).ok()


def test_an_idle_connection_that_is_dead(sim: Simulator, sock: socket.socket) -> None:
    """Answered in full without a word of closing, then closed."""
    sim.faults.add("close_idle", times=1)
    sock.sendall(raw_call(sim.url, FETCH))
    data, was_reset = read_all(sock)
    assert data.endswith(b"</response>\n")
    assert b"Connection" not in data
    assert not was_reset


def test_an_idle_connection_that_dies_on_its_next_use(sim: Simulator, admin: ApiCaller) -> None:
    """The second request meets a reset; it is not done and not in the ledger."""
    sim.faults.add("close_idle", times=1, when="on_next_use")
    admin.get(13).ok()
    with pytest.raises(ConnectionError):
        admin.send(RENAME)
    assert not renamed(sim)
    assert len(sim.ledger.calls()) == 1


@pytest.mark.parametrize("commit", [False, True])
def test_a_black_hole(sim: Simulator, sock: socket.socket, commit: bool) -> None:
    """Nothing is answered; clearing the fault ends the connection."""
    sim.faults.add("blackhole", commit=commit)
    sim.faults.add("gate", gate="worked", point="after_commit")
    sock.sendall(raw_call(sim.url, RENAME))
    sim.gates.wait("worked")
    assert renamed(sim) == commit
    sim.gates.open("worked")
    sock.settimeout(0.05)
    with pytest.raises(TimeoutError):
        sock.recv(1)
    sock.settimeout(30)
    sim.faults.clear()
    assert read_all(sock)[0] == b""
    assert sim.ledger.wait_idle()


def test_a_black_hole_whose_caller_gives_up(sim: Simulator, sock: socket.socket) -> None:
    """The call is over when its connection is."""
    sim.faults.add("blackhole")
    sock.sendall(raw_call(sim.url, RENAME))
    assert sim.ledger.wait_for(1)
    sock.close()
    assert sim.ledger.wait_idle()
    assert entry(sim) == ("blackhole", False, "fault blackhole")


def test_slow_with_the_work_done_first(sim: Simulator, sock: socket.socket) -> None:
    """The change is there while the answer is not; clearing the fault lets the answer go."""
    sim.faults.add("slow", delay_s=50)
    sim.faults.add("gate", gate="done", point="after_commit")
    sock.sendall(raw_call(sim.url, RENAME))
    sim.gates.wait("done")
    assert renamed(sim)
    sim.gates.open("done")
    sim.faults.clear()
    assert received_call(sock).endswith(b'status="ok"/>\n')


def test_slow_with_the_work_done_late(sim: Simulator, sock: socket.socket) -> None:
    """The change is made after the pause, whether or not the caller still waits."""
    sim.faults.add("slow", delay_s=50, commit=False)
    sock.sendall(raw_call(sim.url, RENAME))
    assert sim.ledger.wait_for(1)
    assert not renamed(sim)
    sock.close()
    sim.faults.clear()
    assert sim.ledger.wait_idle()
    assert renamed(sim)


def test_slow_goes_on_by_itself(sim: Simulator, admin: ApiCaller) -> None:
    sim.faults.add("slow", delay_s=0.05)
    admin.get(13).ok()
    last = sim.ledger.calls()[-1]
    assert last.ended_s is not None
    assert last.ended_s - last.started_s >= 0.05


@pytest.mark.parametrize("fault", ["drip", "slow_headers"])
def test_dripping(sim: Simulator, sock: socket.socket, fault: str) -> None:
    """Some bytes at a time; the rest at once when the fault is cleared; nothing is lost."""
    sim.faults.add(fault, interval_s=50, bytes_per_step=5)
    sock.sendall(raw_call(sim.url, FETCH))
    first = sock.recv(5)
    assert first == b"HTTP/"
    assert renamed(sim) is False
    sim.faults.clear()
    whole = first + received_call(sock)
    assert whole.endswith(b"</response>\n")


@pytest.mark.parametrize("fault", ["drip", "slow_headers"])
def test_dripping_to_the_end(sim: Simulator, admin: ApiCaller, fault: str) -> None:
    before = admin.get(13).body
    sim.faults.add(fault, interval_s=0.001, bytes_per_step=100)
    assert admin.get(13).body == before


def test_refused_connections(sim: Simulator, admin: ApiCaller) -> None:
    """New ones are refused, idle ones end, the port stays ours, and afterwards all is as before."""
    admin.get(13).ok()
    port = sim.port
    sim.faults.add("refuse")
    with pytest.raises(ConnectionRefusedError):
        dial(sim.url)
    with pytest.raises(ConnectionError):
        admin.get(13)
    with pytest.raises(OSError, match="in use"):
        Simulator(bind=f"127.0.0.1:{port}").start()
    sim.faults.clear()
    admin.connection.close()
    admin.get(13).ok()
    assert sim.port == port


def test_refused_for_a_while(sim: Simulator, admin: ApiCaller) -> None:
    """The fault ends by itself."""
    sim.faults.add("refuse", for_s=0.02)
    released = threading.Event()

    def call_until_answered() -> None:
        while not released.is_set():
            try:
                admin.get(13).ok()
                released.set()
            except ConnectionError:
                admin.connection.close()

    caller = threading.Thread(target=call_until_answered, daemon=True)
    caller.start()
    assert released.wait(30)
    caller.join()
    assert sim.faults.listing() == []


def test_a_reset_at_accept(sim: Simulator, admin: ApiCaller) -> None:
    """So many connections as asked for, before anything is read."""
    sim.faults.add("accept_close", times=2, skip=1)
    with dial(sim.url) as passed:
        assert [is_reset_at_once(sim.url) for _ in range(2)] == [True, True]
        passed.sendall(raw_call(sim.url, FETCH))
        assert received_call(passed).endswith(b"</response>\n")
    admin.get(13).ok()


def test_a_stall_at_accept(sim: Simulator, sock: socket.socket) -> None:
    """Accepted and never answered, until the fault is cleared."""
    sock.sendall(raw_call(sim.url, FETCH))
    assert received_call(sock).endswith(b"</response>\n")
    sim.faults.add("stall_accept", times=1)
    with dial(sim.url) as stalled:
        stalled.sendall(raw_call(sim.url, FETCH))
        sock.sendall(raw_call(sim.url, FETCH))
        assert received_call(sock).endswith(b"</response>\n")
        wait_until_struck(sim)
        stalled.settimeout(0.05)
        with pytest.raises(TimeoutError):
            stalled.recv(1)
        stalled.settimeout(30)
        sim.faults.clear()
        assert read_all(stalled)[0] == b""
    assert len(sim.ledger.calls()) == 2


def test_tls_that_takes_its_time(certificates: Certificates) -> None:
    """The handshake begins late, then all goes on."""
    with Simulator(tls_cert_file=certificates.cert_file, tls_key_file=certificates.key_file) as sim:
        sim.faults.add("slow_tls", delay_s=0.05, times=1)
        with ApiCaller(sim.url, context=certificates.context()) as admin:
            admin.get(13).ok()
        assert sim.faults.listing()[0]["struck"] == 1


def wait_until_struck(sim: Simulator) -> None:
    give_up_at = time.monotonic() + 30
    while not sim.faults.listing()[0]["struck"]:
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def clear_when_struck(sim: Simulator) -> None:
    wait_until_struck(sim)
    sim.faults.clear()


@pytest.mark.parametrize("fault", ["stall_accept", "accept_close", "reset_before", "cut_body"])
def test_faults_over_tls(certificates: Certificates, fault: str) -> None:
    """A broken connection is one below TLS too; the next one works."""
    with Simulator(tls_cert_file=certificates.cert_file, tls_key_file=certificates.key_file) as sim:
        sim.faults.add(fault, times=1)
        with ApiCaller(sim.url, context=certificates.context()) as admin:
            if fault == "stall_accept":
                threading.Thread(target=clear_when_struck, args=(sim,)).start()
            with pytest.raises((ConnectionError, ssl.SSLError, http.client.HTTPException)):
                admin.get(13)
            admin.connection.close()
            admin.get(13).ok()


def test_times_skip_and_methods(sim: Simulator, admin: ApiCaller) -> None:
    """The first matching calls pass, so many are struck, other methods never."""
    sim.faults.add("maintenance", methods=["client.get"], skip=1, times=2)
    seen = [(admin.get(13).status, admin.list().status) for _ in range(4)]
    assert seen == [(200, 200), (503, 200), (503, 200), (200, 200)]
    assert [(rule["remaining"], rule["struck"]) for rule in sim.faults.listing()] == [(0, 2)]


def test_the_oldest_fault_that_fits_strikes(sim: Simulator, admin: ApiCaller) -> None:
    """One after the other; the later ones do not count calls that they do not strike."""
    sim.faults.add("server_error", times=1)
    sim.faults.add("maintenance", times=1)
    assert [admin.get(13).status for _ in range(3)] == [500, 503, 200]


def test_a_request_without_a_readable_method(sim: Simulator, admin: ApiCaller) -> None:
    """Is struck only by faults for all methods."""
    sim.faults.add("maintenance", methods=["client.get"])
    assert admin.send(b"<").fault[0] == "40010"
    sim.faults.add("server_error")
    assert admin.send(b"<").status == 500


@pytest.mark.parametrize(
    "given",
    [
        {"fault": "nonsense"},
        {"fault": "slow", "delay": 1},
        {"fault": "slow", "delay_s": -1},
        {"fault": "slow", "delay_s": "1"},
        {"fault": "slow", "commit": 1},
        {"fault": "gate"},
        {"fault": "gate", "gate": "g", "point": "somewhere"},
        {"fault": "slow_tls"},
        {"fault": "refuse", "times": 1},
        {"fault": "accept_close", "methods": ["client.get"]},
        {"fault": "slow", "methods": "client.get"},
        {"fault": "slow", "methods": 5},
        {"fault": "slow", "times": -1},
        {"fault": "slow", "times": True},
        {"fault": "slow", "skip": None},
        {"fault": "custom_body", "base64": "not base64"},
        {"fault": "custom_body", "headers": {"X": 1}},
        {"fault": "drip", "bytes_per_step": 0},
        {},
    ],
)
def test_a_fault_that_makes_no_sense(sim: Simulator, given: dict[str, Any]) -> None:
    """Refused, and nothing is in force."""
    with pytest.raises(Refused):
        sim.faults.add_json(given)
    assert sim.faults.listing() == []


def test_every_fault_is_tried_here() -> None:
    with open(__file__, encoding="utf-8") as source:
        text = source.read()
    assert [name for name in FAULTS if f'"{name}"' not in text] == []


def is_reset_at_once(url: str) -> bool:
    """Whether the connection is reset with nothing sent; the reset may come before `connect` returns."""
    try:
        with dial(url) as struck:
            return read_all(struck) == (b"", True)
    except ConnectionResetError:
        return True


def received_call(sock: socket.socket) -> bytes:
    """An answer up to the end of its XML."""
    received = b""
    while not received.endswith((b"</response>\n", b'status="ok"/>\n')):
        data = sock.recv(65536)
        assert data, received
        received += data
    return received
