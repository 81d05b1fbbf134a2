"""Where requests begin and end, however they arrive; and that every answer comes whole, once and in its turn."""

from __future__ import annotations

import itertools
import json
import random
import threading

import pytest

from simulator.server import Simulator
from tests.edge.callers import Caller, ask, get, post
from tests.edge.replies import Reply
from tests.operations.watching import scrape, until
from tests.support.server import GatewayProcess

KINDS = {
    "hit": (get("/clients/13", "X-Request-Id: ID"), "GET", 200),
    "miss": (get("/clients/4711", "X-Request-Id: ID"), "GET", 404),
    "page": (get("/clients?per_page=60", "X-Request-Id: ID"), "GET", 200),
    "post": (post(b"{", "X-Request-Id: ID"), "POST", 400),
    "head": (get("/clients/13", "X-Request-Id: ID").replace(b"GET", b"HEAD"), "HEAD", 200),
}
BIG = get("/clients?per_page=100")
PLAIN = get("/clients/13", "X-Request-Id: whole")
POST = post(b'{"email": 1}', "X-Request-Id: whole")


def of_kinds(kinds: tuple[str, ...]) -> list[bytes]:
    return [KINDS[kind][0].replace(b"ID", b"id-%d" % number) for number, kind in enumerate(kinds)]


def check_order(caller: Caller, kinds: tuple[str, ...]) -> None:
    for number, kind in enumerate(kinds):
        reply = caller.reply(KINDS[kind][1])
        assert (reply.header("X-Request-Id"), reply.status) == (f"id-{number}", KINDS[kind][2])


@pytest.mark.parametrize("first", KINDS)
def test_requests_in_one_segment_are_answered_in_order(gateway: GatewayProcess, first: str) -> None:
    """Whatever each of them is."""
    for others in itertools.product(KINDS, repeat=2):
        kinds = (first, *others)
        with Caller(gateway) as caller:
            caller.send(b"".join(of_kinds(kinds)))
            check_order(caller, kinds)


@pytest.mark.parametrize("seed", range(3))
def test_requests_in_segments_of_any_size_are_answered_in_order(gateway: GatewayProcess, seed: int) -> None:
    """The caller reads while it writes, and takes little at a time."""
    draw = random.Random(seed)
    kinds = tuple(draw.choices(list(KINDS), k=150))
    data = b"".join(of_kinds(kinds))
    with Caller(gateway, takes_bytes=4096) as caller:
        writer = threading.Thread(target=send_in_pieces, args=(caller, data, draw))
        writer.start()
        check_order(caller, kinds)
        writer.join()


def send_in_pieces(caller: Caller, data: bytes, draw: random.Random) -> None:
    at = 0
    while at < len(data):
        size = draw.choice((1, 3, 50, 400, 3000))
        caller.send(data[at : at + size])
        at += size


def test_hundreds_of_reads_in_one_segment_are_answered(gateway: GatewayProcess) -> None:
    """More than are read at a time."""
    with Caller(gateway) as caller:
        caller.send(b"".join(get("/clients/13", f"X-Request-Id: n-{number}") for number in range(400)))
        ids = [caller.reply().header("X-Request-Id") for _ in range(400)]
    assert ids == [f"n-{number}" for number in range(400)]


def test_what_is_no_request_after_one_is_refused_in_its_turn(gateway: GatewayProcess) -> None:
    """The read is answered, then the rest is."""
    with Caller(gateway) as caller:
        caller.send(get("/clients/13") + b"GARBAGE\r\n\r\n" + get("/clients/13"))
        assert caller.reply().status == 200
        refused = caller.reply()
        assert (refused.status, json.loads(refused.body)["code"]) == (400, "malformed_request")
        assert caller.rest() == b""


@pytest.mark.parametrize("data", [PLAIN, POST], ids=["a plain read", "a create"])
def test_a_request_in_two_segments_is_one(gateway: GatewayProcess, data: bytes) -> None:
    """Wherever it is cut: the gateway has seen the first part before it gets the second."""
    whole = normal(ask(gateway, data))
    for at in range(1, len(data)):
        with Caller(gateway) as caller:
            caller.send(data[:at])
            ask(gateway, get("/clients/13"))
            caller.send(data[at:])
            assert normal(caller.reply()) == whole, at


@pytest.mark.parametrize("data", [PLAIN, POST], ids=["a plain read", "a create"])
def test_a_request_byte_by_byte_is_one(gateway: GatewayProcess, data: bytes) -> None:
    """And so is the one that follows."""
    whole = normal(ask(gateway, data))
    with Caller(gateway) as caller:
        for _ in range(2):
            for at in range(len(data)):
                caller.send(data[at : at + 1])
            assert normal(caller.reply()) == whole


def normal(reply: Reply) -> tuple[int, str | None, bytes]:
    return reply.status, reply.header("X-Request-Id"), reply.body


def test_who_says_at_once_that_it_was_all_is_answered(gateway: GatewayProcess) -> None:
    """One request, or several; then the connection ends."""
    for data, total in ((PLAIN, 1), (POST, 1), (PLAIN * 3, 3), (PLAIN + POST + PLAIN, 3), (get("/clients/4712"), 1)):
        with Caller(gateway) as caller:
            caller.send(data)
            caller.end()
            assert [caller.reply().status for _ in range(total)]
            assert caller.rest() == b""


def test_who_ends_in_the_middle_is_not_guessed_at(gateway: GatewayProcess, simulator: Simulator) -> None:
    """Half a head is nothing; half a body is one that breaks off. Nothing reaches the upstream."""
    for data in (b"", b"G", PLAIN[:-1], POST[:40]):
        with Caller(gateway) as caller:
            caller.send(data)
            caller.end()
            assert caller.rest() == b""
    with Caller(gateway) as caller:
        caller.send(POST[:-1])
        caller.end()
        assert json.loads(caller.reply().body)["code"] == "malformed_body"
        assert caller.rest() == b""
    assert "client.create" not in simulator.ledger.summary()["by_method"]


def test_http_1_0_goes_on_only_when_asked_to(gateway: GatewayProcess) -> None:
    """As it has always been."""
    old = b"GET /clients/13 HTTP/1.0\r\nHost: localhost\r\n%s\r\n"
    with Caller(gateway) as caller:
        caller.send(old % b"Connection: keep-alive\r\n")
        assert caller.reply().header("Connection") == "keep-alive"
        caller.send(old % b"")
        assert caller.reply().header("Connection") == "close"
        assert caller.rest() == b""


@pytest.mark.parametrize("data", [b"", PLAIN[:30], PLAIN, POST[:-1], POST, BIG * 20])
def test_a_caller_that_resets_the_connection_does_no_harm(gateway: GatewayProcess, data: bytes) -> None:
    """At whatever point; and it is no reason to raise the alarm."""
    for _ in range(10):
        caller = Caller(gateway)
        caller.send(data)
        caller.abort()
    assert ask(gateway, PLAIN).status == 200
    assert alarms(gateway) == []


def alarms(gateway: GatewayProcess) -> list[dict[str, object]]:
    return [line for line in gateway.log() if line["level"] in ("error", "critical")]


@pytest.mark.parametrize("data", [get("/clients/21"), get("/clients/22", "Prefer: wait=9")], ids=["plain", "not plain"])
def test_a_caller_that_hangs_up_while_its_request_is_served_does_no_harm(
    gateway: GatewayProcess, simulator: Simulator, data: bytes
) -> None:
    """The answer has nobody to go to: that is all."""
    simulator.faults.add("gate", gate="held", point="before_commit", methods=["client.get"], times=1)
    with Caller(gateway) as caller:
        caller.send(data)
        simulator.gates.wait("held")
        caller.abort()
    ask(gateway, PLAIN)
    simulator.gates.open("held")
    until(lambda: scrape(gateway)["gateway_requests_in_flight"][()] <= 1, gateway)
    assert ask(gateway, data).status == 200
    assert alarms(gateway) == []


def test_answers_that_nobody_takes_wait_and_come_whole(gateway: GatewayProcess) -> None:
    """More than fits between the two: nothing is lost, cut or mixed up once the caller reads."""
    body = ask(gateway, BIG).body
    asked_total = 200
    with Caller(gateway, takes_bytes=4096) as caller:
        writer = threading.Thread(target=caller.send, args=(BIG * asked_total,))
        writer.start()
        ask(gateway, PLAIN)
        replies = [caller.reply() for _ in range(asked_total)]
        writer.join()
    assert asked_total * len(body) > 8 * 1024 * 1024
    assert {(reply.status, reply.body == body) for reply in replies} == {(200, True)}


@pytest.mark.parametrize("expects", ["100-continue", "100-Continue"])
def test_leave_to_go_on_is_given_once(gateway: GatewayProcess, expects: str) -> None:
    """Before the body comes if it is waited for, and also when the body comes along."""
    head, body = post(b"{", f"Expect: {expects}")[:-1], b"{"
    with Caller(gateway) as caller:
        caller.send(head)
        assert caller.reply("POST").status_line == "HTTP/1.1 100 Continue"
        caller.send(body)
        assert caller.reply("POST").status == 400
        caller.send(head + body)
        assert [caller.reply("POST").status for _ in range(2)] == [100, 400]
        caller.end()
        assert caller.rest() == b""
