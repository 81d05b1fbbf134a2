"""What the gateway tells its operators: metric definitions and the log."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, BinaryIO, Protocol

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

_NAMES_REMEMBERED = 1000
_UPSTREAM_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Log(Protocol):
    """A structured log: an event and its facts, one JSON line each."""

    def debug(self, event: str, **facts: Any) -> Any: ...
    def info(self, event: str, **facts: Any) -> Any: ...
    def warning(self, event: str, **facts: Any) -> Any: ...
    def error(self, event: str, **facts: Any) -> Any: ...


def open_log(level: str, stream: BinaryIO | None = None) -> Log:
    """A log that writes to a binary stream; None is the standard output."""
    log: Log = structlog.wrap_logger(
        structlog.BytesLogger(stream or sys.stdout.buffer),
        processors=[structlog.processors.add_log_level, _add_time, _render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
    )
    return log


def _add_time(_logger: object, _name: str, facts: structlog.typing.EventDict) -> structlog.typing.EventDict:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"time": now, **facts}


def _render(_logger: object, _name: str, facts: structlog.typing.EventDict) -> bytes:
    """A lone surrogate has no bytes in UTF-8; the standard library writes it as an escape instead of failing."""
    try:
        return msgspec.json.encode(facts, enc_hook=str)
    except UnicodeEncodeError:
        return json.dumps(facts, default=str).encode()


class Metrics:
    """The metric definitions, in a registry of their own.

    In several processes, prometheus-client shares its values through the files of `PROMETHEUS_MULTIPROC_DIR`.
    """

    def __init__(self, *, multiprocess: bool) -> None:
        self._multiprocess = multiprocess
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "gateway_requests", "Callers' requests.", ["operation", "route", "status"], registry=self.registry
        )
        self.upstream_calls = Counter(
            "gateway_upstream_calls", "Calls to the upstream.", ["method", "outcome"], registry=self.registry
        )
        self.upstream_seconds = Histogram(
            "gateway_upstream_call_duration_seconds",
            "How long calls to the upstream took.",
            ["method"],
            registry=self.registry,
            buckets=_UPSTREAM_BUCKETS_S,
        )
        self.retries = Counter(
            "gateway_upstream_retries", "Calls sent to the upstream again.", ["method"], registry=self.registry
        )
        self.circuit_refusals = Counter(
            "gateway_circuit_refusals", "Calls not sent because the circuit was open.", registry=self.registry
        )
        self.idempotency = Counter(
            "gateway_idempotency_keys", "Requests with an Idempotency-Key.", ["result"], registry=self.registry
        )
        self.reconciliations = Counter(
            "gateway_reconciliations",
            "Creates of unknown outcome that were looked for.",
            ["result"],
            registry=self.registry,
        )
        self.cache = Counter("gateway_cache_events", "What the cache did.", ["event"], registry=self.registry)
        self.unknown_elements = Counter(
            "gateway_upstream_unknown_elements",
            "Elements in the upstream's records that the declaration does not know.",
            ["resource"],
            registry=self.registry,
        )
        self.missing_elements = Counter(
            "gateway_upstream_missing_elements",
            "Elements that every record of the upstream should have and that one lacked; such a field reads as null.",
            ["resource"],
            registry=self.registry,
        )

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics of all processes and their content type, in the format the `Accept` header asks for."""
        encode, content_type = choose_encoder(accept)
        registry = self.registry
        if self._multiprocess:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return encode(registry), content_type


class Drift:
    """Notices elements of the upstream that nobody declared, and declared ones that are not there: counts each, logs
    each name once."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log
        self._seen: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()

    def reporter(self, resource: str) -> Callable[[str], None]:
        """What to call with the name of each unknown element of a resource's records."""
        return self._reporter(resource, "unknown_upstream_element", self._metrics.unknown_elements)

    def missing_reporter(self, resource: str) -> Callable[[str], None]:
        """What to call with the name of each element that a resource's record lacks."""
        return self._reporter(resource, "missing_upstream_element", self._metrics.missing_elements)

    def _reporter(self, resource: str, event: str, elements: Counter) -> Callable[[str], None]:
        counter = elements.labels(resource)

        def report(element: str) -> None:
            counter.inc()
            if self._is_new(event, resource, element):
                self._log.warning(event, resource=resource, element=element[:100])

        return report

    def _is_new(self, *what: str) -> bool:
        with self._lock:
            if what in self._seen or len(self._seen) >= _NAMES_REMEMBERED:
                return False
            self._seen.add(what)
            return True
