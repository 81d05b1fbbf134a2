"""Places where the same suite finds a store: a folder, and a Redis server. Descriptions of them travel to processes."""

import itertools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import redis

from gateway.store.embedded import EmbeddedStore
from gateway.store.interface import Store
from gateway.store.redis import RedisStore

_numbers = itertools.count()


class StoreAt(NamedTuple):
    """Enough to open the same store in another process."""

    url: str
    name: str
    bound_bytes: int = 16 << 20
    durable: bool = False
    evict: bool = False

    def open(self, clock: Callable[[], float] = time.time) -> Store:
        if self.url.startswith("unix:"):
            return RedisStore(self.url, self.name, timeout_s=5)
        return EmbeddedStore(
            os.path.join(self.url, self.name),
            self.bound_bytes,
            durable=self.durable,
            evict=self.evict,
            clock=clock,
            lock_timeout_s=10,
        )


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = time.time()

    def __call__(self) -> float:
        return self.now_s


class Place(Protocol):
    """Where the suite runs."""

    at: StoreAt

    def fresh(self) -> Store:
        """An empty store."""

    def pass_time(self, duration_s: float) -> None:
        """Lets every lifetime shrink by that much."""


class FolderPlace:
    """Embedded; time is a clock of ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hands = Hands()
        self.at = StoreAt(str(folder), "first")

    def fresh(self) -> Store:
        self.at = self.at._replace(url=tempfile.mkdtemp(dir=self._folder))
        return self.at.open(self._hands)

    def pass_time(self, duration_s: float) -> None:
        self._hands.now_s += duration_s


class RedisPlace:
    """A server has its own clock: what passes is taken from every remaining lifetime, by the server itself."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self.at = StoreAt(url, "first")

    def fresh(self) -> Store:
        self.at = self.at._replace(name=f"store{next(_numbers)}")
        return self.at.open()

    def pass_time(self, duration_s: float) -> None:
        for key in list(self._client.scan_iter(f"gateway:{self.at.name}:*", count=10_000)):
            self._client.pexpire(key, int(self._client.pttl(key) - duration_s * 1000))

    def close(self) -> None:
        self._client.close()
