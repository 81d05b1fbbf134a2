"""Servers that take part: started on one core, ready when they say so, and gone with the block that needed them."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.ports import HeldPort

START_S = 60.0
STOP_S = 15.0
_POLL_S = 0.002
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


class BenchmarkError(Exception):
    """Why the comparison cannot be made, in words for whoever runs it."""


@dataclass(frozen=True, slots=True)
class Command:
    """How a server is started. `env` comes on top of the few variables that every program needs."""

    argv: Sequence[str]
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    ready_path: str = "/readyz"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Server:
    """A server on `port` for as long as the `with` block lasts, pinned to `cores`; its output goes to `log`.

    `headers` are what every request to it carries.
    """

    def __init__(
        self,
        name: str,
        command: Command,
        port: HeldPort,
        cores: Sequence[int],
        log: Path,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.headers = dict(headers or {})
        self.port = port.number
        self._held = port
        self.started_in_s = 0.0
        self._command = command
        self._cores = cores
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, target: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own. Raises `OSError` and `http.client.HTTPException`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, target, body and body.encode(), {**self.headers, **(headers or {})})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def __enter__(self) -> Self:
        began_s = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["taskset", "-c", ",".join(map(str, self._cores)), *self._command.argv],
                cwd=self._command.folder,
                env=_kept_environment() | dict(self._command.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(began_s + START_S)
        except BaseException:
            self._end()
            raise
        self.started_in_s = time.monotonic() - began_s
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass
        self._end()

    def _end(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def _wait_until_ready(self, give_up_at_s: float) -> None:
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > give_up_at_s:
                raise BenchmarkError(f"{self.name} did not get ready; its output:\n{self.output()}")
            time.sleep(_POLL_S)

    def _is_ready(self) -> bool:
        try:
            return self.ask("GET", self._command.ready_path).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def output(self) -> str:
        """The last of what it has written."""
        return self._log.read_text(errors="replace")[-3000:]


def _kept_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}


def two_cores() -> tuple[int, int]:
    """The core for whoever is measured, and the one for the rest. Raises `BenchmarkError`."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchmarkError("Two cores are needed: one for whoever is measured, one for the load and the upstream.")
    return cores[0], cores[1]
