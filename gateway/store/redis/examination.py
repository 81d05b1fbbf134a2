"""Whether a Redis server is set up for what it is to remember."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from redis import Redis
from redis import exceptions as refusals

from gateway.store.doubts import ALONE, ONCE, Doubt
from gateway.store.errors import StoreError
from gateway.store.redis.address import read_address
from gateway.store.redis.driver import FOREIGN_ERRORS, open_pool, store_error

TIMEOUT_S = 2.0


def examine(url: str) -> list[Doubt]:
    """Connects, looks, and leaves nothing open. Raises `StoreError` when the server does not answer; each
    question waits `TIMEOUT_S`."""
    address = read_address(url)
    client = Redis(connection_pool=open_pool(address.settings, TIMEOUT_S))
    try:
        memory = _told(lambda: client.info("memory"))
        persistence = _told(lambda: client.info("persistence"))
        configuration = _told(lambda: client.config_get("appendfsync"))
        return doubts(memory, persistence, configuration.get("appendfsync"))
    except FOREIGN_ERRORS as error:
        refusal = store_error(error, address.text)
        raise refusal if isinstance(refusal, StoreError) else error from None
    finally:
        client.connection_pool.disconnect()


def doubts(memory: dict[str, Any], persistence: dict[str, Any], appendfsync: str | None) -> list[Doubt]:
    """From what the server says of itself (`INFO`); what it does not tell is missing, and None."""
    return [*_of_eviction(memory), *_of_forgetting(persistence.get("aof_enabled"), appendfsync)]


def _of_eviction(memory: dict[str, Any]) -> Iterator[Doubt]:
    policy = memory.get("maxmemory_policy")
    if policy is None:
        yield Doubt(ALONE, "the server does not tell whether it evicts", "see that maxmemory-policy is noeviction")
    elif policy != "noeviction" and memory.get("maxmemory"):
        yield Doubt(ALONE, f"the server evicts (maxmemory-policy {policy})", "maxmemory-policy noeviction")


def _of_forgetting(aof_enabled: int | None, appendfsync: str | None) -> Iterator[Doubt]:
    if aof_enabled == 0:
        because = "the server forgets what it was told last when it restarts (appendonly no)"
        yield Doubt(ONCE, because, "appendonly yes, appendfsync always")
    elif aof_enabled is None or appendfsync is None:
        because = "the server does not tell whether it keeps what it is told"
        yield Doubt(ONCE, because, "see that appendonly is yes and appendfsync is always")
    elif appendfsync != "always":
        because = f"the server forgets the last moments when it crashes (appendfsync {appendfsync})"
        yield Doubt(ONCE, because, "appendfsync always")


def _told(ask: Callable[[], Any]) -> dict[str, Any]:
    """Nothing where the question is refused, as managed servers refuse `CONFIG`."""
    try:
        return {_text(name): _text(value) for name, value in ask().items()}
    except refusals.ResponseError:
        return {}


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
