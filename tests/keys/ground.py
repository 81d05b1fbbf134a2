"""Where gateways of the same suite keep their keys: a folder, and a Redis server. Time passes when it is told to."""

from __future__ import annotations

import io
import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import redis
from werkzeug.test import TestResponse

from app import Stores, account_of
from gateway.deadline import Deadline
from gateway.policy.idempotency import Idempotency, Reservation, fingerprint
from gateway.secret import Secret
from gateway.settings import Settings
from gateway.store.embedded import EmbeddedStore
from gateway.store.redis import RedisStore
from gateway.telemetry import Metrics, open_log
from simulator.server import Simulator
from tests.support.gateway import Caller, open_app

BOUND_BYTES = 4 << 20
DAY_S = 24 * 3600.0
DEADLINE_S = 10.0
OWNER_LIFE_S = DEADLINE_S + 3
"""After so long whoever held a key is taken for dead."""

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
    stores: Stores

    def pass_time(self, duration_s: float) -> None:
        """For the gateway's clock and for the stores' lifetimes."""

    def stored(self) -> bytes:
        """Everything that the stores hold, names and values, as one text to search."""

    def close(self) -> None:
        """Lets go of the stores."""


class FolderGround:
    """The embedded store; its lifetimes follow the clock."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self._folder = folder
        self.stores = Stores(
            self._open("coordination"), self._open("records", durable=True), self._open("cache", evict=True)
        )

    def pass_time(self, duration_s: float) -> None:
        self.clock.now_s += duration_s

    def stored(self) -> bytes:
        files = [path.read_bytes() for path in self._folder.rglob("data.mdb")]
        pages = (file[start : start + 4096] for file in files for start in range(0, len(file), 4096))
        return b"".join(page for page in pages if any(page))

    def close(self) -> None:
        for store in (self.stores.coordination, self.stores.records, self.stores.cache):
            store.close()

    def _open(self, name: str, *, durable: bool = False, evict: bool = False) -> EmbeddedStore:
        path = str(self._folder / name)
        return EmbeddedStore(path, BOUND_BYTES, durable=durable, evict=evict, clock=self.clock, lock_timeout_s=10)


class RedisGround:
    """A server has its own clock: what passes is taken from every remaining lifetime."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self._client = redis.Redis.from_url(url)
        self._name = f"keys{next(_numbers)}"
        self.stores = Stores(*(RedisStore(url, f"{self._name}.{name}", timeout_s=5) for name in ("c", "r", "k")))

    def pass_time(self, duration_s: float) -> None:
        self.clock.now_s += duration_s
        for key in self._keys():
            self._client.pexpire(key, int(self._client.pttl(key) - duration_s * 1000))

    def stored(self) -> bytes:
        keys = self._keys()
        return b"".join([*keys, *(self._client.get(key) or b"" for key in keys)])  # type: ignore[list-item]

    def close(self) -> None:
        for store in (self.stores.coordination, self.stores.records, self.stores.cache):
            store.close()
        self._client.close()

    def _keys(self) -> list[bytes]:
        return list(self._client.scan_iter(f"gateway:{self._name}.*", count=10_000))


def settings_for(simulator: Simulator, **settings: Any) -> Settings:
    """Settings in lower case; what is not given is as most tests want it."""
    env = {
        "upstream_url": simulator.url,
        "upstream_token": "demo-admin",
        "gateway_auth": "open",
        "upstream_deadline_s": DEADLINE_S,
    }
    return Settings.from_env({name.upper(): str(value) for name, value in (env | settings).items()})


def gateway_on(ground: Ground, simulator: Simulator, **settings: Any) -> Caller:
    """A caller of a gateway whose stores and clock are the ground's."""
    stream = io.BytesIO()
    chosen = settings_for(simulator, **settings)
    app = open_app(chosen, open_log("info", stream), stores=ground.stores, clock=ground.clock)
    return Caller(app.test_client(), stream)


def another(caller: Caller) -> Caller:
    """Another caller of the same gateway, for another thread."""
    return Caller(caller.client.application.test_client(), caller.log_stream, caller.headers)


def with_key(key: str, **headers: str) -> dict[str, str]:
    """Request headers."""
    return {"Idempotency-Key": key, **headers}


def refusal(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer that must be this problem."""
    text = response.get_data(as_text=True)
    assert response.status_code == status, text
    body: dict[str, Any] = json_of(response)
    assert body["code"] == code, text
    return body


def json_of(response: TestResponse) -> Any:
    """The JSON in an answer, whatever its media type."""
    return response.get_json(force=True)


def count(simulator: Simulator, method: str) -> int:
    """How many calls of the upstream's method were received."""
    return len(simulator.ledger.calls(method))


def ids_of(simulator: Simulator, email: str) -> list[int]:
    """The clients with this address that the upstream really has."""
    return [one["client_id"] for one in simulator.store.dump() if one["email"] == email]


def take(
    ground: Ground, simulator: Simulator, method: str, path: str, key: str, body: Mapping[str, Any] | None
) -> Reservation:
    """A key as a worker holds it that took it just now for this request and then died."""
    credential, route = Secret("demo-admin"), f"{method} {path}"
    account = account_of(settings_for(simulator))
    book = Idempotency(ground.stores.records, account, Metrics(multiprocess=False), open_log("error"), ground.clock)
    payload: Sequence[Any] = [body, None, False]
    taken = book.begin(
        book.scope(credential, route, key), fingerprint(credential, route, payload), Deadline.after(DEADLINE_S)
    )
    assert isinstance(taken, Reservation)
    return taken
