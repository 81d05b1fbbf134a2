"""Settings for gateways that are watched from outside."""

from __future__ import annotations

from simulator.server import Simulator


def settings(simulator: Simulator, **more: str) -> dict[str, str]:
    """The environment of a gateway whose every read goes upstream."""
    env = {"UPSTREAM_URL": simulator.url, "UPSTREAM_TOKEN": "demo-admin", "GATEWAY_AUTH": "open", "CACHE_TTL_S": "0"}
    return {**env, **more}
