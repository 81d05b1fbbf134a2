"""gunicorn's threaded worker, except for what waits for callers: that is the loop's business here, not a thread's.

The loop takes in each request until it is whole, and sends what a caller is slow to take. A plain read that the cache
can answer is answered on the spot. Any other request is handed to a thread: a plain read to the operation itself,
everything else, byte for byte as it came, to gunicorn's parser and the WSGI application.
"""

from __future__ import annotations

import gc
import math
import selectors
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.workers.gthread import ThreadWorker

from gateway import draining
from gateway.edge.acceptor import Acceptor
from gateway.edge.connection import CHUNK_BYTES, Connection
from gateway.edge.connections import Connections
from gateway.edge.poller import Callback, Poller
from gateway.edge.pool import Pool
from gateway.edge.reads import Reads
from gateway.edge.receiving import Receiving
from gateway.edge.refusals import Refusals
from gateway.edge.sending import Sending
from gateway.edge.serving import Serving
from gateway.edge.tasks import Tasks

_FAILED = "A connection could not be served."
_SWEEP_EVERY_S = 0.5
_ROUNDS_MAX = 64
_GARBAGE_MIN = 10_000


class Worker(ThreadWorker):
    """The worker of `worker_class` in gunicorn.conf.py."""

    arrive_s = 20.0
    """How long a request may take to arrive, from its first byte."""
    send_s = 30.0
    """How long a caller may take over an answer, from its last progress."""
    linger_s = 2.0
    """How long a connection that ends is listened to, and how long a worker that stops waits for another request."""
    arrived_bytes_max = 64 * 1024 * 1024
    """What is kept of all requests that are still arriving; beyond, the one that has just grown is handed on."""

    _connections = cast(Connections, ())  # until the application is loaded

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._swept_s = 0.0
        self._keepalive_s = 0.0
        self._refusals: Refusals | None = None

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.poller.close()
        self._poller = Poller()
        self.poller = cast(selectors.DefaultSelector, self._poller)
        self._compose(getattr(self.wsgi, "extensions", {}))
        gc.freeze()  # what is here stays, and need not be looked through again and again
        gc.set_threshold(_GARBAGE_MIN)

    def _compose(self, extensions: Mapping[str, Any]) -> None:
        """`extensions` are the application's."""
        log, arrive_s, metrics_port = self.log, self.arrive_s, extensions.get("metrics_port")
        self._refusals = extensions.get("refusals")
        self._tasks = Tasks(self._poller)
        connections = Connections(self._poller, self.worker_connections, on_readable=self._on_readable)
        self._connections = connections
        self._acceptor = Acceptor(self.cfg, connections, arrive_s=arrive_s, metrics_port=metrics_port, log=log)
        self._receiving = Receiving(connections, arrive_s=arrive_s, arrived_bytes_max=self.arrived_bytes_max)
        self._serving = Serving(self._pool, self._tasks, self.method_queue.defer, self._served, log)
        self._sending = Sending(connections, send_s=self.send_s, linger_s=self.linger_s, sent=self._go_on)
        self._reads = Reads(
            extensions.get("shortcut"), connections, self._serving, self._sending, count=self._count_requests, log=log
        )

    @classmethod
    def unserved(cls, cfg: Any) -> str | None:
        """What a configuration asks for that this worker has not; None if nothing."""
        if cfg.is_ssl:
            return "TLS ends in front of the gateway: certfile and keyfile cannot be set"
        if cfg.proxy_protocol != "off" or "h2" in cfg.http_protocols:
            return "the gateway speaks HTTP/1.1 alone: neither proxy_protocol nor HTTP/2 can be set"
        return None

    def get_thread_pool(self) -> ThreadPoolExecutor:
        self._pool = Pool(self.cfg.threads)
        return cast(ThreadPoolExecutor, self._pool)

    # --- who comes ---

    def accept(self, listener: socket.socket) -> None:
        if not self._acceptor.take(listener):
            self.set_accept_enabled(False)

    def set_accept_enabled(self, enabled: bool | None) -> None:
        super().set_accept_enabled(bool(enabled) and not self._acceptor.pauses)

    @property
    def nr_conns(self) -> int:
        """gunicorn's name for how many connections there are."""
        return len(self._connections)

    @nr_conns.setter
    def nr_conns(self, total: int) -> None:
        """Nothing to do: they are counted where they are held."""

    # --- the loop ---

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        """As gunicorn's, but hits are answered together: what many of them share is done once."""
        self._keepalive_s = float(self.cfg.keepalive) if self.alive else self.linger_s
        reads, tasks = self._reads, self._tasks
        for _ in range(_ROUNDS_MAX):
            ready = self._poller.ready(tasks.wait_s(timeout))
            reads.keeps_alive = bool(self.alive and self.cfg.keepalive and not draining.has_begun())
            started_s = time.monotonic()
            for call, file in ready:
                try:
                    call(file)
                except Exception:
                    self.log.exception(_FAILED)
                    self._drop_of(call)
            if reads.asks:
                reads.answer(started_s, started_s + self._keepalive_s)
            tasks.go_on()
            if not ready:
                return
            timeout = 0.0

    def _drop_of(self, call: Callback) -> None:
        """Whatever goes wrong with one connection must not take the others along."""
        if isinstance(call, partial) and isinstance(call.args[0], Connection):
            self._connections.drop(call.args[0])

    def _count_requests(self, total: int) -> None:
        """As gunicorn does for those that it parses: after `max_requests` another worker takes over."""
        self.nr += total
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    # --- what comes in ---

    def _on_readable(self, connection: Connection, sock: socket.socket) -> None:
        if connection.busy:
            self._connections.unwatch(connection)
            return
        if connection.unsent is not None:  # since this round began
            return
        try:
            data = sock.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._connections.drop(connection)
            return
        if not data or connection.last:
            self._on_end(connection, data)
        elif connection.arrival is not None or not self._reads.take_whole(connection, data):
            self._take(connection, data)

    def _on_end(self, connection: Connection, data: bytes) -> None:
        """The caller has said its last, or we have and listen no more to what it says."""
        if not data and connection.arrived:
            self._hand_on(connection)
        elif not data:
            self._connections.drop(connection)

    def _take(self, connection: Connection, data: bytes) -> None:
        """Serves what has arrived whole, `data` being the newest of it, and keeps the rest."""
        if connection.arrival is None and self._reads.take_first(connection, data):
            return
        if self._receiving.take(connection, data):
            self._hand_on(connection)

    def _hand_on(self, connection: Connection) -> None:
        data = self._receiving.hand_out(connection)
        if data is None:
            self._serving.in_thread(connection, partial(self._refuse_head, connection))
            return
        connection.unread(data)
        self._serving.in_thread(connection, partial(self._ask_application, connection))

    # --- what serves ---

    def _ask_application(self, connection: Connection) -> bool:
        keep = bool(self.handle(connection))
        if written := connection.port.take_written():
            connection.send([written])
        return keep and not connection.port.is_spent

    def _refuse_head(self, connection: Connection) -> bool:
        self.handle_error(None, connection.port, connection.client, LimitRequestHeaders("max buffer headers"))
        connection.send([connection.port.take_written()])
        return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """A problem document where gunicorn has a page in HTML."""
        if self._refusals is None:
            super().handle_error(req, client, addr, exc)
        else:
            client.sendall(self._refusals.answer(exc))

    # --- after an answer ---

    def _served(self, connection: Connection, keep: bool) -> None:
        connection.busy = False
        connection.last = connection.last or not keep
        try:
            self._go_on(connection)
        except Exception:
            self.log.exception(_FAILED)
            self._connections.drop(connection)

    def _go_on(self, connection: Connection) -> None:
        """After an answer: to what has arrived meanwhile, to waiting for more, or to the end."""
        if connection.unsent is not None:
            self._sending.send_rest(connection)
            return
        if connection.last:
            self._sending.end(connection)
            return
        connection.until_s = time.monotonic() + self._keepalive_s
        self._connections.watch(connection)
        data = connection.take_read_ahead() + connection.arrived
        self._connections.set_arrived(connection, b"")
        if data:
            self._take(connection, data)

    # --- time ---

    def murder_keepalived(self, force: bool = False) -> None:
        """Ends what has waited for too long, a request that did not arrive whole like one whose sender hung up.

        `force`: drops all for which nothing is being done.
        """
        now_s = time.monotonic()
        self._acceptor.make_room()
        if not force and now_s - self._swept_s < _SWEEP_EVERY_S:
            return
        self._swept_s = now_s
        for connection in self._connections.overdue(math.inf if force else now_s):
            if connection.arrived and connection.unsent is None and not force:
                self._hand_on(connection)
            else:
                self._connections.drop(connection)

    def _cap_keepalive(self, deadline: float) -> None:
        """The worker stops."""
        self._connections.hurry(deadline)
