"""Gateways on stores that they share within this process, with a clock that only moves when it is told to."""

from __future__ import annotations

import io
import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis
from werkzeug.test import TestResponse

from app import Stores, account_of
from gateway.policy.stamps import Stamps
from gateway.settings import Settings
from gateway.store.embedded import EmbeddedStore
from gateway.store.errors import StoreDown
from gateway.store.interface import Applied, Check, Delete, Status, Store, Write
from gateway.store.redis import RedisStore
from gateway.telemetry import open_log
from simulator.server import Simulator
from tests.support.gateway import Caller, open_app

SAFETY_S = 30.0
TTL_S, STALE_S, SETTLE_S, DEADLINE_S = 30.0, 300.0, 60.0, 10.0
ON_BOTH_STORES = pytest.mark.parametrize("ground", ["embedded", "redis"], indirect=True)
_numbers = itertools.count()


class Clock:
    """Stands still until time passes."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def __call__(self) -> float:
        return self.now_s


class Gate:
    """Where one batch waits."""

    def __init__(self, prefix: bytes, when: Callable[[Write], bool] | None) -> None:
        self.prefix = prefix
        self._when = when
        self.reached, self.opened = threading.Event(), threading.Event()

    def holds(self, checks: Sequence[Check], writes: Sequence[Write]) -> bool:
        """Whether this is the batch that is to wait."""
        when = self._when
        touching = [*checks, *writes] if when is None else [one for one in writes if when(one)]
        return any(one.key.startswith(self.prefix) for one in touching)


class WatchedStore:
    """A store that tells who has asked it for what, and that can be cut off (`is_down`)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()
        self._asked: set[tuple[int, bytes]] = set()
        self._writes: Counter[bytes] = Counter()
        self._deletions: Counter[bytes] = Counter()
        self._batches_total = 0
        self._gate: Gate | None = None
        self.is_down = False

    def get(self, key: bytes) -> bytes | None:
        self._note([key])
        return self._store.get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self._note(keys)
        return self._store.get_many(keys)

    def apply(self, checks: Sequence[Check], writes: Sequence[Write]) -> Applied | None:
        keys = [one.key for one in (*checks, *writes)]
        self._note(keys)
        self._wait_if_held(checks, writes)
        applied = self._store.apply(checks, writes)
        if applied is not None:
            with self._changed:
                self._batches_total += 1
                self._writes.update(_kind(one.key) for one in writes)
                self._deletions.update(_kind(one.key) for one in writes if isinstance(one, Delete))
                self._changed.notify_all()
        return applied

    def status(self) -> Status:
        return self._store.status()

    def close(self) -> None:
        self._store.close()

    def wait_for(self, prefix: bytes, threads: int) -> None:
        """Waits until so many threads have asked for keys that begin so."""

        def count() -> int:
            return len({thread for thread, key in self._asked if key.startswith(prefix)})

        with self._changed:
            assert self._changed.wait_for(lambda: count() >= threads, SAFETY_S), f"{count()} of {threads} came"

    def wait_for_write(self, prefix: bytes) -> None:
        """Waits until the next write to a key that begins so is done."""
        with self._changed:
            seen = self._writes[prefix]
            assert self._changed.wait_for(lambda: self._writes[prefix] > seen, SAFETY_S), "nobody wrote"

    def hold_next(self, prefix: bytes, when: Callable[[Write], bool] | None = None) -> Gate:
        """The next batch that touches a key that begins so waits; with `when` the next with such a write to one."""
        self._gate = Gate(prefix, when)
        return self._gate

    def batches_total(self) -> int:
        """How many batches have been applied."""
        with self._changed:
            return self._batches_total

    def _wait_if_held(self, checks: Sequence[Check], writes: Sequence[Write]) -> None:
        gate = self._gate
        if gate is not None and gate.holds(checks, writes):
            self._gate = None
            gate.reached.set()
            assert gate.opened.wait(SAFETY_S)

    def keys_asked(self) -> list[bytes]:
        """Every key that was asked for so far."""
        with self._changed:
            return sorted({key for _, key in self._asked})

    def watch_anew(self) -> None:
        """Forgets who has asked so far."""
        with self._changed:
            self._asked.clear()

    def deletions_of(self, prefix: bytes) -> int:
        """How many keys that begin so were deleted."""
        return self._deletions[prefix]

    def _note(self, keys: Sequence[bytes]) -> None:
        with self._changed:
            self._asked.update((threading.get_ident(), key) for key in keys)
            self._changed.notify_all()
        if self.is_down:
            raise StoreDown("cut off")


def _kind(key: bytes) -> bytes:
    return key.partition(b":")[0] + b":"


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
        self._name = f"cache{next(_numbers)}"
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
        "upstream_deadline_s": DEADLINE_S,
        "gateway_auth": "open",
        "cache_ttl_s": TTL_S,
        "cache_stale_s": STALE_S,
        "idempotency_settle_s": SETTLE_S,
    } | settings
    return Settings.from_env({name.upper(): str(value) for name, value in env.items() if value is not None})


def gateway_on(ground: Ground, simulator: Simulator, **settings: Any) -> Caller:
    """A caller of a gateway whose stores and clock are the ground's."""
    stream = io.BytesIO()
    chosen = settings_for(simulator, **settings)
    app = open_app(chosen, open_log("info", stream), stores=ground.stores, clock=ground.clock)
    return Caller(app.test_client(), stream)


def stamps_of(ground: Ground, simulator: Simulator) -> Stamps:
    """The stamps as a gateway's worker on this ground has them."""
    account = account_of(settings_for(simulator))
    return Stamps(ground.stores.cache, account, 2 * (TTL_S + STALE_S + SETTLE_S), SETTLE_S, ground.clock)


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


def asked(simulator: Simulator, act: Callable[[], Any]) -> list[str]:
    """The methods of the upstream that were called while something was done."""
    before = max((call.seq for call in simulator.ledger.calls()), default=0)
    act()
    return [str(call.method) for call in simulator.ledger.calls(since=before)]


def body(response: TestResponse) -> Any:
    """The JSON of an answer that must be a success."""
    assert response.status_code < 300, response.get_data(as_text=True)
    return response.get_json()


def refusal(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer that must be this problem."""
    text = response.get_data(as_text=True)
    assert response.status_code == status, text
    problem: dict[str, Any] = response.get_json(force=True)
    assert problem["code"] == code, text
    return problem


def events(caller: Caller) -> dict[str, int]:
    """The cache's counters."""
    text = caller.get("/metrics", check=False).get_data(as_text=True)
    found = re.findall(r'^gateway_cache_events_total\{event="(\w+)"\} ([0-9.]+)$', text, re.MULTILINE)
    return {event: int(float(number)) for event, number in found}


_TOKEN = r"[A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*"
_STRING = r'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
_PARAMETER = re.compile(rf"; *([a-z*][a-z0-9_.*-]*)(?:=(-?[0-9]{{1,15}}|{_TOKEN}|{_STRING}|\?[01]))?")


def cache_status(response: TestResponse) -> dict[str, str | int | bool]:
    """The parameters of `Cache-Status`, which must be one item (RFC 8941) named `gateway` that RFC 9211 allows."""
    text = response.headers["Cache-Status"]
    assert text.startswith("gateway"), text
    rest, found = text.removeprefix("gateway"), dict[str, str | int | bool]()
    while rest:
        match = _PARAMETER.match(rest)
        assert match, f"no parameter at {rest!r} of {text!r}"
        value = match[2]
        found[match[1]] = True if value is None else int(value) if re.fullmatch("-?[0-9]+", value) else value
        rest = rest[match.end() :]
    assert set(found) <= {"hit", "fwd", "fwd-status", "ttl", "stored", "collapsed", "key", "detail"}, text
    assert ("hit" in found) != ("fwd" in found), text
    reasons = {"bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}
    assert found.get("fwd", "miss") in reasons, text
    return found
