"""Takes connections from the listeners, and none for a while when the system has no descriptors left."""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

from gunicorn.config import Config

from gateway.edge.connection import Connection
from gateway.edge.connections import Connections

_PAUSE_S = 0.5
_NOBODY = (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK, errno.EINVAL)
"""Another worker was faster, the caller has gone, or the listener refuses everybody (`gateway.lifecycle.listening`)."""


class Acceptor:
    """Adds who comes to `connections`, with `arrive_s` seconds for the first request to arrive.

    `metrics_port` is that of the address that is for metrics alone, None if there is none; `log` is gunicorn's.
    """

    def __init__(
        self, cfg: Config, connections: Connections, *, arrive_s: float, metrics_port: int | None, log: Any
    ) -> None:
        self._cfg = cfg
        self._connections = connections
        self._arrive_s = arrive_s
        self._metrics_port = metrics_port
        self._log = log
        self._pause_until_s = 0.0
        self._lacks_descriptors = False

    @property
    def pauses(self) -> bool:
        """Callers wait until there are descriptors again."""
        return time.monotonic() < self._pause_until_s

    def take(self, listener: socket.socket) -> bool:
        """Whether another can be taken after this one."""
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in _NOBODY:
                return True
            self._pause()
            return False
        address = listener.getsockname()
        connection = Connection(self._cfg, sock, client, address, for_metrics=address[1] == self._metrics_port)
        connection.until_s = time.monotonic() + self._arrive_s
        try:
            self._connections.add(connection)
        except OSError:
            self._pause()
            return False
        return not self._connections.are_full

    def make_room(self) -> None:
        """Lets go of some that are here where others cannot come. Not within a round: some of those that seem to ask
        nothing may have been heard already."""
        if self._lacks_descriptors or self._connections.are_full:
            self._lacks_descriptors = False
            self._connections.make_room(time.monotonic() + self._arrive_s)

    def _pause(self) -> None:
        self._log.warning("No connection can be taken while descriptors or memory are used up.")
        self._pause_until_s = time.monotonic() + _PAUSE_S
        self._lacks_descriptors = True
