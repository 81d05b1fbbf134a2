"""One build of the Dockerfile, whoever the builder is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tools.image import lent

ROOT = Path(__file__).resolve().parents[2]
# Docker's form: the other one has no place for the health check.
BUILDERS = {
    "docker": ["docker", "build"],
    "podman": ["podman", "build", "--format=docker"],
    "buildah": ["buildah", "build", "--format=docker"],
}


def builder_at_hand() -> list[str] | None:
    """The command of the first builder that is installed and whose engine answers; None: there is none."""
    for program, command in BUILDERS.items():
        if shutil.which(program) and _answers(program):
            return command
    return None


def _answers(program: str) -> bool:
    return subprocess.run([program, "info"], check=False, capture_output=True).returncode == 0


def build(builder: Sequence[str], tag: str, base: str | None = None, requirements: str | None = None) -> None:
    """Builds the checkout. `base` is the image to build on, `requirements` the lock; None: what the Dockerfile names.

    Raises `subprocess.CalledProcessError` when the builder fails; what it says is on the standard streams.
    """
    values = {"VERSION": version(), "REVISION": revision(), "BASE": base, "REQUIREMENTS": requirements}
    arguments = [f"--build-arg={name}={value}" for name, value in values.items() if value is not None]
    with lent.secrets(os.environ) as secrets:
        environ = os.environ | {"DOCKER_BUILDKIT": "1"}
        subprocess.run([*builder, *arguments, *secrets, f"--tag={tag}", "."], cwd=ROOT, env=environ, check=True)


def version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def revision() -> str:
    """The commit, with `-dirty` behind it when the checkout differs; `unknown` outside a repository."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"
    return result.stdout.strip() or "unknown"
