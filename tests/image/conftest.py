"""The image, built from the checkout by buildah over a base made of Debian's packages, and a gateway started from it.

What a run shows: the Dockerfile builds; the packages resolve by hash and nothing else is in; the image starts under
runc, the runtime below Docker and Kubernetes, as it says itself, as nobody in particular and on a read-only root.
What it does not show: the base that the Dockerfile names, which no registry is asked for here; another builder than
buildah; a seccomp profile, limits or a network as an orchestrator adds them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.server import Simulator
from tests.image.container import Container, Image
from tools.image.build import ROOT, build, revision
from tools.ports import HeldPort

BASE = "localhost/debian-python"
IMAGE = "localhost/freshbooks-gateway"
# What the official Python image says.
PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
API_KEY = "a-key-for-the-image"
TOKEN = "demo-admin"
NEEDED = ("buildah", "mmdebstrap", "runc")


class Buildah:
    """buildah with a storage of its own, all of which lies in a folder. It mounts nothing on the machine."""

    def __init__(self, folder: Path) -> None:
        places = [f"--root={folder}/storage", f"--runroot={folder}/run", "--storage-driver=vfs"]
        self.command = ["buildah", *places]

    def __call__(self, *arguments: str | Path) -> str:
        """The last line of what it says. Raises `AssertionError` with all of it when it fails."""
        return run(*self.command, *arguments)


def run(*command: str | Path) -> str:
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, f"{' '.join(map(str, command))}:\n{result.stdout}{result.stderr}"
    return result.stdout.strip()


def why_not() -> str | None:
    """Why no image can be built here; None: it can, and then a failure is a failure."""
    if os.geteuid() != 0:
        return "building an image needs root"
    missing = [program for program in NEEDED if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


@pytest.fixture(scope="package")
def image() -> Iterator[Image]:
    """Gone, as are its many files, when the tests of this folder are over."""
    if reason := why_not():
        assert "CI" not in os.environ, reason
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="gateway-image-") as folder:
        buildah = Buildah(Path(folder))
        make_base(buildah)
        isolated = ["--isolation=oci", "--runtime=runc", "--network=host", "--pull=never"]
        commit = revision()
        build([*buildah.command, "build", "--format=docker", *isolated], IMAGE, BASE)
        yield read_image(buildah, commit)


def make_base(buildah: Buildah) -> None:
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, run(ROOT / "tools" / "image" / "debian-base.sh"))
    buildah("config", f"--env=PATH={PATH}", container)
    buildah("commit", "--quiet", "--rm", container, BASE)


def read_image(buildah: Buildah, commit: str) -> Image:
    described = json.loads(buildah("inspect", "--type=image", IMAGE))
    root = buildah("mount", buildah("from", "--pull=never", IMAGE))
    return Image(commit, described["Docker"]["config"], json.dumps(described["History"]), Path(root))


@pytest.fixture(scope="session")
def port() -> HeldPort:
    return HeldPort()


@pytest.fixture(scope="session")
def settings(shared_simulator: Simulator, port: HeldPort) -> dict[str, str]:
    """What an operator gives: the upstream, who may call, and the token in a file. Nobody has to be told when the
    gateway ends."""
    return {
        "UPSTREAM_URL": shared_simulator.url,
        "UPSTREAM_TOKEN_FILE": "/run/secrets/upstream_token",
        "GATEWAY_API_KEYS": hashlib.sha256(API_KEY.encode()).hexdigest(),
        "GATEWAY_BIND": f"127.0.0.1:{port.number}",
        "GATEWAY_DRAIN_S": "0",
    }


@pytest.fixture(scope="session")
def secrets() -> dict[str, str]:
    return {"upstream_token": TOKEN}


@pytest.fixture(scope="module")
def gateway(image: Image, settings: dict[str, str], secrets: dict[str, str]) -> Iterator[Container]:
    """A gateway from the image, in front of the simulator."""
    with Container(image, settings, secrets) as container:
        container.wait_until_healthy()
        yield container
