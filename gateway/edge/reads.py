"""Plain reads: those of one round of the loop are answered together, for what they share is then done once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gateway.edge.asking import Ask
from gateway.edge.connection import Connection
from gateway.edge.connections import Connections
from gateway.edge.sending import Sending
from gateway.edge.serving import Serving
from gateway.edge.shortcut import AtHand, Shortcut
from gateway.policy.shelf import Seen


class Reads:
    """Answers plain reads by `shortcut`; None: none is taken, and the application must see all. For the loop alone.

    `keeps_alive`: connections are kept after an answer; while they are not, no read is taken either. `asks` are those
    of this round that are not answered yet. `count` is told how many are about to be answered; `log` is gunicorn's.
    """

    def __init__(
        self,
        shortcut: Shortcut | None,
        connections: Connections,
        serving: Serving,
        sending: Sending,
        *,
        count: Callable[[int], None],
        log: Any,
    ) -> None:
        self._shortcut = shortcut
        self._connections = connections
        self._serving = serving
        self._send = sending.send
        self._count = count
        self._log = log
        self._asking: list[Connection] = []
        self.asks: list[Ask] = []
        self.keeps_alive = False

    def take_whole(self, connection: Connection, data: bytes) -> bool:
        """Whether `data` is one plain read and no more, which will be answered together with those of others."""
        shortcut = self._shortcut
        if shortcut is None or not self.keeps_alive or connection.for_metrics:
            return False
        ask = shortcut.asking.whole(data)
        if ask is None:
            return False
        self._asking.append(connection)
        self.asks.append(ask)
        return True

    def take_first(self, connection: Connection, data: bytes) -> bool:
        """Whether `data` begins with a plain read, which is then served by itself; what comes after it is kept."""
        shortcut = self._shortcut
        if shortcut is None or not self.keeps_alive or connection.for_metrics:
            return False
        ask = shortcut.asking.first(data)
        if ask is None:
            return False
        self._connections.set_arrived(connection, data[ask.end :])
        self._count(1)
        self._serve(connection, shortcut, ask, None)
        return True

    def answer(self, started_s: float, until_s: float) -> None:
        """Answers those of the round, which began at `started_s`; their connections are then waited for until
        `until_s`, both on the monotonic clock."""
        shortcut, send = self._shortcut, self._send
        asking, asks, self._asking, self.asks = self._asking, self.asks, [], []
        if shortcut is None:
            return
        self._count(len(asks))
        answers = self._at_hand(shortcut, asks, started_s)
        for connection, ask, parts in zip(asking, asks, answers, strict=True):
            if parts is None or isinstance(parts, Seen):
                self._serve(connection, shortcut, ask, parts)
            else:
                connection.until_s = until_s
                send(connection, parts)

    def _at_hand(self, shortcut: Shortcut, asks: Sequence[Ask], started_s: float) -> Sequence[AtHand]:
        """Where looking goes wrong, the operation itself is asked, which tells what is wrong."""
        try:
            return shortcut.at_hand(asks, started_s)
        except Exception:  # noqa: BLE001  told, whatever it is
            self._log.exception("The cache could not be looked into.")
            return [None] * len(asks)

    def _serve(self, connection: Connection, shortcut: Shortcut, ask: Ask, seen: Seen | None) -> None:
        """In a task of the loop, or in a thread when the cache's store is far away."""
        serve = self._serving.in_task if shortcut.is_near else self._serving.in_thread
        serve(connection, partial(_answer, connection, shortcut, ask, seen))


def _answer(connection: Connection, shortcut: Shortcut, ask: Ask, seen: Seen | None) -> bool:
    connection.send(shortcut.answer(ask, seen))
    return True
