"""Two addresses, one application: what is served where."""

from __future__ import annotations

from flask import Flask, request

from gateway import errors
from gateway.settings import Bind

_METRICS = "/metrics"
_ON_THE_METRICS_ADDRESS = frozenset({_METRICS, "/livez", "/readyz"})


def keep_apart(app: Flask, metrics_bind: Bind | None) -> None:
    """With an address for metrics: they are served there alone, and nothing else there but the probes.

    The server tells by which socket a request came; nothing that a caller sends can change it.
    """
    if metrics_bind is None:
        return
    port = str(metrics_bind.port)

    @app.before_request
    def refuse_what_belongs_elsewhere() -> None:
        path, is_metrics_address = request.environ["PATH_INFO"], request.environ["SERVER_PORT"] == port
        if (path not in _ON_THE_METRICS_ADDRESS) if is_metrics_address else (path == _METRICS):
            raise errors.RouteNotFound("There is nothing at this path.")
