"""tools/setup-debian.sh: quick when all is there, clear when it cannot help."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "setup-debian.sh"


@pytest.fixture
def bare_commands(tmp_path: Path) -> Path:
    """A folder of commands for PATH: an account that is not root, without sudo, where no package is installed."""
    for name in ("bash", "sh", "cat", "dirname"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    for name, body in {
        "id": "echo 1000",
        "dpkg-query": "exit 1",
        "apt-get": "echo apt-get must not run; exit 9",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "python3").symlink_to(sys.executable)
    return tmp_path


def run_script(*arguments: str, path: str = os.environ["PATH"], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments],
        env={"PATH": path, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_a_package_is_missing_and_nobody_is_root(bare_commands: Path) -> None:
    """It says what is missing and for what, and prints the very line to run as root."""
    result = run_script("bench", path=str(bare_commands))
    assert result.returncode == 1
    assert "missing: wrk (makes the load)" in result.stdout
    command = result.stderr.strip().splitlines()[-1]
    assert command.strip().startswith("apt-get update && apt-get install --yes --no-install-recommends ")
    assert {"wrk", "nodejs", "npm"} <= set(command.split())


def test_all_packages_are_there() -> None:
    """It says so in one line and calls neither apt nor root."""
    result = run_script("run")
    assert (result.returncode, result.stdout) == (0, "Debian packages: all there for 'run'\n")


@pytest.mark.parametrize("arguments", [(), ("everything",), ("run", "test")], ids=repr)
def test_it_is_called_in_another_way(arguments: tuple[str, ...]) -> None:
    """It shows how it is called, and changes nothing."""
    result = run_script(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert "run|test|bench" in result.stderr


def test_no_python_fits(bare_commands: Path) -> None:
    """It says which versions do, and which package has one."""
    result = run_script("run", path=str(bare_commands), PYTHON=str(shutil.which("false")))
    assert result.returncode == 1
    assert "Python 3.11 to 3.14 is needed" in result.stderr
    assert "apt-get install python3 python3-venv" in result.stderr
