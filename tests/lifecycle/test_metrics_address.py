"""Metrics on an address of their own."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest

from simulator.server import Simulator
from tests.integration.conftest import settings
from tests.support.server import GatewayProcess
from tools.ports import HeldPort

ELSEWHERE = ("/", "/clients", "/clients/13", "/docs", "/openapi.json", "/problems/not-found", "/nothing", "/metrics/")
PROBES = ("/livez", "/readyz")


class Addresses:
    """A gateway with its two ports."""

    def __init__(self, gateway: GatewayProcess, metrics_port: int) -> None:
        self.gateway = gateway
        self.main_port = gateway.port
        self.metrics_port = metrics_port


@pytest.fixture(scope="module")
def addresses(shared_simulator: Simulator) -> Iterator[Addresses]:
    shared_simulator.reset()
    held = HeldPort()
    port = held.number
    with GatewayProcess(settings(shared_simulator, METRICS_BIND=f"127.0.0.1:{port}")) as gateway:
        yield Addresses(gateway, port)


def get(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read()
    finally:
        connection.close()


def assert_not_there(answer: tuple[int, str, bytes]) -> None:
    status, content_type, body = answer
    assert (status, content_type) == (404, "application/problem+json")
    assert json.loads(body)["code"] == "no_such_route"


def test_metrics_are_there_and_not_on_the_main_address(addresses: Addresses) -> None:
    """Those of all workers: what was asked on the main address is counted."""
    for _ in range(10):
        assert get(addresses.main_port, "/clients/13")[0] == 200
        status, content_type, body = get(addresses.metrics_port, "/metrics")
        assert status == 200
        assert content_type.startswith("text/plain")
        assert_not_there(get(addresses.main_port, "/metrics"))
    assert b'gateway_requests_total{operation="client.get"' in body


@pytest.mark.parametrize("path", PROBES)
def test_the_probes_are_on_both(addresses: Addresses, path: str) -> None:
    """Whoever looks after the process may look at either."""
    assert {get(port, path)[0] for port in (addresses.main_port, addresses.metrics_port)} == {200}


@pytest.mark.parametrize("path", ELSEWHERE)
def test_nothing_else_is_on_the_address_of_the_metrics(addresses: Addresses, path: str, simulator: Simulator) -> None:
    """No records above all, whatever the method: the address may be open to others."""
    assert_not_there(get(addresses.metrics_port, path))
    assert_not_there(get(addresses.metrics_port, path, "POST"))
    assert simulator.ledger.summary()["total"] == 0


def test_a_caller_cannot_talk_itself_to_the_other_address(addresses: Addresses, simulator: Simulator) -> None:
    """Neither by `Host` nor by what proxies say: only the socket counts."""
    main, metrics = (f"localhost:{port}" for port in (addresses.main_port, addresses.metrics_port))
    for name in ("Host", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded"):
        assert_not_there(get(addresses.main_port, "/metrics", **{name: metrics}))
        assert_not_there(get(addresses.metrics_port, "/clients/13", **{name: main}))
    assert_not_there(get(addresses.metrics_port, f"http://{main}/clients/13"))
    assert_not_there(get(addresses.metrics_port, "//clients/13"))
    assert_not_there(get(addresses.metrics_port, "/metrics/../clients/13"))
    assert simulator.ledger.summary()["total"] == 0
