"""Gateways over both stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.server import Simulator
from tests.support.gateway import Caller
from tests.support.ground import Ground, gateway_on


@pytest.fixture(params=["embedded", "redis"])
def ground(request: pytest.FixtureRequest) -> Ground:
    """Each of the two stores."""
    chosen = {"embedded": "folder_ground", "redis": "redis_ground"}[request.param]
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
