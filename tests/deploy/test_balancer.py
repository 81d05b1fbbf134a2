"""The shipped nginx configuration, run: what is tried at another gateway, what is not, and what callers are told."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from simulator.server import Simulator
from tests.deploy.balancer import SHIPPED, Balancer
from tests.deploy.times import grace_s, seconds
from tests.integration.conftest import settings
from tests.support.misbehaving import Misbehaving, Peer, http
from tests.support.pages import ROOT
from tests.support.server import GatewayProcess

READS = ["GET", "HEAD", "OPTIONS"]
WRITES = ["POST", "PUT", "PATCH", "DELETE"]
BODY = b'{"email": "a@example.com"}'
DONE = http(b'{"id": 13}', headers="Content-Type: application/json\r\n")
LAST = http(b'{"id": 13}', headers="Content-Type: application/json\r\nConnection: close\r\n")
"""The same from a gateway that then closes, and says so as a real one does: no read is sent into the close."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(balancer: Balancer, method: str, path: str = "/clients/13", **headers: str) -> Answer:
    """One request on a connection of its own; writes carry a body, but DELETE."""
    connection = balancer.connect()
    try:
        body = BODY if method in ("POST", "PUT", "PATCH") else None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return Answer(response.status, {n.lower(): v for n, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def take(peer: Peer) -> bytes:
    """One request, with a body or without; raises ConnectionError when there is none."""
    reader = peer.sock.makefile("rb")
    head = b"".join(itertools.takewhile(lambda line: line != b"\r\n", reader))
    if not head:
        raise ConnectionError("the balancer is gone")
    length = re.search(rb"^content-length: (\d+)", head, re.IGNORECASE | re.MULTILINE)
    return head + b"\r\n" + reader.read(int(length[1]) if length else 0)


@dataclass
class Gateways:
    """A dead port, or a server that notes each request it gets and does `deed` then, and one that answers."""

    taken: list[bytes] = field(default_factory=list)

    def taking_then(self, deed: Callable[[Peer], None]) -> Misbehaving:
        def script(peer: Peer) -> None:
            self.taken.append(take(peer))
            deed(peer)

        return Misbehaving(script)

    def answering(self) -> Misbehaving:
        return self.taking_then(lambda peer: peer.send(LAST))


@pytest.fixture
def dead() -> Iterator[str]:
    """An address that refuses connections: bound, and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def at(server: Misbehaving) -> str:
    return f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("method", READS + WRITES)
def test_one_of_two_gateways_refuses_connections(tmp_path: Path, dead: str, method: str) -> None:
    """No caller notices: nothing was sent, so any request may go to the other one."""
    gateways = Gateways()
    with gateways.answering() as alive, Balancer(tmp_path, [dead, at(alive)]) as balancer:
        assert [ask(balancer, method).status for _ in range(4)] == [200] * 4
    assert len(gateways.taken) == 4


@pytest.mark.parametrize("deed", [Peer.reset, lambda peer: None], ids=["reset", "closed"])
@pytest.mark.parametrize("method", WRITES)
def test_a_write_whose_connection_broke_after_it_was_sent(
    tmp_path: Path, method: str, deed: Callable[[Peer], None]
) -> None:
    """Is sent once and no more, be its method idempotent by the standard: its caller is told that nobody knows."""
    gateways = Gateways()
    with (
        gateways.taking_then(deed) as first,
        gateways.taking_then(deed) as second,
        Balancer(tmp_path, [at(first), at(second)]) as balancer,
    ):
        answer = ask(balancer, method, X_Request_Id="rid-1")
    assert len(gateways.taken) == 1
    assert answer.status == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "rid-1"
    assert answer.json == {
        "type": "about:blank",
        "title": "No gateway answered",
        "status": 502,
        "code": "no_gateway_answered",
        "request_id": "rid-1",
        "retryable": False,
        "outcome": "unknown",
    }


def test_a_write_with_a_key_whose_connection_broke_may_be_sent_again_by_its_caller(tmp_path: Path) -> None:
    """The balancer does not do it, but the key makes it safe for the caller, who is told so."""
    gateways = Gateways()
    with gateways.taking_then(Peer.reset) as first, Balancer(tmp_path, [at(first)]) as balancer:
        answer = ask(balancer, "POST", "/clients", Idempotency_Key="order-4711")
    assert (len(gateways.taken), answer.json["outcome"], answer.json["retryable"]) == (1, "unknown", True)


@pytest.mark.parametrize("method", READS)
def test_a_read_whose_connection_broke_after_it_was_sent(tmp_path: Path, method: str) -> None:
    """Goes to the other gateway, and its caller gets the answer."""
    gateways = Gateways()
    with (
        gateways.taking_then(Peer.reset) as broken,
        gateways.answering() as alive,
        Balancer(tmp_path, [at(broken), at(alive)]) as balancer,
    ):
        assert ask(balancer, method).status == 200
    assert len(gateways.taken) == 2


@pytest.mark.parametrize("method", READS + WRITES)
def test_no_gateway_can_be_reached(tmp_path: Path, dead: str, method: str) -> None:
    """A write was not applied, and anybody may try again."""
    with Balancer(tmp_path, [dead, dead]) as balancer:
        answer = ask(balancer, method)
    assert answer.status == 502
    assert answer.headers["retry-after"] == "1"
    if method != "HEAD":
        assert answer.json["retryable"] is True
        assert answer.json.get("outcome") == ("not_applied" if method in WRITES else None)
        assert answer.json["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_gateways_own_errors(tmp_path: Path, method: str, status: str) -> None:
    """Come through as they are, and nobody else is asked: they are about the upstream, not about the gateway."""
    gateways = Gateways()
    body = b'{"code": "upstream_failed"}'
    refusing = gateways.taking_then(lambda peer: peer.send(http(body, status=status)))
    with refusing, Balancer(tmp_path, [at(refusing)]) as balancer:
        answer = ask(balancer, method)
    assert (answer.status, answer.body, len(gateways.taken)) == (int(status[:3]), body, 1)


def test_what_a_gateway_must_hear_comes_through(tmp_path: Path) -> None:
    """Headers and the path as the caller wrote it; nothing is added that would change an answer."""
    sent = {
        "X-Request-Id": "rid-2",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "Idempotency-Key": "order-4711",
        "If-Match": '"abc"',
        "If-None-Match": '"def"',
        "Prefer": "wait=3",
        "Authorization": "Bearer secret",
        "Cache-Control": "no-cache",
    }
    gateways = Gateways()
    with gateways.answering() as alive, Balancer(tmp_path, [at(alive)]) as balancer:
        ask(balancer, "PATCH", "/clients/1%33?x=a%2Fb", **{n.replace("-", "_"): v for n, v in sent.items()})
    log = balancer.log()
    head = gateways.taken[0].decode().split("\r\n")
    assert head[0] == "PATCH /clients/1%33?x=a%2Fb HTTP/1.1"
    assert {f"{name}: {value}".lower() for name, value in sent.items()} <= {line.lower() for line in head}
    assert gateways.taken[0].endswith(BODY)
    assert "secret" not in log
    assert "x=a" not in log


def test_a_request_without_an_id_gets_one(tmp_path: Path) -> None:
    """So that the balancer's line and the gateway's are found together."""
    gateways = Gateways()
    with gateways.answering() as alive, Balancer(tmp_path, [at(alive)]) as balancer:
        ask(balancer, "GET")
    [line] = [json.loads(line) for line in balancer.log().splitlines()]
    assert f"X-Request-Id: {line['request_id']}\r\n".encode() in gateways.taken[0]


def test_a_write_has_a_connection_of_its_own(tmp_path: Path) -> None:
    """One that is kept might be closed just as the write is sent."""
    gateways = Gateways()

    def script(peer: Peer) -> None:
        while True:
            gateways.taken.append(take(peer))
            peer.send(DONE)

    with Misbehaving(script) as alive, Balancer(tmp_path, [at(alive)]) as balancer:
        connections = []
        for method in ("GET", "POST", "POST", "PUT"):
            ask(balancer, method)
            connections.append(alive.connections_total)
    assert connections == [1, 2, 3, 4]
    assert [b"Connection: close" in request for request in gateways.taken] == [False, True, True, True]


def test_a_body_that_is_too_large_for_the_balancer(tmp_path: Path) -> None:
    """Is refused in the gateway's form."""
    gateways = Gateways()
    with gateways.answering() as alive, Balancer(tmp_path, [at(alive)]) as balancer:
        connection = balancer.connect()
        connection.putrequest("POST", "/clients")
        connection.putheader("Content-Length", str(3 * 1024 * 1024))
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == 413
        assert json.loads(response.read())["code"] == "body_too_large"
        connection.close()
    assert gateways.taken == []


def test_two_real_gateways_one_of_which_ends(tmp_path: Path, simulator: Simulator) -> None:
    """Reads and writes go on at the other, and entity tags come through as the gateway makes them."""
    env = settings(simulator, STORE_URL=str(tmp_path / "shared"), GATEWAY_DRAIN_S="0")
    with GatewayProcess(env) as staying, GatewayProcess(env) as leaving:
        folder = tmp_path / "nginx"
        folder.mkdir()
        names = [f"{gateway.host}:{gateway.port}" for gateway in (staying, leaving)]
        with Balancer(folder, names) as balancer:
            before = [ask(balancer, "GET") for _ in range(4)]
            leaving.terminate()
            leaving.wait()
            after = [ask(balancer, "GET") for _ in range(4)]
            created = ask(balancer, "POST", "/clients", Content_Type="application/json", Idempotency_Key="k-1")
    assert [answer.status for answer in before + after] == [200] * 8
    assert len({answer.headers["etag"] for answer in before + after}) == 1
    assert not before[0].headers["etag"].startswith("W/")
    assert created.status == 201


def test_the_balancer_waits_longer_than_a_gateway_takes() -> None:
    """Whoever gives up first does not know the outcome; and a kept connection is given up by the balancer first."""
    nginx = (SHIPPED / "nginx.conf").read_text(encoding="utf-8")
    gunicorn = (ROOT / "gunicorn.conf.py").read_text(encoding="utf-8")
    [read] = re.findall(r"^ *proxy_read_timeout (\w+);", nginx, re.MULTILINE)
    [kept] = re.findall(r"keepalive 64;[^}]*keepalive_timeout (\w+);", nginx)
    [keepalive] = re.findall(r"^keepalive = (\d+)$", gunicorn, re.MULTILINE)
    [deadline] = [one for one in dataclasses.fields(Settings) if one.name == "upstream_deadline_s"]
    assert seconds(read) >= float(deadline.metadata["default"]) + grace_s()
    assert seconds(kept) < float(keepalive)
