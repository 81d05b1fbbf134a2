"""The machine and the versions, in general terms: enough to judge a ratio by, nothing that names a place."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from benchmarks.contestants import PEERS, PYTHON


def describe() -> dict[str, str]:
    return {
        "processor": f"{_cpu_model()}, {os.cpu_count()} cores",
        "system": f"{_system()}, Linux {platform.release().split('-')[0]}",
        "gateway": f"Python {platform.python_version()}, gunicorn {metadata.version('gunicorn')}",
        "nginx": _first_number(["nginx", "-v"]),
        "fastify": _npm_versions("fastify", "undici", "fast-xml-parser", "lru-cache"),
        "Python peers": _pip_versions("fastapi", "uvicorn", "httpx", "pydantic", "flask", "gunicorn", "requests"),
        "load": f"wrk {_first_number(['wrk', '-v'])}",
        "other work": f"{os.getloadavg()[0]:.1f} processes at work in the minute before, on average",
    }


def _cpu_model() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())


def _first_number(command: list[str]) -> str:
    """The first version in what a command prints; how it exits does not matter. Debian's nginx is no user's command."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    try:
        told = subprocess.run(command, check=False, capture_output=True, text=True, env={"PATH": path})
    except FileNotFoundError:
        return "not installed"
    found = re.search(r"\d+(\.\d+)+", told.stdout + told.stderr)
    return found[0] if found else "of unknown version"


def _npm_versions(*names: str) -> str:
    packages = json.loads((PEERS / "fastify" / "package-lock.json").read_text())["packages"]
    versions = (f"{name} {packages[f'node_modules/{name}']['version']}" for name in names)
    return ", ".join([f"Node {_first_number(['node', '--version'])}", *versions])


def _pip_versions(*names: str) -> str:
    lock = (PEERS.parent / "requirements.txt").read_text()
    version = _first_number([str(PYTHON), "--version"])
    found = {name: re.search(rf"^{name}==([^\s;]+)", lock, re.MULTILINE) for name in names}
    return ", ".join([f"Python {version}", *(f"{name} {one[1]}" for name, one in found.items() if one)])
