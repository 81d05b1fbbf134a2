"""A Redis that is away, hangs, is full or refuses: an error of ours, in bounded time, and recovery by itself."""

import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis import exceptions as refusals

from gateway.store.atomic import add
from gateway.store.errors import StoreDown, StoreFull
from gateway.store.interface import Applied, Delete, Put
from gateway.store.redis.driver import FOREIGN_ERRORS, RedisStore, store_error
from tests.store.places import Hands
from tests.support.redis_server import RedisServer

PASSWORD = "s3cr3t:/@word"
QUOTED_PASSWORD = "s3cr3t%3A%2F%40word"
THREADS_MAX = 512
"""What `GATEWAY_THREADS` can be."""


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """One that the test may do anything to."""
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        yield listener


def silent_url(silent: socket.socket) -> str:
    return f"redis://127.0.0.1:{silent.getsockname()[1]}"


def fill(store: RedisStore) -> int:
    """How many entries found room."""
    for number in range(10_000):
        try:
            store.apply([], [Put(b"entry %d" % number, b"x" * 5_000, 60)])
        except StoreFull:
            return number
    raise AssertionError("never full")


def get_refused(store: RedisStore, refused: list[StoreDown]) -> None:
    try:
        store.get(b"key")
    except StoreDown as error:
        refused.append(error)


def connections_made(silent: socket.socket) -> int:
    """How often somebody has connected so far."""
    silent.setblocking(False)
    accepted = 0
    while True:
        try:
            silent.accept()[0].close()
        except BlockingIOError:
            return accepted
        accepted += 1


def test_a_server_that_is_down_at_the_start(server: RedisServer, hands: Hands) -> None:
    """Is `StoreDown` for everything, and used as soon as it is there."""
    store = RedisStore(server.url, "s", monotonic=hands)
    for use in (lambda: store.get(b"key"), lambda: store.get_many([b"key"]), lambda: add(store, b"key", 1, 60)):
        with pytest.raises(StoreDown):
            use()
        hands.now_s += 1
    assert not store.status().reachable
    server.start()
    hands.now_s += 1
    assert add(store, b"key", 1, 60) == 1
    store.close()


def test_a_server_killed_in_flight_and_started_again(server: RedisServer, hands: Hands) -> None:
    """Is `StoreDown` and then used again, although it has forgotten the script."""
    server.start()
    store = RedisStore(server.url, "s", monotonic=hands)
    assert add(store, b"key", 5, 60) == 5
    server.kill()
    with pytest.raises(StoreDown):
        add(store, b"key", 1, 60)
    server.start()
    hands.now_s += 1
    assert add(store, b"key", 1, 60) == 1
    store.close()


def test_a_server_killed_while_it_is_waited_for(server: RedisServer) -> None:
    """Ends the wait with `StoreDown`."""
    server.start()
    store = RedisStore(server.url, "s", timeout_s=30)
    store.get(b"key")
    server.hang()
    refused: list[StoreDown] = []

    waiting = threading.Thread(target=get_refused, args=(store, refused))
    waiting.start()
    server.kill()
    waiting.join(20)
    assert len(refused) == 1
    store.close()


def test_as_many_as_there_can_be_threads_are_not_kept_waiting_for_a_connection(server: RedisServer) -> None:
    """A server that is busy with all of them is not taken for lost."""
    server.start()
    store = RedisStore(server.url, "s", timeout_s=30)
    applied: list[object] = []
    callers = [
        threading.Thread(target=lambda: applied.append(store.apply([], [Put(b"key", b"value", 60)])))
        for _ in range(THREADS_MAX)
    ]
    with redis.Redis.from_url(server.url) as watcher:
        watcher.client_pause(60_000, all=False)
        for caller in callers:
            caller.start()
        give_up_at = time.monotonic() + 30
        while watcher.info("clients")["blocked_clients"] < THREADS_MAX:
            assert time.monotonic() < give_up_at, watcher.info("clients")
            time.sleep(0.02)
        watcher.client_unpause()
    for caller in callers:
        caller.join()
    assert applied == [Applied(())] * THREADS_MAX
    store.close()


def test_a_server_that_hangs(server: RedisServer, hands: Hands) -> None:
    """Is `StoreDown` after the timeout; a batch is sent once only; it is used again when it goes on."""
    server.start()
    store = RedisStore(server.url, "s", timeout_s=0.05, monotonic=hands)
    patient = RedisStore(server.url, "s", timeout_s=20)
    assert add(patient, b"count", 1, 60) == 1
    server.hang()
    with pytest.raises(StoreDown, match="TimeoutError"):
        add(store, b"count", 1, 60)
    with pytest.raises(StoreDown):
        store.get(b"count")
    server.go_on()
    hands.now_s += 1
    assert patient.get(b"count") in (b"1", b"2")
    store.close()
    patient.close()


def test_calls_soon_after_a_failure(silent: socket.socket, hands: Hands) -> None:
    """Do not reach for the server at all; later ones do, once each time."""
    store = RedisStore(silent_url(silent), "s", timeout_s=0.05, monotonic=hands, outage_memory_s=0.25)
    for _ in range(1000):
        with pytest.raises(StoreDown):
            store.get(b"key")
    assert connections_made(silent) == 1
    for _ in range(3):
        hands.now_s += 0.26
        for _ in range(100):
            with pytest.raises(StoreDown):
                add(store, b"key", 1, 60)
    assert connections_made(silent) == 3
    store.close()


def test_many_threads_when_a_server_may_be_back(silent: socket.socket, hands: Hands) -> None:
    """Send one of them to find out; the others are refused without waiting for it."""
    store = RedisStore(silent_url(silent), "s", timeout_s=20, monotonic=hands)
    with one_waiting_for(silent, store):
        pass
    hands.now_s += 1
    with one_waiting_for(silent, store):
        for _ in range(1000):
            with pytest.raises(StoreDown):
                store.get(b"key")
    assert connections_made(silent) == 0
    store.close()


@contextmanager
def one_waiting_for(silent: socket.socket, store: RedisStore) -> Iterator[None]:
    """Meanwhile one thread has sent its request and waits; in the end its connection breaks and it is refused."""
    refused: list[StoreDown] = []
    scout = threading.Thread(target=get_refused, args=(store, refused))
    scout.start()
    connection, _ = silent.accept()
    connection.settimeout(10)
    assert connection.recv(1)
    yield
    connection.close()
    scout.join(20)
    assert len(refused) == 1


def test_a_full_server(tmp_path: Path) -> None:
    """Is `StoreFull` for what would grow; reads and deletions go on, and so do writes once there is room."""
    server = RedisServer(tmp_path, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction").start()
    store = RedisStore(server.url, "s", timeout_s=5)
    written = fill(store)
    assert written > 10
    assert store.get(b"entry 0") == b"x" * 5_000
    with pytest.raises(StoreFull):
        add(store, b"count", 1, 60)
    with pytest.raises(StoreFull):
        store.apply([], [Put(b"new", b"", 60), Delete(b"entry 1")])
    assert store.get_many([b"new", b"count"]) == [None, None]
    assert store.get(b"entry 1") is not None
    store.apply([], [Delete(b"entry %d" % number) for number in range(written)])
    assert add(store, b"count", 1, 60) == 1
    assert store.status().bound_bytes == 4 << 20
    assert store.status().evicts is False
    store.close()
    server.kill()


def test_a_server_that_may_evict(tmp_path: Path) -> None:
    """Says so in its status, for whoever must refuse it."""
    server = RedisServer(tmp_path, "--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru").start()
    store = RedisStore(server.url, "s", timeout_s=5)
    assert store.status().evicts is True
    store.close()
    server.kill()


def test_a_replica_that_takes_no_writes(tmp_path: Path) -> None:
    """Is down for writing."""
    server = RedisServer(tmp_path, "--replicaof", "127.0.0.1 1").start()
    store = RedisStore(server.url, "s", timeout_s=5)
    with pytest.raises(StoreDown, match="ReadOnlyError"):
        add(store, b"count", 1, 60)
    store.close()
    server.kill()


def test_a_server_with_a_password(tmp_path: Path) -> None:
    """Is used with the right one, down with a wrong one, and neither shows in any text of ours."""
    server = RedisServer(tmp_path, "--requirepass", PASSWORD).start()
    right = RedisStore(f"unix://:{QUOTED_PASSWORD}@{server.socket}", "s", timeout_s=5)
    assert add(right, b"count", 1, 60) == 1
    wrong = RedisStore(f"unix://:{QUOTED_PASSWORD}wrong@{server.socket}", "s", timeout_s=5)
    with pytest.raises(StoreDown) as caught:
        wrong.get(b"key")
    server.kill()
    with pytest.raises(StoreDown) as caught_later:
        right.get(b"key")
    for text in (repr(right), repr(wrong), *map(_everything_said, (caught.value, caught_later.value))):
        assert "s3cr3t" not in text
    right.close()
    wrong.close()


def _everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in vars(refusals).values()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == refusals.__name__
    ],
)
def test_every_exception_of_the_library(kind: type[Exception]) -> None:
    """Is caught, and is one of our errors."""
    assert issubclass(kind, FOREIGN_ERRORS)
    expected = StoreFull if kind is redis.exceptions.OutOfMemoryError else StoreDown
    assert isinstance(store_error(kind.__new__(kind), "redis://here"), expected)


def test_errors_of_the_system() -> None:
    """Are `StoreDown`, TLS among them."""
    for error in (OSError("x"), ConnectionResetError("x"), TimeoutError("x"), socket.gaierror("x")):
        assert isinstance(error, FOREIGN_ERRORS)
        assert isinstance(store_error(error, "redis://here"), StoreDown)
