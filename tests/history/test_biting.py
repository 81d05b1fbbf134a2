"""Gateways whose coherence is broken on purpose: the history checker must find each of them out."""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask

from app import Stores
from gateway.policy.stamps import TOKEN_BYTES
from gateway.settings import Settings
from gateway.store.embedded import EmbeddedStore
from gateway.store.interface import Applied, Check, Put, Store, Write
from gateway.telemetry import open_log
from simulator.server import Simulator
from tests.support.gateway import open_app
from tools.history import checker
from tools.history.callers import make_history
from tools.history.checker import Violation, check
from tools.history.doors import Door, Reply
from tools.history.setups import READS, WRITES

Batch = tuple[Sequence[Check], Sequence[Write]]

OPERATIONS_TOTAL = 1200
CALLERS_TOTAL = 8


@pytest.fixture(scope="module", autouse=True)
def no_gateway_outlives_the_module() -> Iterator[None]:
    """What was dropped here is collected here, not during a test of somebody else."""
    yield
    gc.collect()


class Sound:
    """The store as it is. `change_s`: how long the upstream takes for a change, `works_first`: after it."""

    change_s = 0.01
    works_first = False

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def apply(self, checks: Sequence[Check], writes: Sequence[Write]) -> Applied | None:
        return self._store.apply(*self.broken(checks, writes))

    def broken(self, checks: Sequence[Check], writes: Sequence[Write]) -> Batch:
        return checks, writes


class NoStampMoves(Sound):
    """As if the cache's part in a write did nothing."""

    def broken(self, checks: Sequence[Check], writes: Sequence[Write]) -> Batch:
        return checks, _unmoved(checks, writes, b"epoch:", b"version:")


class NoEpochMoves(Sound):
    """As if writes forgot the lists."""

    def broken(self, checks: Sequence[Check], writes: Sequence[Write]) -> Batch:
        return checks, _unmoved(checks, writes, b"epoch:")


class MovedBeforeOnly(Sound):
    """As if a write ended when it was sent."""

    def broken(self, checks: Sequence[Check], writes: Sequence[Write]) -> Batch:
        if not all(map(_is_stamp, writes)):
            return checks, writes
        return checks, [_ended(one) for one in writes if _names_a_write(one) or one.key in _absent(checks)]


class MovedAfterOnly(Sound):
    """As if a write began with its answer."""

    change_s = 0.1
    works_first = True

    def broken(self, checks: Sequence[Check], writes: Sequence[Write]) -> Batch:
        return checks, [one for one in writes if not (_is_stamp(one) and _names_a_write(one))]


class FillsUnchecked(Sound):
    """As if nobody looked whether a stamp had moved since the fetch began."""

    def broken(self, checks: Sequence[Check], writes: Sequence[Write]) -> Batch:
        return [] if any(one.key.startswith(b"copy:") for one in writes) else checks, writes


def _unmoved(checks: Sequence[Check], writes: Sequence[Write], *kinds: bytes) -> list[Write]:
    """Without what moves stamps of these kinds; stamps that were not there are made."""
    if not all(map(_is_stamp, writes)):
        return list(writes)
    kept = [one for one in writes if not one.key.startswith(kinds) or one.key in _absent(checks)]
    return [_ended(one) if one.key.startswith(kinds) else one for one in kept]


def _is_stamp(one: Write) -> bool:
    return one.key.startswith((b"epoch:", b"version:"))


def _absent(checks: Sequence[Check]) -> set[bytes]:
    return {check.key for check in checks if check.expected is None}


def _names_a_write(one: Write) -> bool:
    return isinstance(one, Put) and len(one.value) > TOKEN_BYTES


def _ended(one: Write) -> Write:
    return msgspec.structs.replace(one, value=one.value[:TOKEN_BYTES]) if isinstance(one, Put) else one


class AppDoor:
    """A way into an application of this process."""

    def __init__(self, app: Flask) -> None:
        self._client = app.test_client()

    def ask(self, http_method: str, path: str, headers: Mapping[str, str], body: Any = None) -> Reply:
        response = self._client.open(path, method=http_method, headers=dict(headers), json=body)
        names = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, names, response.get_json() if response.data else None)

    def close(self) -> None:
        """There is nothing to close."""


def violations_of(broken: type[Sound], folder: Path) -> list[Violation]:
    """What the checker finds about a gateway whose cache lies in a broken store. The upstream takes its time, so that
    much overlaps."""
    with Simulator(clients=()) as simulator:
        simulator.faults.add("slow", methods=READS, delay_s=0.01, commit=True)
        simulator.faults.add("slow", methods=WRITES, delay_s=broken.change_s, commit=broken.works_first)
        env = {"UPSTREAM_URL": simulator.url, "UPSTREAM_TOKEN": "demo-admin", "GATEWAY_AUTH": "open"}
        settings = Settings.from_env({**env, "CACHE_TTL_S": "3600", "UPSTREAM_DEADLINE_S": "30"})
        coordination, records, cache = (
            EmbeddedStore(str(folder / name), 16 << 20, durable=False, evict=False) for name in "abc"
        )
        stores = Stores(coordination, records, broken(cache))
        app = open_app(settings, open_log("error", io.BytesIO()), stores=stores)

        def open_doors() -> list[Door]:
            return [AppDoor(app)]

        history = make_history(open_doors, OPERATIONS_TOTAL, CALLERS_TOTAL, seed=4)
        for store in (coordination, records, cache):
            store.close()
    assert history.counts["read hit"] > OPERATIONS_TOTAL / 10
    return check(history.operations)


def test_a_sound_gateway_is_not_found_guilty(tmp_path: Path) -> None:
    """What follows finds the break, not the load."""
    found = violations_of(Sound, tmp_path)
    assert not found, "\n".join(map(str, found[:3]))


@pytest.mark.parametrize("broken", [NoStampMoves, NoEpochMoves, MovedBeforeOnly, MovedAfterOnly, FillsUnchecked])
def test_a_broken_gateway_is_found_out(broken: type[Sound], tmp_path: Path) -> None:
    """Each link of the coherence is needed, and the callers are busy enough to show that it is missing."""
    rules = {violation.rule for violation in violations_of(broken, tmp_path)}
    assert rules & {checker.OLDER, checker.BACKWARDS, checker.CAME_BACK, checker.LOST}
