"""The simulator over TCP, and gateways in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from simulator.server import Simulator
from tests.support.gateway import Caller, start_gateway
from tests.support.ground import FolderGround, RedisGround
from tests.support.redis_server import RedisServer

hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

TOGETHER = ("tests/image/",)
"""Folders whose tests share what takes a minute to make."""


class ByPlace(LoadScopeScheduling):
    """Tests that run side by side (`make test`) are shared out by file, or by folder, so that what they share is made
    once. xdist's own way to say so, a mark, is lost on this pytest."""

    def _split_scope(self, nodeid: str) -> str:
        place = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if place.startswith(folder)), place)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByPlace:
    return ByPlace(config, log)


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[Simulator]:
    with Simulator(bind="127.0.0.1:0") as running:
        yield running


@pytest.fixture
def simulator(shared_simulator: Simulator) -> Simulator:
    """A FreshBooks Classic with its demo data, no faults and an empty ledger."""
    shared_simulator.reset()
    return shared_simulator


@pytest.fixture
def make_gateway(simulator: Simulator) -> Callable[..., Caller]:
    """Makes gateways in front of the simulator; keyword arguments are settings in lower case."""

    def make(**settings: Any) -> Caller:
        env = {"upstream_url": simulator.url, "upstream_token": "demo-admin", "gateway_auth": "open"} | settings
        return start_gateway({name.upper(): str(value) for name, value in env.items() if value is not None})

    return make


@pytest.fixture
def caller(make_gateway: Callable[..., Caller]) -> Caller:
    """A caller of a gateway without authentication."""
    return make_gateway()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Shared by tests that leave it running."""
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


@pytest.fixture
def folder_ground(tmp_path: Path) -> Iterator[FolderGround]:
    """A folder of the test's own."""
    made = FolderGround(tmp_path)
    yield made
    made.close()


@pytest.fixture
def redis_ground(redis_server: RedisServer) -> Iterator[RedisGround]:
    """A part of the Redis server that is the test's own."""
    made = RedisGround(redis_server.url)
    yield made
    made.close()
