"""What meets in one round of the loop: a worker in this process, whose loop goes on only when it is told to."""

from __future__ import annotations

import json
import os
import resource
import select
import selectors
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from gateway.edge.connection import Connection
from gateway.edge.worker import Worker
from gateway.settings import Settings
from simulator.server import Simulator
from tests.edge.callers import get
from tests.edge.replies import SAFETY_S, split
from tests.edge.twins import settings
from tests.support.gateway import open_app

BIG = get("/clients?per_page=100")
BIG_NOT_PLAIN = get("/clients?per_page=100", "Prefer: wait=9")
READ = get("/clients/13", "X-Request-Id: behind")
ROUNDS_MAX = 5000


class App:
    """What gunicorn asks for the application."""

    def __init__(self, wsgi: Any) -> None:
        self._wsgi = wsgi

    def wsgi(self) -> Any:
        return self._wsgi


class Stepped:
    """A worker with one caller, between whom little fits."""

    def __init__(self, wsgi: Any) -> None:
        config = Config()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.listener.setblocking(False)
        self.worker = Worker(1, os.getppid(), [self.listener], App(wsgi), 60, config, Logger(config))
        self.worker.tpool = self.worker.get_thread_pool()
        self.worker.poller = selectors.DefaultSelector()
        self.worker.method_queue.init()
        self.worker.load_wsgi()
        queue = self.worker.method_queue
        self.worker.poller.register(queue, selectors.EVENT_READ, queue.run_callbacks)  # type: ignore[arg-type]
        self.worker.set_accept_enabled(True)
        self.caller = socket.socket()
        self.caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.caller.connect(self.listener.getsockname())
        self.caller.settimeout(SAFETY_S)
        self.until(lambda: bool(self.worker._connections))

    @property
    def connection(self) -> Connection:
        (found,) = self.worker._connections
        return found

    def step(self) -> None:
        self.worker.wait_for_and_dispatch_events(0.01)

    def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(ROUNDS_MAX):
            if holds():
                return
            self.step()
        raise AssertionError("it did not come true")

    def read_all(self, enough: bytes) -> bytes:
        """What the caller gets while the loop goes on, until it has got that or the end."""
        stream = b""
        while enough not in stream:
            self.step()
            if select.select([self.caller], [], [], 0.01)[0]:
                more = self.caller.recv(65536)
                stream += more
                if not more:
                    break
        return stream

    def close(self) -> None:
        self.worker.murder_keepalived(force=True)
        self.caller.close()
        self.listener.close()
        self.worker.tpool.shutdown()
        self.worker.poller.close()
        self.worker.method_queue.close()
        self.worker.tmp.close()


@pytest.fixture
def stepped(simulator: Simulator, tmp_path: Path) -> Iterator[Stepped]:
    env = settings(simulator, STORE_URL=str(tmp_path / "store"), LOG_LEVEL="error")
    made = Stepped(open_app(Settings.from_env(env)))
    yield made
    made.close()


def is_readable(file: Any) -> bool:
    return bool(select.select([file], [], [], SAFETY_S)[0])


def test_an_answer_that_waits_is_not_cut_into_by_the_next(stepped: Stepped) -> None:
    """In one round a thread has its answer ready, which does not fit, and the next request has come."""
    stepped.caller.send(BIG_NOT_PLAIN)
    stepped.until(lambda: stepped.connection.busy)
    assert is_readable(stepped.worker.method_queue.fileno())
    stepped.caller.send(READ)
    assert is_readable(stepped.connection.socket)
    stepped.step()
    assert stepped.connection.unsent is not None
    found = split(stepped.read_all(b"behind"), "GET")
    assert found is not None
    assert json.loads(found[0].body)["per_page"] == 100
    assert found[1].startswith(b"HTTP/1.1 200 OK")


def test_who_is_given_up_is_given_up_with_all_that_waits_behind(stepped: Stepped) -> None:
    """Its next request is not begun while it has not taken its last answer."""
    stepped.caller.send(BIG + READ)
    stepped.until(lambda: stepped.connection.unsent is not None)
    stepped.connection.until_s = 0.0
    stepped.worker.murder_keepalived()
    assert stepped.worker.nr_conns == 0
    assert b"behind" not in stepped.read_all(b"behind")


def test_what_goes_wrong_with_one_connection_ends_that_one(stepped: Stepped) -> None:
    """Its descriptor is closed by somebody else: the loop goes on, and the connection is forgotten."""
    stepped.connection.socket.close()
    stepped.caller.send(READ)
    stepped.worker.murder_keepalived()
    stepped.connection.until_s = 0.0
    stepped.worker._swept_s = 0.0
    stepped.worker.murder_keepalived()
    assert stepped.worker.nr_conns == 0
    stepped.step()


def test_who_was_heard_in_the_round_in_which_descriptors_run_out_is_answered(stepped: Stepped) -> None:
    """Room for others is made of those that ask nothing."""
    stepped.caller.send(READ)
    stepped.read_all(b"behind")
    stepped.connection.until_s = 0.0
    stepped.caller.send(READ)
    assert is_readable(stepped.connection.socket)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as other:
        other.connect(stepped.listener.getsockname())
        assert is_readable(stepped.listener)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))
        try:
            stepped.worker.wait_for_and_dispatch_events(0.01)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert stepped.worker._acceptor.pauses
        assert b"behind" in stepped.read_all(b"behind")
