"""The store on a Redis or Valkey server, for gateways on several machines.

One node, Redis 7 or Valkey 7.2 and later, no cluster: a batch is one Lua script over keys that would lie in different
slots. Neither the bound nor durability is this driver's to give: the server's `maxmemory` (with `noeviction`, or
records that must last may be evicted) and `appendonly` do. A host name is resolved by the system, in the system's time.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from redis import ConnectionPool, Redis
from redis import exceptions as refusals
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from gateway.store.errors import StoreDown, StoreError, StoreFull
from gateway.store.fork import tell_of_forks
from gateway.store.interface import LARGEST_COUNT, Applied, Check, Status, Write, vet, vet_key
from gateway.store.outage import Outage
from gateway.store.redis.address import read_address
from gateway.store.redis.script import COUNT_TOO_LARGE, NO_COUNTER, SCRIPT, script_arguments, script_keys

_SCRIPT_NAME = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
FOREIGN_ERRORS: tuple[type[Exception], ...] = (
    refusals.RedisError,
    refusals.RedisClusterException,
    refusals.ChildDeadlockedError,
    refusals.IncorrectPolicyType,
    OSError,
)
"""Everything redis-py may raise: its families and the system's own errors, TLS among them."""


class RedisStore:
    """Connected at first use, anew in every forked child.

    Every key begins with `gateway:NAME:`. A server that does not answer costs a caller at most about three times
    `timeout_s` (connecting, logging in, the call; one more for a script the server has forgotten);
    then every call is refused at once for `outage_memory_s`, and after that one caller at a time tries. Who takes it
    for lost too soon cannot tell the others of its writes (docs/guarantees.md, limits).
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        timeout_s: float = 0.25,
        monotonic: Callable[[], float] = time.monotonic,
        outage_memory_s: float = 0.25,
    ) -> None:
        """Connects to nothing yet. Raises `ValueError` for a bad URL, without repeating it."""
        address = read_address(url)
        self._address = address.text
        self._prefix = f"gateway:{name}:".encode()
        self._outage = Outage(outage_memory_s, monotonic)
        self._closed = False
        self._redis = Redis(connection_pool=open_pool(address.settings, timeout_s))
        tell_of_forks(self)

    def __repr__(self) -> str:
        return f"RedisStore({self._address!r}, {self._prefix.decode()!r})"

    def get(self, key: bytes) -> bytes | None:
        vet_key(key)
        value: bytes | None = self._ask(lambda: self._redis.get(self._prefix + key))
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        for key in keys:
            vet_key(key)
        if not keys:
            return []
        values: list[bytes | None] = self._ask(lambda: self._redis.mget([self._prefix + key for key in keys]))
        return values

    def apply(self, checks: Sequence[Check], writes: Sequence[Write]) -> Applied | None:
        vet(checks, writes)
        keys = script_keys(self._prefix, checks, writes)
        arguments = script_arguments(checks, writes)
        counters = self._ask(lambda: self._run(len(keys), (*keys, *arguments)))
        return None if counters is None else Applied(tuple(map(int, counters)))

    def status(self) -> Status:
        try:
            memory: dict[str, Any] = self._ask(lambda: self._redis.info("memory"))
        except StoreError:
            return Status(reachable=False)
        bound_bytes = memory.get("maxmemory") or None
        policy = memory.get("maxmemory_policy")
        evicts = None if policy is None else bound_bytes is not None and policy != "noeviction"
        return Status(True, memory.get("used_memory"), bound_bytes, None, evicts)

    def close(self) -> None:
        self._closed = True
        self._redis.connection_pool.disconnect()

    def before_fork(self) -> None:
        """redis-py itself notices a fork and leaves the parent's sockets alone."""

    def after_fork_in_parent(self) -> None:
        pass

    def after_fork_in_child(self) -> None:
        self._outage.forget()

    def _run(self, key_total: int, rest: tuple[bytes | int, ...]) -> Any:
        try:
            return self._redis.evalsha(_SCRIPT_NAME, key_total, *rest)
        except refusals.NoScriptError:
            return self._redis.eval(SCRIPT, key_total, *rest)

    def _ask(self, call: Callable[[], Any]) -> Any:
        if self._closed:
            raise StoreDown(f"the store at {self._address} is closed")
        with self._outage.guard():
            try:
                return call()
            except FOREIGN_ERRORS as error:
                raise store_error(error, self._address) from None


def store_error(error: Exception, address: str) -> StoreError | ValueError:
    """What a foreign error means here. Its text is left out: it is not ours to vouch for."""
    if isinstance(error, refusals.OutOfMemoryError):
        return StoreFull(f"{address} has reached its maxmemory")
    if isinstance(error, refusals.ResponseError) and str(error).startswith(NO_COUNTER):
        return ValueError("the value under this key is not a counter")
    if isinstance(error, refusals.ResponseError) and str(error).startswith(COUNT_TOO_LARGE):
        return ValueError(f"a counter must stay within ±{LARGEST_COUNT}")
    return StoreDown(f"{address} failed: {type(error).__name__}")


def open_pool(settings: dict[str, Any], timeout_s: float) -> ConnectionPool:
    """A connection for every thread that asks: who waited for one in vain would take a healthy server for lost.

    No retries of redis-py's (4 s by default when a server is down), nothing sent that a batch does not need.
    """
    return ConnectionPool(
        max_connections=2**31,  # redis-py's own bound is 100
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
        **settings,
    )
