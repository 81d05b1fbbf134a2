"""The gateway as it runs in production: gunicorn in processes of its own, on a free loopback port."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.ports import HeldPort

ROOT = Path(__file__).parents[2]
START_S = 60.0
STOP_S = 30.0
_POLL_S = 0.02


class GatewayProcess:
    """`gunicorn -c gunicorn.conf.py 'app:create_app()'` for as long as the `with` block lasts.

    `env` holds the settings, such as `UPSTREAM_URL`; the port is a free one unless `GATEWAY_BIND` is given, the store
    one of its own unless `STORE_URL` is, and it does not drain unless `GATEWAY_DRAIN_S` is. On the way out it gets
    TERM, and it is an AssertionError when it does not end in `STOP_S` with exit code 0, or leaves a process, a
    listening port or a temporary file behind.
    """

    def __init__(self, env: Mapping[str, str], *, awaited: int = 200) -> None:
        """`awaited` is the status of `/readyz` with which the start is over."""
        self._awaited = awaited
        bind = env.get("GATEWAY_BIND")
        if bind is None:
            self._held = HeldPort()
            bind = f"127.0.0.1:{self._held.number}"
        self.host, self.port = _split(bind)
        self._env = {"GATEWAY_DRAIN_S": "0", **env, "GATEWAY_BIND": bind}

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """Of gunicorn's arbiter, which is also the number of the process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.poll()

    def output(self) -> str:
        """What it has written so far, on both standard streams."""
        return b"".join(self._lines).decode("utf-8", "replace")

    def log(self) -> list[dict[str, Any]]:
        """The log lines written so far; what is no JSON object is left out."""
        return [json.loads(line) for line in list(self._lines) if line.startswith(b"{")]

    def connect(self, timeout_s: float = 30.0) -> http.client.HTTPConnection:
        """A connection of one's own; close it."""
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)

    def terminate(self) -> None:
        """TERM to the arbiter, as an orchestrator sends it."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """The exit code. Raises `subprocess.TimeoutExpired`."""
        return self._process.wait(timeout_s)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="gateway-process-")
        self._store = os.path.join(self._folder.name, "store")
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"],
            cwd=ROOT,
            env={**kept, "PYTHONUNBUFFERED": "1", "TMPDIR": self._folder.name, "STORE_URL": self._store, **self._env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._lines: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._wait_until_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended_by_test = self.exit_code is not None
        if not ended_by_test:
            self.terminate()
        try:
            if kind is None:
                self._check_end(ended_by_test)
        finally:
            self._end()

    def _check_end(self, ended_by_test: bool) -> None:
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            raise AssertionError(f"gunicorn does not end {STOP_S:g} s after TERM:\n{self.output()}") from None
        if code < 0 and ended_by_test:
            return
        assert code == 0, f"gunicorn ended with exit code {code}:\n{self.output()}"
        assert not self._group_lives(), "gunicorn ended and left a process behind"
        assert not _listens(self.host, self.port), f"something still listens on {self.host}:{self.port}"
        left = sorted(path.name for path in Path(self._folder.name).iterdir() if path != Path(self._store))
        assert not left, f"gunicorn left temporary files behind: {left}"

    def _end(self) -> None:
        """Leaves nothing, whatever happened."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._reader.join(timeout=STOP_S)
        self._folder.cleanup()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.append(line)

    def _wait_until_ready(self) -> None:
        give_up_at = time.monotonic() + START_S
        while not self._is_ready():
            if self.exit_code is not None or time.monotonic() > give_up_at:
                self._reader.join(timeout=1)
                raise AssertionError(f"gunicorn did not get ready (exit code {self.exit_code}):\n{self.output()}")
            time.sleep(_POLL_S)

    def _is_ready(self) -> bool:
        connection = self.connect(timeout_s=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == self._awaited
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _group_lives(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


def _split(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    return host.strip("[]"), int(port)


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=5):
            return True
    except OSError:
        return False
