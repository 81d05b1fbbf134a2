"""nginx with the shipped configuration, before gateways of the test's own."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.history.balancer import SHIPPED, configuration, nginx
from tools.ports import HeldPort

__all__ = ["SHIPPED", "Balancer", "configuration", "nginx"]

STARTED_WITHIN_S = 20.0


class Balancer:
    """Listens on a free loopback port for as long as the `with` block lasts. `gateways` are ADDRESS:PORT."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, gateways: Sequence[str]) -> None:
        self._folder = folder
        self._held = HeldPort()
        self.port = self._held.number
        self._path = configuration(folder, gateways, f"{self.host}:{self.port}")

    def connect(self) -> http.client.HTTPConnection:
        """A connection of one's own; close it."""
        return http.client.HTTPConnection(self.host, self.port, timeout=60)

    def log(self) -> str:
        """The access log; a line may be written after its answer, so read it when the `with` block is over."""
        return (self._folder / "access").read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        command = [nginx(), "-c", str(self._path), "-p", str(self._folder), "-g", "daemon off;"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        give_up_at = time.monotonic() + STARTED_WITHIN_S
        while not self._listens():
            assert self._process.poll() is None, "nginx ended"
            assert time.monotonic() < give_up_at, "nginx did not start"
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGQUIT)  # the requests in hand are finished, and their lines written
        self._process.wait(30)

    def _listens(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), timeout=5):
                return True
        except OSError:
            return False
