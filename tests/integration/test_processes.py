"""Several workers, and how they end."""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
from pathlib import Path

from simulator.server import Simulator
from tests.integration.conftest import settings
from tests.integration.wire import Answer, Line, ask, head
from tests.support.server import GatewayProcess

SAMPLE = re.compile(r'gateway_requests_total\{operation="client.get".*?status="200"\} ([0-9.]+)')


def workers(gateway: GatewayProcess) -> list[int]:
    children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text(encoding="ascii")
    return [int(pid) for pid in children.split()]


def both_workers(gateway: GatewayProcess) -> list[int]:
    """The first may serve before the second is there."""
    while len(found := workers(gateway)) < 2:
        assert gateway.exit_code is None
    return found


def answer_of(gateway: GatewayProcess, pid: int, path: str) -> Answer:
    """The answer of one worker: the others are stopped while it is asked."""
    others = [other for other in workers(gateway) if other != pid]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        return ask(gateway, "GET", path)
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)


def test_two_workers_give_the_same_entity_tags(gateway: GatewayProcess) -> None:
    """A caller must not see which of them answers."""
    pids = both_workers(gateway)
    for path in ("/clients/13", "/clients?per_page=3"):
        tags = [answer_of(gateway, pid, path).headers["etag"] for pid in pids]
        assert len(set(tags)) == 1


def test_the_metrics_are_those_of_all_workers(simulator: Simulator) -> None:
    """Whoever is asked for them."""
    with GatewayProcess(settings(simulator)) as gateway:
        pids = both_workers(gateway)
        for pid in pids * 3:
            assert answer_of(gateway, pid, "/clients/13").status == 200
        seen = [SAMPLE.findall(answer_of(gateway, pid, "/metrics").body.decode()) for pid in pids]
    assert seen == [["6.0"], ["6.0"]]


def test_entity_tags_survive_a_restart(gateway: GatewayProcess, simulator: Simulator) -> None:
    """They come from the record alone."""
    before = ask(gateway, "GET", "/clients/13").headers["etag"]
    with GatewayProcess(settings(simulator, GATEWAY_WORKERS="1")) as another:
        assert ask(another, "GET", "/clients/13").headers["etag"] == before


def test_a_write_under_way_is_finished_when_the_gateway_is_told_to_end(simulator: Simulator) -> None:
    """TERM: its caller gets the answer, the process ends with 0, and nothing is left."""
    simulator.faults.add("gate", gate="write", point="before_commit", methods=["client.create"], times=1)
    with GatewayProcess(settings(simulator)) as gateway, Line(gateway) as line:
        body = b'{"email": "last@example.com"}'
        line.send(head("POST /clients HTTP/1.1", Content_Type="application/json", Content_Length=len(body)) + body)
        simulator.gates.wait("write", arrived=1)
        gateway.terminate()
        simulator.gates.open("write")
        answer = line.answer()
        assert answer.status == 201
        assert answer.json["email"] == "last@example.com"
        assert gateway.wait() == 0
    assert [entry.applied for entry in simulator.ledger.calls("client.create")] == [True]


def test_an_idle_connection_does_not_keep_the_gateway_from_ending(simulator: Simulator) -> None:
    """Keep-alive is for requests, not for ever."""
    with GatewayProcess(settings(simulator)) as gateway, Line(gateway) as line:
        line.send(head("GET /livez HTTP/1.1"))
        assert line.answer().status == 200
        gateway.terminate()
        assert gateway.wait() == 0
        assert line.is_closed()


def test_a_worker_that_dies_is_replaced(simulator: Simulator) -> None:
    """And the other serves meanwhile."""
    with GatewayProcess(settings(simulator)) as gateway:
        before = both_workers(gateway)
        os.kill(before[0], signal.SIGKILL)
        answered = [ask_again(gateway) for _ in range(20)]
        assert answered == [200] * 20
        while len(after := workers(gateway)) < 2 or before[0] in after:
            assert gateway.exit_code is None
        assert ask(gateway, "GET", "/clients/13").status == 200


def ask_again(gateway: GatewayProcess) -> int:
    """A connection that the dying worker had taken is lost with it: a caller tries once more."""
    try:
        return ask(gateway, "GET", "/clients/13").status
    except (OSError, ConnectionError):
        return ask(gateway, "GET", "/clients/13").status


def test_the_log_is_one_json_line_a_request(simulator: Simulator) -> None:
    """On the standard output, from whichever worker, and complete when the gateway has ended."""
    wanted = [f"log-{number}" for number in range(20)]
    with GatewayProcess(settings(simulator)) as gateway:
        for one in wanted:
            ask(gateway, "GET", "/clients/13", X_Request_Id=one)
    lines = [line for line in gateway.log() if line.get("request_id") in wanted]
    assert sorted(line["request_id"] for line in lines) == sorted(wanted)
    assert {(line["event"], line["status"], line["operation"]) for line in lines} == {("request", 200, "client.get")}


def test_many_callers_at_once_get_their_own_answers(gateway: GatewayProcess, simulator: Simulator) -> None:
    """Sixteen at a time, each its record and its request id."""
    keys = [13, 14, 17, 18, 19, 21, 22, 23, 24, 25, 26, 28, 29, 31, 33, 34] * 8

    def get(number: int) -> tuple[int, str]:
        answer = ask(gateway, "GET", f"/clients/{keys[number]}", X_Request_Id=f"many-{number}")
        return answer.json["id"], answer.headers["x-request-id"]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(get, range(len(keys))))
    assert found == [(key, f"many-{number}") for number, key in enumerate(keys)]
    assert simulator.ledger.summary()["total"] == len(keys)
