"""The image under runc, as Docker and Kubernetes start it: a process tree of its own, and a root that is read-only."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_S = 60.0
STOP_S = 60.0
_POLL_S = 0.05
VOLUME = "/var/lib/gateway"
SECRETS = "/run/secrets"


@dataclass(frozen=True)
class Image:
    """What was built: from which commit, its configuration as Docker writes it, its history, its root file system."""

    commit: str
    config: Mapping[str, Any]
    history: str
    root: Path

    @property
    def env(self) -> dict[str, str]:
        return dict(entry.split("=", 1) for entry in self.config["Env"])

    @property
    def user(self) -> tuple[int, int]:
        user, group = self.config["User"].split(":")
        return int(user), int(group)

    @property
    def health_check(self) -> list[str]:
        """The command line. Raises `AssertionError` when it would need a shell."""
        kind, *command = map(str, self.config["Healthcheck"]["Test"])
        assert kind == "CMD"
        return command


class Container:
    """The image as it starts by itself, until the `with` block ends; then nothing of it is left.

    `env` is added to the image's own. `secrets` become files under /run/secrets. Unless `own_network`, it shares the
    machine's network, so that it can be called on the loopback and call from there.

    It has no capability and can gain none, its root is read-only, and it may write to /tmp, /dev/shm and the volume.
    """

    def __init__(
        self,
        image: Image,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        *,
        own_network: bool = False,
    ) -> None:
        self._image = image
        self._env = {**image.env, **(env or {})}
        self._secrets = secrets or {}
        self._own_network = own_network
        self._name = f"gateway-{uuid.uuid4().hex[:12]}"

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="gateway-container-")
        folder = Path(self._folder.name)
        self._output = folder / "output"
        self._runc = ["runc", "--root", str(folder / "runc")]
        self._lay_out(folder)
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*self._runc, "run", "--bundle", str(folder), self._name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run([*self._runc, "delete", "--force", self._name], capture_output=True)
        self._process.wait(STOP_S)
        if kind is not None:
            print(self.output())  # noqa: T201 - pytest shows it beside the failure
        self._folder.cleanup()

    def output(self) -> str:
        """What it has written so far, on both standard streams."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait_for_output(self, text: str) -> None:
        """Until it has written this: the runtime hands it on, a moment after it was written."""
        give_up_at = time.monotonic() + START_S
        while text not in self.output():
            assert time.monotonic() < give_up_at, f"it does not say {text}:\n{self.output()}"
            time.sleep(_POLL_S)

    def pids(self) -> list[int]:
        """Its processes, by the machine's numbers."""
        listing = subprocess.run(
            [*self._runc, "ps", "--format", "json", self._name], check=True, capture_output=True, text=True
        )
        return [int(pid) for pid in json.loads(listing.stdout)]

    def execute(self, command: Sequence[str], **env: str) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, as its user and with its environment."""
        extra = [f"--env={name}={value}" for name, value in env.items()]
        return subprocess.run(
            [*self._runc, "exec", *extra, self._name, *command], capture_output=True, text=True, timeout=STOP_S
        )

    def signal(self, name: str) -> None:
        """A signal to its first process, as an orchestrator sends it."""
        subprocess.run([*self._runc, "kill", self._name, name], check=True, capture_output=True)

    def wait(self) -> int:
        """The exit code of its first process. Raises `subprocess.TimeoutExpired`."""
        return self._process.wait(STOP_S)

    def wait_until_healthy(self) -> None:
        """Raises `AssertionError` when the image's own health check does not pass in time, or it ends."""
        give_up_at = time.monotonic() + START_S
        while self.execute(self._image.health_check).returncode != 0:
            ended = self._process.poll()
            assert ended is None, f"it ended with exit code {ended}:\n{self.output()}"
            assert time.monotonic() < give_up_at, f"it does not get healthy:\n{self.output()}"
            time.sleep(_POLL_S)

    def ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, Any]]:
        """Status and JSON of one answer, from the address that GATEWAY_BIND names."""
        host, _, port = self._env["GATEWAY_BIND"].rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=START_S)
        content = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, content, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def _lay_out(self, folder: Path) -> None:
        """A bundle: the runtime's configuration, and what is mounted into the container."""
        volume, secrets = folder / "volume", folder / "secrets"
        volume.mkdir()
        # A new volume takes over the owner of the folder that the image has there.
        owner = (self._image.root / VOLUME[1:]).stat()
        os.chown(volume, owner.st_uid, owner.st_gid)
        secrets.mkdir()
        for name, text in self._secrets.items():
            file = secrets / name
            file.write_text(text)
            file.chmod(0o400)
            os.chown(file, *self._image.user)
        (folder / "config.json").write_text(json.dumps(self._specification(volume, secrets)))

    def _specification(self, volume: Path, secrets: Path) -> dict[str, Any]:
        """By the OCI runtime specification."""
        user, group = self._image.user
        namespaces = ["pid", "mount", "ipc", "uts", *(["network"] if self._own_network else [])]
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": user, "gid": group},
                "args": [*(self._image.config.get("Entrypoint") or []), *self._image.config["Cmd"]],
                "env": [f"{name}={value}" for name, value in self._env.items()],
                "cwd": self._image.config["WorkingDir"],
                "noNewPrivileges": True,
                "capabilities": {},
            },
            "root": {"path": str(self._image.root), "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                _memory("/dev", "nosuid", "mode=755", "size=65536k"),
                _memory("/dev/shm", "nosuid", "nodev", "noexec", "mode=1777", "size=65536k"),
                _memory("/tmp", "nosuid", "nodev", "noexec", "mode=1777"),
                _bound(volume, VOLUME, "rw"),
                _bound(secrets, SECRETS, "ro"),
            ],
            "linux": {"namespaces": [{"type": kind} for kind in namespaces]},
        }


def _memory(where: str, *options: str) -> dict[str, Any]:
    return {"destination": where, "type": "tmpfs", "source": "tmpfs", "options": list(options)}


def _bound(source: Path, where: str, mode: str) -> dict[str, Any]:
    options = ["bind", "nosuid", "nodev", "noexec", mode]
    return {"destination": where, "type": "bind", "source": str(source), "options": options}
