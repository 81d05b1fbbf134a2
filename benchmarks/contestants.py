"""How each contestant is started: one worker, as its own documentation says it is run in production."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.plan import GATEWAY
from benchmarks.servers import Command

HERE = Path(__file__).parent
PEERS = HERE / "peers"
PYTHON = HERE / ".venv" / "bin" / "python"
INSTALLED = HERE / ".venv" / ".installed"
"""A file that is there once the Python peers and the plot have all they need."""

# Calls in flight for the most callers of any workload; the same settings for all workloads.
GATEWAY_SETTINGS = {
    "UPSTREAM_TOKEN": "bench",
    "GATEWAY_AUTH": "open",
    "GATEWAY_WORKERS": "1",
    "UPSTREAM_IN_FLIGHT_MAX": "256",
    "LOG_HITS_SHARE": "0",
    "GATEWAY_DRAIN_S": "0",
}


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a contestant runs. `upstream` is HOST:PORT, `folder` its own. The rest is the gateway's alone: the folder
    of its checkout, and settings that differ from `GATEWAY_SETTINGS`."""

    port: int
    upstream: str
    folder: Path
    gateway_root: Path = HERE.parent
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def upstream_url(self) -> str:
        return f"http://{self.upstream}/api/2.1/xml-in"

    @property
    def store(self) -> Path:
        return self.folder / "store"


def gateway(ground: Ground) -> Command:
    """`gunicorn -c gunicorn.conf.py 'app:create_app()'`, as operators start it."""
    argv = [python_of(ground.gateway_root), "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"]
    own = {
        "GATEWAY_BIND": f"127.0.0.1:{ground.port}",
        "UPSTREAM_URL": ground.upstream_url,
        "STORE_URL": str(ground.store),
    }
    return Command(argv, ground.gateway_root, own | GATEWAY_SETTINGS | dict(ground.settings))


def python_of(root: Path) -> str:
    """The Python of a checkout's own environment; without one, that which runs this."""
    own = root / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def nginx(ground: Ground) -> Command:
    text = (PEERS / "nginx" / "nginx.conf").read_text()
    for name, value in {"PORT": ground.port, "FOLDER": ground.folder, "UPSTREAM": ground.upstream}.items():
        text = text.replace(f"@{name}@", str(value))
    configuration = ground.folder / "nginx.conf"
    configuration.write_text(text)
    user = ["-g", f"user {getpass.getuser()};"] if os.geteuid() == 0 else []  # its worker must reach its own folder
    argv = ["nginx", "-e", "stderr", *user, "-c", str(configuration)]
    return Command(argv, ground.folder, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


def fastify(ground: Ground) -> Command:
    env = {"NODE_ENV": "production", "PORT": str(ground.port), "UPSTREAM_URL": ground.upstream_url}
    return Command(["node", "server.js"], PEERS / "fastify", env)


def fastapi(ground: Ground) -> Command:
    quiet = ["--no-access-log", "--log-level", "warning"]
    fast = ["--workers", "1", "--loop", "uvloop", "--http", "httptools"]
    place = ["--host", "127.0.0.1", "--port", str(ground.port)]
    argv = [str(PYTHON), "-m", "uvicorn", "app:app", *place, *fast, *quiet]
    return Command(argv, PEERS / "fastapi", {"UPSTREAM_URL": ground.upstream_url})


def flask(ground: Ground) -> Command:
    threads = ["--workers", "1", "--worker-class", "gthread", "--threads", "160", "--keep-alive", "75"]
    place = ["--bind", f"127.0.0.1:{ground.port}", "--no-control-socket"]
    argv = [str(PYTHON), "-m", "gunicorn", "app:app", *place, *threads]
    return Command(argv, PEERS / "flask", {"UPSTREAM_URL": ground.upstream_url})


CONTESTANTS: Mapping[str, Callable[[Ground], Command]] = {
    GATEWAY: gateway,
    "nginx": nginx,
    "fastify": fastify,
    "fastapi": fastapi,
    "flask": flask,
}


def upstream(port: int) -> Command:
    """The upstream with ready answers, with uvloop where the benchmarks' environment is installed."""
    python = str(PYTHON) if PYTHON.exists() else sys.executable
    return Command([python, "-m", "benchmarks.upstream", str(port)], HERE.parent, {}, "/_control/calls")
