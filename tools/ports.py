"""Ports for servers that are started by number."""

from __future__ import annotations

import os
import socket


class HeldPort:
    """A port of an address, by default a free one of the loopback. As long as this object lives, nobody who asks for
    any free port gets it, and a server that asks for it by number does (`SO_REUSEADDR`). Nobody listens there for that.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Raises `OSError` when somebody listens there."""
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((host, port))
            self.number = int(held.getsockname()[1])
            self._file = held.detach()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)
