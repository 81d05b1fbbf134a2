"""Gateways on stores that they share within this process, with a clock that only moves when it is told to."""

from __future__ import annotations

import io
import itertools
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis
from werkzeug.test import TestResponse

from app import Stores
from gateway.settings import Settings
from gateway.store.embedded import EmbeddedStore
from gateway.store.redis import RedisStore
from gateway.telemetry import open_log
from simulator.server import Simulator
from tests.support.gateway import Caller, open_app
from tests.support.watched_store import WatchedStore

DEADLINE_S = 10.0
ON_BOTH_STORES = pytest.mark.parametrize("ground", ["embedded", "redis"], indirect=True)
_numbers = itertools.count()


class Clock:
    """Stands still until time passes."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def __call__(self) -> float:
        return self.now_s


class Ground(Protocol):
    """Where the stores lie."""

    clock: Clock
    coordination: WatchedStore
    cache: WatchedStore
    stores: Stores

    def pass_time(self, duration_s: float) -> None:
        """For the gateway's clock and for the stores' lifetimes."""

    def stored(self) -> bytes:
        """Everything that the stores hold, names and values, as one text to search."""

    def close(self) -> None:
        """Lets go of the stores."""


class FolderGround:
    """The embedded store; its lifetimes follow the clock."""

    def __init__(self, folder: Path, bound_bytes: int = 8 << 20) -> None:
        self.clock = Clock()
        self._folder = folder
        self._bound_bytes = bound_bytes
        self.coordination = WatchedStore(self._open("coordination"))
        self.cache = WatchedStore(self._open("cache", evict=True))
        self.stores = Stores(self.coordination, self._open("records", durable=True), self.cache)

    def pass_time(self, duration_s: float) -> None:
        self.clock.now_s += duration_s

    def stored(self) -> bytes:
        files = [path.read_bytes() for path in self._folder.rglob("data.mdb")]
        pages = (file[start : start + 4096] for file in files for start in range(0, len(file), 4096))
        return b"".join(page for page in pages if any(page))

    def file_bytes(self, name: str) -> int:
        """How long the files of one store are."""
        return sum(path.stat().st_size for path in (self._folder / name).rglob("data.mdb"))

    def close(self) -> None:
        _close(self.stores)

    def _open(self, name: str, *, durable: bool = False, evict: bool = False) -> EmbeddedStore:
        path = str(self._folder / name)
        bound = self._bound_bytes
        return EmbeddedStore(path, bound, durable=durable, evict=evict, clock=self.clock, lock_timeout_s=10)


class RedisGround:
    """A server has its own clock: what passes is taken from every remaining lifetime."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self._client: Any = redis.Redis.from_url(url)
        self._name = f"ground{next(_numbers)}"
        self.coordination, self.cache = WatchedStore(self._open(url, "c")), WatchedStore(self._open(url, "k"))
        self.stores = Stores(self.coordination, self._open(url, "r"), self.cache)

    def pass_time(self, duration_s: float) -> None:
        self.clock.now_s += duration_s
        for key in self._keys():
            self._client.pexpire(key, int(self._client.pttl(key) - duration_s * 1000))

    def stored(self) -> bytes:
        keys = self._keys()
        return b"".join([*keys, *(self._client.get(key) or b"" for key in keys)])

    def close(self) -> None:
        _close(self.stores)
        self._client.close()

    def _open(self, url: str, name: str) -> RedisStore:
        return RedisStore(url, f"{self._name}.{name}", timeout_s=5)

    def _keys(self) -> list[bytes]:
        return list(self._client.scan_iter(f"gateway:{self._name}.*", count=10_000))


def _close(stores: Stores) -> None:
    for store in (stores.coordination, stores.records, stores.cache):
        store.close()


def settings_for(simulator: Simulator, **settings: Any) -> Settings:
    """Settings in lower case; what is not given is as most tests want it."""
    env = {
        "upstream_url": simulator.url,
        "upstream_token": "demo-admin",
        "gateway_auth": "open",
        "upstream_deadline_s": DEADLINE_S,
    } | settings
    return Settings.from_env({name.upper(): str(value) for name, value in env.items() if value is not None})


def gateway_on(ground: Ground, simulator: Simulator, **settings: Any) -> Caller:
    """A caller of a gateway whose stores and clock are the ground's."""
    stream = io.BytesIO()
    chosen = settings_for(simulator, **settings)
    app = open_app(chosen, open_log("info", stream), stores=ground.stores, clock=ground.clock)
    return Caller(app.test_client(), stream)


def ahead(caller: Caller, method: str, path: str, **options: Any) -> Future[TestResponse]:
    """The answer to come of a request that another thread makes."""
    answer: Future[TestResponse] = Future()
    twin = Caller(caller.client.application.test_client(), caller.log_stream, caller.headers)

    def ask() -> None:
        try:
            answer.set_result(twin.request(method, path, **options))
        except BaseException as error:  # noqa: BLE001  whoever waits for the answer gets it
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    return answer


def refusal(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer that must be this problem."""
    text = response.get_data(as_text=True)
    assert response.status_code == status, text
    problem: dict[str, Any] = response.get_json(force=True)
    assert problem["code"] == code, text
    return problem
