"""The composition root: settings → transport → FreshBooks → Flask application. Nothing else knows every room."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask

from gateway import rest
from gateway.settings import Settings, settings_or_exit
from gateway.telemetry import Drift, Log, Metrics, open_log
from gateway.upstream import remote
from gateway.upstream.freshbooks import FreshBooks
from gateway.upstream.transport import HttpTransport
from schemas import RESOURCES

ANSWER_BYTES_MAX = 16 * 1024 * 1024


def create_app(settings: Settings | None = None, log: Log | None = None) -> Flask:
    """The WSGI application. Without settings it reads the environment, and exits with 2 when that is not valid."""
    settings = settings or settings_or_exit()
    log = log or open_log(settings.log_level)
    metrics = Metrics(multiprocess="PROMETHEUS_MULTIPROC_DIR" in os.environ)
    transport = HttpTransport(
        settings.upstream_url,
        answer_bytes_max=ANSWER_BYTES_MAX,
        idle_connections_max=settings.gateway_threads,
        ca_file=settings.upstream_ca_file,
    )
    calls = remote.measured(remote.over(transport), metrics, log)
    freshbooks = FreshBooks(calls, RESOURCES, settings.upstream_timezone, Drift(metrics, log))
    return rest.build(settings, freshbooks, RESOURCES, metrics, log, _documents())


def _documents() -> rest.Documents:
    """The committed OpenAPI document, which stands beside this file."""
    here = Path(__file__).parent
    return rest.Documents(yaml=(here / "openapi.yaml").read_bytes(), json=(here / "openapi.json").read_bytes())
