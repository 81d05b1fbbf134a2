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

ROOT = Path(__file__).resolve().parents[2]
_START_S = 60.0
_STOP_S = 30.0
_POLL_S = 0.02
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL")


class _Server:
    """A program with its output in a file of `folder`, from `with` to its end. It has a process group of its own."""

    def __init__(self, name: str, command: list[str], environ: Mapping[str, str], folder: Path) -> None:
        self._name = name
        self._command = command
        self._environ = {key: os.environ[key] for key in _KEPT if key in os.environ} | dict(environ)
        self._output = folder / f"{name}.log"

    def is_ready(self) -> bool:
        raise NotImplementedError

    def __enter__(self) -> Self:
        with self._output.open("wb") as output:
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
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
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


class GatewayServer(_Server):
    """The gateway as it runs in production, on a free loopback port. `folder` takes its output and temporary files."""

    def __init__(self, name: str, settings: Mapping[str, str], folder: Path) -> None:
        self.port = _free_port()
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"]
        environ = {**settings, "GATEWAY_BIND": f"127.0.0.1:{self.port}", "TMPDIR": str(folder)}
        super().__init__(name, command, environ, folder)

    def is_ready(self) -> bool:
        door = self.door()
        try:
            return door.ask("GET", "/readyz", {}).status == 200
        except NoAnswerError:
            return False
        finally:
            door.close()

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


class RedisServer(_Server):
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


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
