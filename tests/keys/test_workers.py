"""Keys among the workers of a real gunicorn, some of which are killed. Over both stores, and over two gateways behind
nginx."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from simulator.server import Simulator
from tests.deploy.balancer import Balancer
from tests.keys.ground import count
from tests.support.redis_server import RedisServer
from tests.support.server import GatewayProcess

CALLERS = 100
PATIENCE_S = 60


@pytest.fixture(scope="module")
def upstream() -> Iterator[Simulator]:
    """One that is never put back to its start: like the real service, it gives no id twice."""
    with Simulator() as running:
        yield running


@pytest.fixture
def simulator(upstream: Simulator) -> Simulator:
    """Without faults, and with an empty ledger."""
    upstream.faults.clear()
    upstream.ledger.clear()
    return upstream


@dataclass(frozen=True)
class Served:
    """How callers reach the gateways, and the processes that watch their workers."""

    connect: Callable[[], http.client.HTTPConnection]
    pids: Sequence[int]


@pytest.fixture(scope="module", params=["embedded", "redis", "two behind nginx"])
def gateway(
    request: pytest.FixtureRequest,
    upstream: Simulator,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """Four workers with room for every caller, and times so short that a test can await them."""
    folder: Path = tmp_path_factory.mktemp("store")
    env = {
        "UPSTREAM_URL": upstream.url,
        "UPSTREAM_TOKEN": "demo-admin",
        "UPSTREAM_DEADLINE_S": "3",
        "UPSTREAM_IN_FLIGHT_MAX": "128",
        "IDEMPOTENCY_SETTLE_S": "1",
        "GATEWAY_AUTH": "open",
        "GATEWAY_WORKERS": "2" if request.param == "two behind nginx" else "4",
        "GATEWAY_THREADS": "128",
        "STORE_URL": str(folder) if request.param == "embedded" else redis_server.url,
    }
    with ExitStack() as stack:
        first = stack.enter_context(GatewayProcess(env))
        if request.param != "two behind nginx":
            yield Served(first.connect, [first.pid])
            return
        both = [first, stack.enter_context(GatewayProcess(env))]
        folder = tmp_path_factory.mktemp("nginx")
        balancer = stack.enter_context(Balancer(folder, [f"{one.host}:{one.port}" for one in both]))
        yield Served(balancer.connect, [one.pid for one in both])


def post(gateway: Served, key: str) -> tuple[int, http.client.HTTPMessage, Any]:
    """Status, headers and JSON of a create that has the key in its address. Raises as `http.client` does."""
    connection = gateway.connect()
    try:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        connection.request("POST", "/clients", json.dumps({"email": f"{key}@engines.example"}), headers)
        response = connection.getresponse()
        return response.status, response.headers, json.loads(response.read())
    finally:
        connection.close()


def test_a_hundred_at_once_with_one_key(gateway: Served, simulator: Simulator) -> None:
    """One client, one id in every 201; the others are told that it is in flight, and get the answer later."""
    key = f"hundred-{uuid4().hex}"
    start = threading.Barrier(CALLERS)

    def post_together(_: int) -> tuple[int, http.client.HTTPMessage, Any]:
        start.wait(PATIENCE_S)
        return post(gateway, key)

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(post_together, range(CALLERS)))
    (made,) = made_by(key, simulator)
    assert count(simulator, "client.create") == 1
    statuses = Counter((status, body.get("code")) for status, _, body in answers)
    assert set(statuses) <= {(201, None), (409, "key_in_flight")}, statuses
    assert statuses[201, None] >= 1
    assert {body["id"] for status, _, body in answers if status == 201} == {made}
    assert sum(status == 201 and "Idempotency-Replayed" not in headers for status, headers, _ in answers) == 1
    for _ in range(8):
        status, headers, body = post(gateway, key)
        assert (status, headers["Idempotency-Replayed"], body["id"]) == (201, "true", made)


def test_the_workers_are_killed_in_the_middle_of_creates(gateway: Served, simulator: Simulator) -> None:
    """Whether a create was committed by then, is so later, or never: one client, and its key ends in 201 with it."""
    committed, late, never = (f"{fate}-{uuid4().hex}" for fate in ("committed", "late", "never"))
    with ThreadPoolExecutor(3) as pool:
        orphans = [send_to_gate(pool, gateway, simulator, committed, "after_commit")]
        orphans.append(send_to_gate(pool, gateway, simulator, late, "before_commit"))
        simulator.faults.add("reset_before", methods=["client.create"], times=1)
        orphans.append(send_to_gate(pool, gateway, simulator, never, "before_commit"))
        kill_workers(gateway)
        for orphan in orphans:
            assert is_lost(orphan)
    for key in (committed, late, never):
        simulator.gates.open(key)
    assert simulator.ledger.wait_idle()
    assert [len(made_by(key, simulator)) for key in (committed, late, never)] == [1, 1, 0]
    for key in (committed, late, never):
        assert [insist(gateway, key)["id"]] == made_by(key, simulator)
    assert count(simulator, "client.create") == 4


def send_to_gate(pool: ThreadPoolExecutor, gateway: Served, simulator: Simulator, key: str, point: str) -> Future[Any]:
    """A create that waits at a gate named like its key."""
    simulator.faults.add("gate", gate=key, point=point, methods=["client.create"], times=1)
    sent = pool.submit(post, gateway, key)
    simulator.gates.wait(key)
    return sent


def made_by(key: str, simulator: Simulator) -> list[int]:
    """The clients that the upstream has from requests with the key."""
    return [one["client_id"] for one in simulator.store.dump() if one["email"] == f"{key}@engines.example"]


def is_lost(orphan: Future[Any]) -> bool:
    """No answer, or the balancer's that there was none."""
    if isinstance(orphan.exception(PATIENCE_S), OSError | http.client.HTTPException):
        return True
    _, _, body = orphan.result()
    return (body["code"], body["outcome"]) == ("no_gateway_answered", "unknown")


def kill_workers(gateway: Served) -> None:
    for pid in gateway.pids:
        for worker in psutil.Process(pid).children():
            os.kill(worker.pid, signal.SIGKILL)


def insist(gateway: Served, key: str) -> Any:
    """Sends the request again until it is answered with 201; before that it may only be in flight or in doubt."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        status, _, body = post_when_listened_to(gateway, key, give_up_at)
        if status == 201:
            return body
        assert body["code"] in ("key_in_flight", "write_in_doubt", "no_gateway_answered"), body
        time.sleep(0.2)
    raise AssertionError("the key never ended in 201")


def post_when_listened_to(gateway: Served, key: str, give_up_at: float) -> tuple[int, http.client.HTTPMessage, Any]:
    """New workers take a moment to start; a connection that a dead one had accepted breaks."""
    while True:
        try:
            return post(gateway, key)
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
