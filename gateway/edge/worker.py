"""gunicorn's threaded worker, except for what waits for callers: that is the loop's business here, not a thread's.

The loop takes in each request until it is whole, and sends what a caller is slow to take. A plain read that the cache
can answer is answered on the spot. Any other request is handed to a thread: a plain read to the operation itself,
everything else, byte for byte as it came, to gunicorn's parser and the WSGI application.
"""

from __future__ import annotations

import errno
import gc
import math
import selectors
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.workers.gthread import ThreadWorker

from gateway import draining
from gateway.edge.arrival import Arrival
from gateway.edge.asking import Ask
from gateway.edge.connection import CHUNK_BYTES, Connection
from gateway.edge.connections import Connections
from gateway.edge.poller import Callback, Poller
from gateway.edge.pool import Pool
from gateway.edge.refusals import Refusals
from gateway.edge.serving import Serving
from gateway.edge.shortcut import AtHand, Shortcut
from gateway.edge.tasks import Tasks
from gateway.policy.shelf import Seen

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_FAILED = "A connection could not be served."
_SWEEP_EVERY_S = 0.5
_PAUSE_S = 0.5
_ROUNDS_MAX = 64
_GARBAGE_MIN = 10_000
_NOBODY = (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK, errno.EINVAL)
"""Another worker was faster, the caller has gone, or the listener refuses everybody (`gateway.lifecycle.listening`)."""


class Worker(ThreadWorker):
    """The worker of `worker_class` in gunicorn.conf.py."""

    arrive_s = 20.0
    """How long a request may take to arrive, from its first byte."""
    send_s = 30.0
    """How long a caller may take over an answer, from its last progress."""
    linger_s = 2.0
    """How long a closed connection is listened to, so that the answer is not lost to a reset (RFC 9112 §9.6), and how
    long a worker that stops waits for another request on a connection."""
    arrived_bytes_max = 64 * 1024 * 1024
    """What is kept of all requests that are still arriving; beyond, the one that has just grown is handed on."""

    _connections = cast(Connections, ())  # until the application is loaded

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._swept_s = 0.0
        self._keepalive_s = 0.0
        self._keeps_alive = False
        self._asking: list[Connection] = []
        self._asks: list[Ask] = []
        self._pause_until_s = 0.0
        self._shortcut: Shortcut | None = None
        self._refusals: Refusals | None = None
        self._metrics_port: int | None = None

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.poller.close()
        self._poller = Poller()
        self._tasks = Tasks(self._poller)
        self._connections = Connections(
            self._poller, self.worker_connections, on_readable=self._on_readable, on_writable=self._on_writable
        )
        self._serving = Serving(self._pool, self._tasks, self.method_queue.defer, self._served, self.log)
        self.poller = cast(selectors.DefaultSelector, self._poller)
        extensions = getattr(self.wsgi, "extensions", {})
        self._shortcut, self._metrics_port = extensions.get("shortcut"), extensions.get("metrics_port")
        self._refusals = extensions.get("refusals")
        gc.freeze()  # what is here stays, and need not be looked through again and again
        gc.set_threshold(_GARBAGE_MIN)

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
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno not in _NOBODY:
                self._pause()
            return
        address = listener.getsockname()
        connection = Connection(self.cfg, sock, client, address, for_metrics=address[1] == self._metrics_port)
        connection.until_s = time.monotonic() + self.arrive_s
        try:
            self._connections.add(connection)
        except OSError:
            self._pause()
        if self._connections.are_full:
            self.set_accept_enabled(False)

    @property
    def nr_conns(self) -> int:
        """gunicorn's name for how many connections there are."""
        return len(self._connections)

    @nr_conns.setter
    def nr_conns(self, total: int) -> None:
        """Nothing to do: they are counted where they are held."""

    def _pause(self) -> None:
        """Callers wait until there are descriptors again."""
        self.log.warning("No connection can be taken while descriptors or memory are used up.")
        self._pause_until_s = time.monotonic() + _PAUSE_S
        self._make_room()
        self.set_accept_enabled(False)

    def _make_room(self) -> None:
        self._connections.make_room(time.monotonic() + self.arrive_s)

    def set_accept_enabled(self, enabled: bool | None) -> None:
        super().set_accept_enabled(bool(enabled) and time.monotonic() >= self._pause_until_s)

    def _drop_of(self, call: Callback) -> None:
        """Whatever goes wrong with one connection must not take the others along."""
        if isinstance(call, partial) and isinstance(call.args[0], Connection):
            self._connections.drop(call.args[0])

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
        elif connection.arrival is not None or not self._cut_short(connection, data):
            self._take(connection, data)

    def _on_end(self, connection: Connection, data: bytes) -> None:
        """The caller has said its last, or we have and listen no more to what it says."""
        if not data and connection.arrived:
            self._hand_on(connection)
        elif not data:
            self._connections.drop(connection)

    def _cut_short(self, connection: Connection, data: bytes) -> bool:
        """Whether `data` is one plain read, which will be answered together with those of others."""
        shortcut = self._shortcut_for(connection)
        ask = None if shortcut is None else shortcut.asking.whole(data)
        if ask is None:
            return False
        self._asking.append(connection)
        self._asks.append(ask)
        return True

    def _take(self, connection: Connection, data: bytes) -> None:
        """Serves what has arrived whole, `data` being the newest of it, and keeps the rest."""
        if connection.arrival is None:
            data = self._take_plain(connection, data)
            if not data:
                return
            connection.arrival = Arrival()
            connection.until_s = time.monotonic() + self.arrive_s
        self._connections.add_arrived(connection, data)
        if connection.arrival.feed(data) or self._connections.arrived_bytes > self.arrived_bytes_max:
            self._hand_on(connection)
        elif connection.arrival.take_wish_for_leave():
            self._give_leave(connection)

    def _give_leave(self, connection: Connection) -> None:
        """Who asks for leave has nothing else to read by then; a caller that cannot take it is not waited for."""
        connection.port.has_leave = True
        try:
            connection.socket.sendall(_CONTINUE)
        except OSError:
            self._connections.drop(connection)

    def _take_plain(self, connection: Connection, data: bytes) -> bytes:
        """Serves the first plain read that `data` begins with and keeps the rest; returns what begins otherwise."""
        shortcut = self._shortcut_for(connection)
        ask = None if shortcut is None else shortcut.asking.first(data)
        if shortcut is None or ask is None:
            return data
        self._connections.set_arrived(connection, data[ask.end :])
        self._count_requests(1)
        self._serve_read(connection, shortcut, ask)
        return b""

    def _shortcut_for(self, connection: Connection) -> Shortcut | None:
        """None when answers end their connections, and on the address that is for metrics alone."""
        return self._shortcut if self._keeps_alive and not connection.for_metrics else None

    def _hand_on(self, connection: Connection) -> None:
        data, arrival = bytes(connection.arrived), connection.arrival
        self._connections.set_arrived(connection, b"")
        connection.arrival = None
        if arrival is not None and arrival.head_is_too_long:
            self._serving.in_thread(connection, partial(self._refuse_head, connection))
            return
        connection.unread(data)
        self._serving.in_thread(connection, partial(self._ask_application, connection))

    # --- what serves ---

    def _serve_read(self, connection: Connection, shortcut: Shortcut, ask: Ask, seen: Seen | None = None) -> None:
        """In a task of the loop, or in a thread when the cache's store is far away."""
        serve = self._serving.in_task if shortcut.is_near else self._serving.in_thread
        serve(connection, partial(self._ask, connection, shortcut, ask, seen))

    def _ask(self, connection: Connection, shortcut: Shortcut, ask: Ask, seen: Seen | None) -> bool:
        connection.send(shortcut.answer(ask, seen))
        return True

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

    def _served(self, connection: Connection, keep: bool) -> None:
        connection.busy = False
        connection.last = connection.last or not keep
        try:
            self._go_on(connection)
        except Exception:
            self.log.exception(_FAILED)
            self._connections.drop(connection)

    # --- what goes out ---

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        """As gunicorn's, but hits are answered together: what many of them share is done once."""
        self._keepalive_s = float(self.cfg.keepalive) if self.alive else self.linger_s
        for _ in range(_ROUNDS_MAX):
            ready = self._poller.ready(self._tasks.wait_s(timeout))
            self._keeps_alive = bool(self.alive and self.cfg.keepalive and not draining.has_begun())
            started_s = time.monotonic()
            for call, file in ready:
                try:
                    call(file)
                except Exception:
                    self.log.exception(_FAILED)
                    self._drop_of(call)
            if self._asking:
                self._answer_those(started_s)
            self._tasks.go_on()
            if not ready:
                return
            timeout = 0.0

    def _answer_those(self, started_s: float) -> None:
        shortcut = self._shortcut
        asking, asks, self._asking, self._asks = self._asking, self._asks, [], []
        if shortcut is None:
            return
        until_s = started_s + self._keepalive_s
        self._count_requests(len(asks))
        answers = self._at_hand(shortcut, asks, started_s)
        for connection, ask, parts in zip(asking, asks, answers, strict=True):
            if parts is None or isinstance(parts, Seen):
                self._serve_read(connection, shortcut, ask, parts)
            else:
                connection.until_s = until_s
                self._send(connection, parts)

    def _at_hand(self, shortcut: Shortcut, asks: Sequence[Ask], started_s: float) -> Sequence[AtHand]:
        """Where looking goes wrong, the operation itself is asked, which tells what is wrong."""
        try:
            return shortcut.at_hand(asks, started_s)
        except Exception:
            self.log.exception("The cache could not be looked into.")
            return [None] * len(asks)

    def _count_requests(self, total: int) -> None:
        """As gunicorn does for those that it parses: after `max_requests` another worker takes over."""
        self.nr += total
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def _send(self, connection: Connection, parts: Sequence[bytes]) -> None:
        try:
            connection.send(parts)
        except OSError:
            self._connections.drop(connection)
            return
        if connection.unsent is not None:
            self._await_room(connection)

    def _await_room(self, connection: Connection) -> None:
        connection.until_s = time.monotonic() + self.send_s
        self._connections.watch_for_room(connection)

    def _on_writable(self, connection: Connection, sock: socket.socket) -> None:
        unsent = connection.unsent or memoryview(b"")
        try:
            sent = sock.send(unsent)
        except BlockingIOError:
            return
        except OSError:
            self._connections.drop(connection)
            return
        connection.until_s = time.monotonic() + self.send_s
        connection.unsent = unsent[sent:] if sent < len(unsent) else None
        if connection.unsent is None:
            self._connections.unwatch(connection)
            self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        """After an answer: to what has arrived meanwhile, to waiting for more, or to the end."""
        if connection.unsent is not None:
            self._await_room(connection)
            return
        if connection.last:
            self._end(connection)
            return
        connection.until_s = time.monotonic() + self._keepalive_s
        self._connections.watch(connection)
        data = connection.take_read_ahead() + connection.arrived
        self._connections.set_arrived(connection, b"")
        if data:
            self._take(connection, data)

    def _end(self, connection: Connection) -> None:
        """Says that nothing more will come, and listens for a moment to what the caller was still sending."""
        connection.until_s = time.monotonic() + self.linger_s
        self._connections.set_arrived(connection, b"")
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._connections.drop(connection)
            return
        self._connections.watch(connection)

    # --- time ---

    def murder_keepalived(self, force: bool = False) -> None:
        """Ends what has waited for too long, a request that did not arrive whole like one whose sender hung up.

        `force`: drops all for which nothing is being done.
        """
        now_s = time.monotonic()
        if self._connections.are_full:
            self._make_room()
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
