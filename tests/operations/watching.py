"""Looking at a running gateway: its workers, its metrics, its files."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.server import GatewayProcess

GIVE_UP_S = 30.0
Samples = dict[tuple[str, ...], float]


def workers(gateway: GatewayProcess) -> list[int]:
    children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text(encoding="ascii")
    return [int(pid) for pid in children.split()]


def get(gateway: GatewayProcess, path: str, **headers: str) -> http.client.HTTPResponse:
    """One request on a connection of its own; the answer's body has been read."""
    connection = gateway.connect()
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.body = response.read()  # type: ignore[attr-defined]
        return response
    finally:
        connection.close()


def scrape(gateway: GatewayProcess) -> dict[str, Samples]:
    """The samples by name, each by the values of its labels."""
    text = get(gateway, "/metrics").body.decode()  # type: ignore[attr-defined]
    found: dict[str, Samples] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def until(holds: Callable[[], bool], gateway: GatewayProcess) -> None:
    """Waits for what a process does by itself. Raises `AssertionError` when it does not come."""
    give_up_at = time.monotonic() + GIVE_UP_S
    while not holds():
        assert gateway.exit_code is None, gateway.output()
        assert time.monotonic() < give_up_at, f"{holds} did not come true:\n{gateway.output()}"
        time.sleep(0.02)
