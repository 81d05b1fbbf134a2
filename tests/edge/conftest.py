"""Gateways with one worker and few threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.server import Simulator
from tests.edge.twins import settings
from tests.support.server import GatewayProcess


def few_threads(simulator: Simulator, **more: str) -> dict[str, str]:
    """Its environment."""
    return settings(simulator, GATEWAY_THREADS="4", **more)


@pytest.fixture(scope="module")
def shared_gateway(shared_simulator: Simulator) -> Iterator[GatewayProcess]:
    shared_simulator.reset()
    with GatewayProcess(few_threads(shared_simulator)) as running:
        yield running


@pytest.fixture
def gateway(shared_gateway: GatewayProcess, simulator: Simulator) -> GatewayProcess:
    """One for all tests of a module that leave it as it was; what was read before is in its cache."""
    return shared_gateway
