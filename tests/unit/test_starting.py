"""A process with a bad configuration says why, all of it, and ends with 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {
    "gunicorn": [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"],
    "gunicorn that names no application": [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py"],
    "create_app": [sys.executable, "-c", "import app; app.create_app()"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_bad_environment_ends_the_start_with_2(command: list[str], tmp_path: Path) -> None:
    """All problems stand on standard error, one a line; no traceback, nothing on standard output, no secret."""
    env = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(tmp_path),
        "UPSTREAM_TOKEN": "canary 7f3a",
        "GATEWAY_API_KEYS": "canary-key",
        "UPSTREAM_TIMEZONE": "Nowhere/City",
        "GATEWAY_THREADS": "many",
    }
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    first, *told = ended.stderr.splitlines()
    assert first == "The configuration is not valid:"
    names = ["UPSTREAM_TOKEN", "UPSTREAM_TIMEZONE", "GATEWAY_THREADS", "GATEWAY_API_KEYS", "UPSTREAM_URL"]
    assert [line.split()[:2] for line in told] == [["-", name] for name in names]
    assert "canary" not in ended.stderr
    assert not list(tmp_path.iterdir())


def test_open_on_an_address_that_others_reach_does_not_start() -> None:
    """The one contradiction that would let anybody in."""
    env = {
        "PATH": os.environ["PATH"],
        "UPSTREAM_URL": "http://127.0.0.1:9/",
        "UPSTREAM_TOKEN": "t",
        "GATEWAY_AUTH": "open",
        "GATEWAY_BIND": "0.0.0.0:8080",
    }
    ended = subprocess.run(COMMANDS["gunicorn"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "GATEWAY_AUTH=open is refused on an address that is not loopback (GATEWAY_BIND)" in ended.stderr
