from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.interface import Store
from tests.store.places import FolderPlace, Place, RedisPlace


@pytest.fixture(params=["embedded", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "embedded":
        yield FolderPlace(tmp_path)
        return
    redis_place = RedisPlace(request.getfixturevalue("redis_server").url)
    yield redis_place
    redis_place.close()


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    store = place.fresh()
    yield store
    store.close()
