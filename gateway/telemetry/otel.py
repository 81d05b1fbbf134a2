"""Spans to an OpenTelemetry collector, with the ids that `gateway.trace` chose. The only importer of OpenTelemetry.

The SDK's tracer is left out: it would choose ids and keep its own idea of the current span. Its batching and its
exporter, with their standard variables (`OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*`, `OTEL_RESOURCE_ATTRIBUTES`), are used.
"""

from __future__ import annotations

import logging
import os
import threading
from time import monotonic_ns, time_ns

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode

from gateway.telemetry.foreign_log import LineFormatter
from gateway.telemetry.spans import Facts, Time
from gateway.trace import Trace

_CLOSE_S = 2.0
_SCOPE = InstrumentationScope("gateway")


class ExportedSpans:
    """Spans for the collector at an endpoint such as `http://127.0.0.1:4318`.

    They are sent from a thread of their own; when it falls behind by more than the batch processor's queue, they are
    dropped.
    """

    def __init__(self, endpoint: str) -> None:
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "freshbooks-gateway"}
        self._resource = Resource.create(named)
        _tell_as_lines("opentelemetry")
        self._clock = _Clock()
        self._processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"))

    def served(self, trace: Trace, name: str, taken: Time, facts: Facts, *, failed: bool) -> None:
        self._end(trace, name, taken, facts, SpanKind.SERVER, failed=failed)

    def called(self, trace: Trace, name: str, taken: Time, facts: Facts, *, failed: bool) -> None:
        self._end(trace, name, taken, facts, SpanKind.CLIENT, failed=failed)

    def close(self) -> None:
        """The SDK's own shutdown may take half a minute when the collector hangs."""
        closing = threading.Thread(target=self._processor.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_S)

    def _end(self, trace: Trace, name: str, taken: Time, facts: Facts, kind: SpanKind, *, failed: bool) -> None:
        """Whether a trace is recorded is for whoever began it to say."""
        if not trace.is_sampled:
            return
        start_ns = self._clock.epoch_ns(taken.started_s)
        span = ReadableSpan(
            name,
            context=_context(trace, trace.span_id, is_remote=False),
            parent=_parent(trace, is_remote=kind is SpanKind.SERVER),
            resource=self._resource,
            attributes=facts,
            kind=kind,
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=start_ns,
            end_time=start_ns + int(taken.duration_s * 1e9),
            instrumentation_scope=_SCOPE,
        )
        self._processor.on_end(span)


class _Clock:
    """Instants of the monotonic clock as those of the calendar, in the same order; a step of the latter is followed."""

    _STEP_NS = 50_000_000

    def __init__(self) -> None:
        self._ahead_ns = time_ns() - monotonic_ns()

    def epoch_ns(self, monotonic_s: float) -> int:
        ahead_ns = time_ns() - monotonic_ns()
        if abs(ahead_ns - self._ahead_ns) > self._STEP_NS:
            self._ahead_ns = ahead_ns
        return int(monotonic_s * 1e9) + self._ahead_ns


def _tell_as_lines(logger_name: str) -> None:
    """On the standard error, where gunicorn's lines go too."""
    logger = logging.getLogger(logger_name)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(LineFormatter(logger_name))
        logger.addHandler(handler)
        logger.propagate = False


def _parent(trace: Trace, *, is_remote: bool) -> SpanContext | None:
    return None if trace.parent_id is None else _context(trace, trace.parent_id, is_remote=is_remote)


def _context(trace: Trace, span_id: str, *, is_remote: bool) -> SpanContext:
    state = None if trace.state is None else TraceState.from_header([trace.state])
    return SpanContext(int(trace.trace_id, 16), int(span_id, 16), is_remote, TraceFlags(trace.flags), state)
