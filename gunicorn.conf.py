"""How gunicorn serves it: `gunicorn -c gunicorn.conf.py 'app:create_app()'`. Settings come from the environment."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from gateway import draining
from gateway.settings import settings_or_exit
from gateway.telemetry import slots

_settings = settings_or_exit()

bind = [str(one) for one in (_settings.gateway_bind, _settings.metrics_bind) if one is not None]
workers = _settings.gateway_workers
threads = _settings.gateway_threads
worker_class = "gateway.edge.worker.Worker"
keepalive = 75
graceful_timeout = int(_settings.upstream_deadline_s) + 5
timeout = 60
forwarder_headers = ""  # else who calls from this machine could set SCRIPT_NAME with a header
accesslog = None
loglevel = "warning"
logger_class = "gateway.edge.server_log.ServerLog"
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108


def on_starting(server: Any) -> None:
    """A gunicorn that replaces itself (USR2) hands its environment on; the new one must not share its files."""
    slots.open_folder(fresh="GUNICORN_PID" in os.environ)
    _preflight(server)


def when_ready(server: Any) -> None:
    """There is no worker yet: all shall obey from birth, and share the notice that the gateway is about to end."""
    from gateway.lifecycle.birth import obey_from_birth
    from gateway.lifecycle.ending import drain_before_end
    from gateway.telemetry import open_log

    obey_from_birth()
    draining.share()
    drain_before_end(server, _settings.gateway_drain_s, open_log(_settings.log_level))


def pre_request(_worker: Any, request: Any) -> None:
    """While draining, callers are told with every answer to make their next connection elsewhere."""
    if draining.has_begun():
        request.force_close()


def pre_fork(server: Any, worker: Any) -> None:
    """The worker gets a slot that no living one has; what its last holder left in hand goes."""
    worker.slot = slots.lowest_free(_used_slots(server))
    slots.forget_gauges(worker.slot)


def post_fork(_server: Any, worker: Any) -> None:
    """What the worker counts goes to the files of its slot."""
    os.environ[slots.SLOT] = str(worker.slot)


def worker_exit(_server: Any, worker: Any) -> None:
    """What the collector of traces has not been told yet. A worker that could not start has no application."""
    spans = worker.wsgi.extensions["spans"] if getattr(worker, "wsgi", None) else None
    if spans is not None:
        spans.close()


def child_exit(server: Any, worker: Any) -> None:
    """A worker that ended keeps its counters and loses its gauges, unless a successor has its slot by now."""
    if worker.slot not in _used_slots(server):
        slots.forget_gauges(worker.slot)


def on_exit(_server: Any) -> None:
    """The files of this run's metrics go with it."""
    slots.close_folder()


def _used_slots(server: Any) -> set[int]:
    return {worker.slot for worker in server.WORKERS.values()}


def _preflight(server: Any) -> None:
    """There is no socket yet: what cannot come to anything ends with 2."""
    from gateway.lifecycle import preflight
    from gateway.telemetry import open_log

    try:
        if (unserved := getattr(server.cfg.worker_class, "unserved", None)) and (reason := unserved(server.cfg)):
            raise preflight.CannotStart(reason)
        preflight.report(_settings, _version(), open_log(_settings.log_level))
    except preflight.CannotStart as error:
        sys.stderr.write(f"The gateway cannot start: {error}\n")
        on_exit(server)
        sys.exit(2)


def _version() -> str:
    """That of the document, which stands beside this file."""
    document = json.loads((Path(__file__).parent / "openapi.json").read_bytes())
    return str(document["info"]["version"])
