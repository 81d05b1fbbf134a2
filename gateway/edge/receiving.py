"""Requests that are still arriving: each is kept until it is whole."""

from __future__ import annotations

import time

from gateway.edge.arrival import Arrival
from gateway.edge.connection import Connection
from gateway.edge.connections import Connections

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Receiving:
    """A request has `arrive_s` seconds from its first byte. When more than `arrived_bytes_max` are kept of all of them,
    the one that has just grown is kept no longer."""

    def __init__(self, connections: Connections, *, arrive_s: float, arrived_bytes_max: int) -> None:
        self._connections = connections
        self._arrive_s = arrive_s
        self._arrived_bytes_max = arrived_bytes_max

    def take(self, connection: Connection, data: bytes) -> bool:
        """Keeps the newest of a request; whether it is to be handed on, as it is."""
        if connection.arrival is None:
            connection.arrival = Arrival()
            connection.until_s = time.monotonic() + self._arrive_s
        self._connections.add_arrived(connection, data)
        if connection.arrival.feed(data) or self._connections.arrived_bytes > self._arrived_bytes_max:
            return True
        if connection.arrival.take_wish_for_leave():
            self._give_leave(connection)
        return False

    def hand_out(self, connection: Connection) -> bytes | None:
        """What has arrived, which is kept no longer; None: a head without an end, which nobody is to read."""
        data, arrival = bytes(connection.arrived), connection.arrival
        self._connections.set_arrived(connection, b"")
        connection.arrival = None
        return None if arrival is not None and arrival.head_is_too_long else data

    def _give_leave(self, connection: Connection) -> None:
        """Who asks for leave has nothing else to read by then; a caller that cannot take it is not waited for."""
        connection.port.has_leave = True
        try:
            connection.socket.sendall(_CONTINUE)
        except OSError:
            self._connections.drop(connection)
