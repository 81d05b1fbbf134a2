"""The simulator as one object: composes the parts, starts, stops, starts again on the same port."""

from __future__ import annotations

import functools
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from simulator.answers import html_answer
from simulator.api import DEMO_TOKENS, PATH, Api
from simulator.calls import Calls
from simulator.connection import Connection, Connections
from simulator.control import PREFIX, Control
from simulator.demo_data import demo_clients
from simulator.faults import FaultBook, Rule
from simulator.gates import Gates
from simulator.http_wire import Request
from simulator.ledger import Ledger
from simulator.listener import Listener
from simulator.settings import split_bind
from simulator.store import Store
from simulator.switches import SwitchBoard

_STOP_S = 5.0


class Simulator:
    """A FreshBooks Classic on `bind` (`HOST:PORT`, port 0: any).

    `state_file`: where the clients are kept; None: in memory, which outlives `stop` but not the object.
    `tls_cert_file` with `tls_key_file`: PEM files; https when given. `tokens`: text to name, see `Api`.
    `clients`: the records to begin with, as the steering shows them; None: the demo clients.
    `steering_bind`: a second address, in plain HTTP, for the steering alone, that no fault touches; None: no such.
    Raises Refused on a bad argument or state file, OSError on a bad certificate; `start` raises OSError when a port
    is taken.
    """

    def __init__(
        self,
        bind: str = "127.0.0.1:0",
        *,
        state_file: str | Path | None = None,
        tls_cert_file: str | Path | None = None,
        tls_key_file: str | Path | None = None,
        tokens: Mapping[str, str] | None = None,
        clients: Iterable[Mapping[str, Any]] | None = None,
        steering_bind: str | None = None,
    ) -> None:
        self._tls = _tls_context(tls_cert_file, tls_key_file)
        self._connections = Connections()
        self._starting = threading.Lock()
        self._is_running = False
        given = None if clients is None else list(clients)
        self.switches = SwitchBoard()
        self.gates = Gates()
        self.ledger = Ledger(lambda: self._connections.opened_total)
        self.store = Store(
            demo_clients if given is None else lambda: given,
            Path(state_file) if state_file else None,
            lambda: self.switches.now.clock_offset_s,
        )
        self.faults = FaultBook(self.gates, self._follow_faults, speaks_tls=self._tls is not None)
        api = Api(self.store, self.switches, DEMO_TOKENS if tokens is None else tokens)
        self._calls = Calls(api, self.ledger, self.faults, self.gates, self.switches)
        self._control = Control(self.store, self.ledger, self.faults, self.gates, self.switches, self.reset)
        self._listener = Listener(*split_bind(bind), self._accept)
        self._steering = Listener(*split_bind(steering_bind), self._accept_steering) if steering_bind else None

    @property
    def base_url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._listener.authority}"

    @property
    def url(self) -> str:
        """The address of the API."""
        return self.base_url + PATH

    @property
    def steering_url(self) -> str:
        """The base address for a Steering client."""
        return f"http://{self._steering.authority}" if self._steering else self.base_url

    @property
    def port(self) -> int:
        return self._listener.port

    def start(self) -> Simulator:
        with self._starting:
            if self._steering:
                self._steering.listen()
            try:
                self._listener.listen()
            except OSError:
                if self._steering:
                    self._steering.close()
                raise
            self._is_running = True
        self._follow_faults()
        return self

    def stop(self) -> None:
        """Close the ports, open the gates, clear the faults, end every connection. Clients and ledger stay."""
        with self._starting:
            self._is_running = False
            self._listener.close()
            if self._steering:
                self._steering.close()
        self.faults.clear()
        self._connections.sever_all(_STOP_S)
        self.store.close()

    def restart(self) -> None:
        """Stop and start on the same port, as after a crash: open connections are lost."""
        self.stop()
        self.start()

    def reset(self) -> None:
        """Back to the records it began with; faults, gates, switches and ledger as at the start.

        What a fault or a gate held is finished first, for 10 seconds at most: it is to change nothing afterwards.
        """
        self.faults.clear()
        self.ledger.wait_idle()
        self.switches.reset()
        self.store.reset()
        self.ledger.clear()

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self, accepted: socket.socket) -> None:
        rule = self.faults.strike_connection()
        connection = Connection(self._connections.next_number(), accepted, self._handle)
        self._connections.run(connection, functools.partial(self._serve, connection, rule))

    def _accept_steering(self, accepted: socket.socket) -> None:
        connection = Connection(0, accepted, self._handle_steering)
        connection.is_steering = True
        self._connections.run(connection, functools.partial(connection.serve, self._idle_s))

    def _serve(self, connection: Connection, rule: Rule | None) -> None:
        if rule is not None and not _lets_on(connection, rule):
            return
        if self._tls is not None and not connection.start_tls(self._tls):
            return
        connection.serve(self._idle_s)

    def _idle_s(self) -> float:
        return self.switches.now.keep_alive_idle_s

    def _handle(self, connection: Connection, request: Request) -> None:
        if request.path == PATH and request.method == "POST":
            self._calls.take(connection, request)
        elif request.path == PATH:
            connection.send_answer(html_answer(405, "Method not allowed", (("Allow", "POST"),)))
        else:
            self._handle_steering(connection, request)

    def _handle_steering(self, connection: Connection, request: Request) -> None:
        if request.path.startswith(f"{PREFIX}/") or request.path == PREFIX:
            self._connections.note_steering(connection)
            connection.send_answer(self._control.answer(request))
        else:
            connection.send_answer(html_answer(404, "Page not found"))

    def _follow_faults(self) -> None:
        """Open or close the listener as the faults have it."""
        rule = self.faults.refuses_connections()
        with self._starting:
            if not self._is_running:
                return
            if rule is None:
                self._listener.listen()
                return
            self._listener.refuse()
        self._connections.end_callers()
        self._end_later(rule)

    def _end_later(self, rule: Rule) -> None:
        for_s = rule.params["for_s"]
        if for_s is not None and not rule.has_timer:
            rule.has_timer = True
            threading.Thread(target=self._end_after, args=(rule, for_s), daemon=True).start()

    def _end_after(self, rule: Rule, for_s: float) -> None:
        rule.release.sleep(for_s)
        self.faults.drop(rule)


def _lets_on(connection: Connection, rule: Rule) -> bool:
    """Do what the rule does to a connection just accepted; False when it is over."""
    if rule.name == "accept_close":
        connection.abort()
        return False
    if rule.name == "stall_accept":
        rule.release.hold(connection)
        return False
    rule.release.sleep(rule.params["delay_s"])
    return True


def _tls_context(cert_file: str | Path | None, key_file: str | Path | None) -> ssl.SSLContext | None:
    if not cert_file:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    return context
