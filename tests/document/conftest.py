"""What concerns every test of the document."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The application has no way to be closed, so each gateway that a test drops leaves its idle connections to the
    garbage collector, which is not what is tested here."""
    dropped = pytest.mark.filterwarnings("ignore:unclosed <(ssl.SSL|socket.)[sS]ocket:ResourceWarning")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(dropped)


@pytest.fixture(scope="package", autouse=True)
def no_gateway_outlives_the_package() -> Iterator[None]:
    """What was dropped here is collected here, not during a test of somebody else."""
    yield
    gc.collect()
