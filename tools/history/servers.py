"""The servers of a history: gateways under gunicorn, whose workers can be killed, and a Redis server."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from tools.history.doors import Door, HttpDoor, NoAnswerError
from tools.ports import HeldPort

ROOT = Path(__file__).resolve().parents[2]
_START_S = 60.0
_STOP_S = 30.0
_POLL_S = 0.02
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL")


class Server:
    """A program with its output in a file of `folder`, from `with` to its end. It has a process group of its own."""

    _farewell = signal.SIGTERM

    def __init__(self, name: str, command: list[str], environ: Mapping[str, str], folder: Path) -> None:
        self._name = name
        self._command = command
        self._environ = {key: os.environ[key] for key in _KEPT if key in os.environ} | dict(environ)
        self._output = folder / f"{name}.log"

    def is_ready(self) -> bool:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """Returns when it is ready. Raises `RuntimeError`."""
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        give_up_at = time.monotonic() + _START_S
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > give_up_at:
                self._end()
                raise RuntimeError(f"{self._name} did not get ready:\n{self._output.read_text(errors='replace')}")
            time.sleep(_POLL_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.send_signal(self._farewell)
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            pass
        self._end()

    def _end(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class GatewayServer(Server):
    """The gateway as it runs in production, on a free loopback port. `folder` takes its output and temporary files."""

    _farewell = signal.SIGINT  # without draining: nobody comes any more

    def __init__(self, name: str, settings: Mapping[str, str], folder: Path) -> None:
        self._held = HeldPort()
        self.port = self._held.number
        self.address = f"127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"]
        environ = {**settings, "GATEWAY_BIND": self.address, "TMPDIR": str(folder)}
        super().__init__(name, command, environ, folder)

    def is_ready(self) -> bool:
        return self.readiness() == 200

    def readiness(self) -> int | None:
        """The status of `/readyz`; None when there is no answer."""
        door = self.door()
        try:
            return door.ask("GET", "/readyz", {}).status
        except NoAnswerError:
            return None
        finally:
            door.close()

    def terminate(self) -> None:
        """TERM, as an orchestrator sends it."""
        self.process.terminate()

    def wait_until_unready(self) -> None:
        give_up_at = time.monotonic() + _STOP_S
        while self.readiness() == 200:
            if time.monotonic() > give_up_at:
                raise RuntimeError(f"{self._name} was told to end and stays ready")
            time.sleep(_POLL_S)

    def wait_for_end(self) -> None:
        """Raises `RuntimeError` when it does not end well."""
        code = self.process.wait(_STOP_S)
        if code != 0:
            raise RuntimeError(f"{self._name} ended with {code}:\n{self._output.read_text(errors='replace')}")

    def door(self) -> Door:
        return HttpDoor("127.0.0.1", self.port)

    def kill_a_worker(self, chance: random.Random) -> bool:
        """SIGKILL; gunicorn starts another. False when there is none just now."""
        workers = psutil.Process(self.process.pid).children()
        if not workers:
            return False
        try:
            chance.choice(workers).kill()
        except psutil.NoSuchProcess:
            return False
        return True


class RedisServer(Server):
    """A redis-server on a Unix socket in `folder`, that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is not installed: tools/setup-debian.sh test")
        self._socket = folder / "redis.sock"
        self.url = f"unix://{self._socket}"
        options = ["--port", "0", "--unixsocket", str(self._socket), "--dir", str(folder)]
        super().__init__("redis", [program, *options, "--save", "", "--appendonly", "no"], {}, folder)

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self._socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(7) == b"+PONG\r\n"
            except OSError:
                return False
