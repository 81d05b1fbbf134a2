"""One real gateway for the tests that leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.server import Simulator
from tests.support.server import GatewayProcess


def settings(simulator: Simulator, **more: str) -> dict[str, str]:
    """The environment of a gateway in front of a simulator."""
    return {
        "UPSTREAM_URL": simulator.url,
        "UPSTREAM_TOKEN": "demo-admin",
        "GATEWAY_AUTH": "open",
        "CACHE_TTL_S": "0",
        **more,
    }


@pytest.fixture(scope="module")
def shared_gateway(shared_simulator: Simulator) -> Iterator[GatewayProcess]:
    with GatewayProcess(settings(shared_simulator)) as running:
        yield running


@pytest.fixture
def gateway(shared_gateway: GatewayProcess, simulator: Simulator) -> GatewayProcess:
    """gunicorn with its default of workers, in front of a fresh simulator."""
    return shared_gateway
