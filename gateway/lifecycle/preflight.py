"""Says once, before anything is served, what this gateway will do, and what puts its promises at risk."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from gateway.settings import Settings, is_loopback
from gateway.store.doubts import Doubt
from gateway.store.errors import StoreError
from gateway.store.open import examine, open_store, place_of
from gateway.telemetry import Log

_STORE = "records"


class CannotStart(Exception):
    """Nothing would come of starting; the message says why."""


def report(settings: Settings, version: str, log: Log) -> None:
    """Writes a line `starting`, and a warning for each promise that the surroundings put at risk.

    A server that cannot be reached is one of them: the gateway starts unready, and is ready when the server is there.
    Leaves no file, thread or connection open: workers are forked after this. Raises `CannotStart`.
    """
    log.info("starting", **plan(settings, version))
    for doubt in (*_doubts_about_upstream(settings.upstream_url), *_doubts_about_store(settings, log)):
        log.warning("promise_at_risk", promise=doubt.promise, because=doubt.because, remedy=doubt.remedy)


def plan(settings: Settings, version: str) -> dict[str, Any]:
    """What the settings come to, without secrets. None: there is no such thing."""
    return {
        "version": version,
        "bind": str(settings.gateway_bind),
        "metrics_bind": str(settings.metrics_bind) if settings.metrics_bind else None,
        "workers": settings.gateway_workers,
        "threads": settings.gateway_threads,
        "auth": settings.gateway_auth,
        "upstream": urlsplit(settings.upstream_url).netloc,
        "deadline_s": settings.upstream_deadline_s,
        "drain_s": settings.gateway_drain_s,
        "cache_ttl_s": settings.cache_ttl_s,
        "cache_stale_s": settings.cache_stale_s,
        "rate_per_minute": settings.gateway_rate_per_minute or None,
        "tracing": settings.otel_exporter_otlp_endpoint is not None,
        "store": _place(settings),
    }


def _doubts_about_upstream(url: str) -> list[Doubt]:
    parts = urlsplit(url)
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return []
    because = "UPSTREAM_URL is http:// to another machine: tokens and records travel in clear text"
    return [Doubt("Nobody else sees the tokens.", because, "https:// in UPSTREAM_URL")]


def _doubts_about_store(settings: Settings, log: Log) -> list[Doubt]:
    try:
        doubts = examine(settings.store_url.reveal())
        _ask(settings)
    except OSError as error:
        raise CannotStart(f"STORE_URL: {_place(settings)} cannot be written: {error.strerror or error}") from None
    except StoreError as error:
        log.warning("store_down", store=_place(settings), because=str(error), consequence="not ready until it answers")
        return []
    return doubts


def _ask(settings: Settings) -> None:
    """Opens the store that must last, as a worker will."""
    url = settings.store_url.reveal()
    store = open_store(url, _STORE, settings.store_bytes_max, durable=True, evict=False)
    try:
        store.get(b"preflight")
    finally:
        store.close()


def _place(settings: Settings) -> str:
    return place_of(settings.store_url.reveal())
