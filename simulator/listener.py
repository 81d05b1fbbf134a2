"""The listening socket: accepts, refuses, comes back on the same port."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

BACKLOG = 1024


class Listener:
    """Hands every accepted socket to `accepted`, on a thread of its own. Port 0: any, kept from then on."""

    def __init__(self, host: str, port: int, accepted: Callable[[socket.socket], None]) -> None:
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._address = (host, port)
        self._accepted = accepted
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._is_listening = False

    @property
    def port(self) -> int:
        return self._address[1]

    @property
    def authority(self) -> str:
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def listen(self) -> None:
        """Begin, or begin again after `refuse` or `close`; raises OSError when the port is taken."""
        with self._lock:
            if self._is_listening:
                return
            listening = self._socket or self._bound()
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.listen(BACKLOG)
            self._socket, self._is_listening = listening, True
            name = "simulator-listener"
            self._thread = threading.Thread(target=self._accept, args=(listening,), name=name, daemon=True)
            self._thread.start()

    def refuse(self) -> None:
        """Refuse connections but keep the port: it is bound again without listening, and nobody may share it."""
        with self._lock:
            if self._is_listening:
                self._end()
                self._socket = self._bound()
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._socket is not None:
            if self._is_listening:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._socket = self._thread = None
        self._is_listening = False

    def _bound(self) -> socket.socket:
        bound = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(self._address)
        except OSError:
            bound.close()
            raise
        self._address = (self._address[0], bound.getsockname()[1])
        return bound

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listening.accept()
            except OSError:
                if listening.fileno() < 0 or not self._is_listening or _is_shut(listening):
                    return
                continue
            self._accepted(accepted)


def _is_shut(listening: socket.socket) -> bool:
    """Whether it no longer listens, as against a connection that broke off before it was accepted."""
    with contextlib.suppress(OSError):
        return not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    return True
