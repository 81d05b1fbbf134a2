"""Gateways on stores of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.server import Simulator
from tests.cache.ground import FolderGround, Ground, RedisGround, gateway_on
from tests.support.gateway import Caller
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="package")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Shared by tests that leave it running."""
    server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.kill()


@pytest.fixture
def folder_ground(tmp_path: Path) -> Iterator[Ground]:
    """A folder of the test's own."""
    made = FolderGround(tmp_path)
    yield made
    made.close()


@pytest.fixture
def redis_ground(redis_server: RedisServer) -> Iterator[Ground]:
    """A part of the Redis server that is the test's own."""
    made = RedisGround(redis_server.url)
    yield made
    made.close()


@pytest.fixture
def ground(request: pytest.FixtureRequest) -> Ground:
    """The embedded store; both stores, one after the other, where a test is marked `ON_BOTH_STORES`."""
    chosen = {"embedded": "folder_ground", "redis": "redis_ground"}[getattr(request, "param", "embedded")]
    made: Ground = request.getfixturevalue(chosen)
    return made


@pytest.fixture
def make(ground: Ground, simulator: Simulator) -> Callable[..., Caller]:
    """Makes gateways on the ground; keyword arguments are settings in lower case."""

    def make_gateway(**settings: Any) -> Caller:
        return gateway_on(ground, simulator, **settings)

    return make_gateway


@pytest.fixture
def caller(make: Callable[..., Caller]) -> Caller:
    """A caller of a gateway on the ground."""
    return make()
