"""How gunicorn serves it: `gunicorn -c gunicorn.conf.py 'app:create_app()'`. Settings come from the environment."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from gateway import draining
from gateway.settings import settings_or_exit

_settings = settings_or_exit()

bind = [str(one) for one in (_settings.gateway_bind, _settings.metrics_bind) if one is not None]
workers = _settings.gateway_workers
threads = _settings.gateway_threads
worker_class = "gthread"
keepalive = 75
graceful_timeout = int(_settings.upstream_deadline_s) + 5
timeout = 60
accesslog = None
loglevel = "warning"
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108

if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="gateway-metrics-")


def on_starting(server: Any) -> None:
    """Before there is a socket: what cannot come to anything ends with 2."""
    from gateway.lifecycle import preflight
    from gateway.telemetry import open_log

    try:
        preflight.report(_settings, _version(), open_log(_settings.log_level))
    except preflight.CannotStart as error:
        sys.stderr.write(f"The gateway cannot start: {error}\n")
        on_exit(server)
        sys.exit(2)


def when_ready(server: Any) -> None:
    """Before there is a worker: all of them shall share the notice that the gateway is about to end."""
    from gateway.lifecycle.ending import drain_before_end
    from gateway.telemetry import open_log

    drain_before_end(server, draining.shared(), _settings.gateway_drain_s, open_log(_settings.log_level))


def pre_request(_worker: Any, request: Any) -> None:
    """While draining, callers are told with every answer to make their next connection elsewhere."""
    if draining.shared().has_begun:
        request.force_close()


def child_exit(_server: Any, worker: Any) -> None:
    """A worker that ended keeps its counters and loses its gauges."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """The files of this run's metrics go with it."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)


def _version() -> str:
    """That of the document, which stands beside this file."""
    document = json.loads((Path(__file__).parent / "openapi.json").read_bytes())
    return str(document["info"]["version"])
