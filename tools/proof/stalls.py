"""Ways in which an upstream takes its time, so that the deadline must decide. For the proof and the tests."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from simulator.server import Simulator
from tools.proof.points import METHODS, writes
from tools.proof.staging import Gateway, Reply, request_for

_BACKLOG_CONNECTIONS = 8
_STEP: Mapping[str, Any] = {"interval_s": 0.2, "bytes_per_step": 1}


@dataclass(frozen=True, slots=True)
class Stall:
    """What takes so long, much longer than any deadline here.

    `fault` is the simulator's; None: nobody takes connections. `sent` says whether the request gets out before it
    stalls: then a write may have been applied.
    """

    name: str
    about: str
    fault: str | None
    sent: bool
    params: Mapping[str, Any] = field(default_factory=dict)

    def outcome(self, method: str) -> str | None:
        """What the caller must be told about a write; None for reads."""
        if not writes(method):
            return None
        return "unknown" if self.sent else "not_applied"


STALLS = (
    Stall("connect", "the connection is never taken", None, sent=False),
    Stall("slow TLS", "the TLS handshake begins after 30 s", "slow_tls", sent=False, params={"delay_s": 30}),
    Stall("no TLS", "the TLS handshake never begins", "stall_accept", sent=False),
    Stall("blackhole", "the request is read and never answered", "blackhole", sent=True),
    Stall("slow headers", "the headers drip, a byte in 0.2 s", "slow_headers", sent=True, params=_STEP),
    Stall("drip", "the body drips, a byte in 0.2 s", "drip", sent=True, params=_STEP),
)


@dataclass(frozen=True, slots=True)
class Timed:
    """An answer and how long it took."""

    reply: Reply
    duration_s: float

    def deviations(self, stall: Stall, method: str) -> list[str]:
        """What is not as a passed deadline must be told, a few words each."""
        body = self.reply.body if isinstance(self.reply.body, dict) else {}
        seen = (self.reply.status, body.get("code"), body.get("outcome"))
        wanted = (504, "deadline_passed", stall.outcome(method))
        return [] if seen == wanted else [f"{seen}, not {wanted}"]


@contextmanager
def stalled(stall: Stall, simulator: Simulator) -> Iterator[None]:
    """The upstream in this state, without a connection from before; every call is struck, whatever its method."""
    simulator.restart()
    with contextlib.ExitStack() as on_exit:
        if stall.fault is None:
            on_exit.enter_context(_nobody_accepts(simulator))
        else:
            simulator.faults.add(stall.fault, **stall.params)
            on_exit.callback(simulator.faults.clear)
        yield


def ask_timed(gateway: Gateway, method: str, email: str, key: int) -> Timed:
    """One request of a method, and how long its answer took."""
    started_s = time.monotonic()
    reply = gateway.ask(*request_for(method, email, key))
    return Timed(reply, time.monotonic() - started_s)


def keys_for(simulator: Simulator) -> dict[str, int]:
    """A client of its own for each method, so that no change has to wait for another one."""
    return {method: simulator.store.edit({"email": f"{method}@example.com"})["client_id"] for method in METHODS}


@contextmanager
def _nobody_accepts(simulator: Simulator) -> Iterator[None]:
    """The simulator's port, with a queue of connections that is full: the kernel lets further ones wait."""
    simulator.stop()
    try:
        with contextlib.ExitStack() as sockets:
            listener = sockets.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", simulator.port))
            listener.listen(0)
            for _ in range(_BACKLOG_CONNECTIONS):
                waiting = sockets.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(listener.getsockname())
            yield
    finally:
        simulator.start()
