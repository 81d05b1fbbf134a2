"""What every request leaves behind: its count, its duration and its log line. Knows nothing of Flask."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from gateway import trace
from gateway.rest import problems
from gateway.rest.context import RequestContext
from gateway.telemetry import Log, Metrics
from gateway.telemetry.log import milliseconds
from gateway.telemetry.metrics import observe_many
from gateway.telemetry.spans import Spans, Time
from gateway.trace import Trace

_METHOD_CHARACTERS_MAX = 20


class Recorder:
    """Records requests. `account` names the upstream account in the log; `hits_share` (0 to 1) is the share of the
    cache's hits that are logged, as long as they are no errors; `spans` are told of each request, None: nobody collects
    traces.

    `begin` and `end` are called for every request, each once, and `record` for each that is answered. Who answers a
    request in one go, so that nobody could ever see it in hand, calls `record` alone.
    """

    def __init__(
        self,
        metrics: Metrics,
        log: Log,
        account: str,
        hits_share: float = 1.0,
        spans: Spans | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._metrics = metrics
        self._log = log
        self._account = account
        self._hits_share = hits_share
        self._spans = spans
        self._draw = draw
        self._logs = log.is_enabled_for(logging.INFO)

    def take_up(self, traceparent: str | None, tracestate: str | None) -> Trace:
        """The trace of a request with these headers. One that begins here is recorded if anybody collects traces."""
        return trace.take_up(traceparent, tracestate, sampled=self._spans is not None)

    def begin(self) -> None:
        self._metrics.in_flight.inc()

    def end(self) -> None:
        self._metrics.in_flight.dec()

    def record(self, context: RequestContext) -> None:
        """The answer is ready: `context.status` is set."""
        duration_s = time.monotonic() - context.started_s
        operation = context.operation or "other"
        self._metrics.requests.labels(operation, context.route or "unmatched", context.status).inc()
        self._metrics.request_seconds.labels(operation).observe(duration_s)
        if self._spans is not None:
            _tell(self._spans, context, duration_s)
        if self._logs and self._is_logged(context):
            self._write(context, duration_s)

    @property
    def counts_hits_alone(self) -> bool:
        """Whether nothing is to be told of a hit but that there was one."""
        return self._spans is None and not (self._logs and self._hits_share > 0)

    def count_hits(self, operation: str, route: str, status: int, total: int, duration_s: float) -> None:
        """Counts hits of the cache, each of which took `duration_s` seconds."""
        self._metrics.requests.labels(operation, route, status).inc(total)
        observe_many(self._metrics.request_seconds.labels(operation), duration_s, total)
        self.count_cache_hits(total)

    def count_cache_hits(self, total: int) -> None:
        self._metrics.cache.labels("hit").inc(total)

    def _is_logged(self, context: RequestContext) -> bool:
        if context.cache != "hit" or context.status >= 400:
            return True
        return self._hits_share >= 1 or self._draw() < self._hits_share

    def _write(self, context: RequestContext, duration_s: float) -> None:
        error, tally = context.error, context.tally
        self._log.info(
            "request",
            request_id=context.request_id,
            trace_id=tally.trace.trace_id,
            account=self._account,
            method=context.method[:_METHOD_CHARACTERS_MAX],
            path=problems.printable(context.path),
            operation=context.operation,
            status=context.status,
            code=error.code if error else None,
            outcome=problems.outcome_label(error) if error else None,
            cache=context.cache,
            upstream_calls=tally.calls,
            upstream_ms=milliseconds(tally.seconds),
            duration_ms=milliseconds(duration_s),
        )


def _tell(spans: Spans, context: RequestContext, duration_s: float) -> None:
    """By OpenTelemetry's semantic conventions for HTTP servers; the query, which may name people, is left out."""
    facts: dict[str, str | int] = {
        "http.request.method": context.method[:_METHOD_CHARACTERS_MAX],
        "url.path": problems.printable(context.path),
        "http.response.status_code": context.status,
        "gateway.request_id": context.request_id,
    }
    named = {"http.route": context.route, "gateway.operation": context.operation, "gateway.cache": context.cache}
    facts |= {name: value for name, value in named.items() if value is not None}
    if context.error is not None:
        facts["error.type"] = context.error.code
    name = f"{facts['http.request.method']} {context.route}" if context.route else str(facts["http.request.method"])
    taken = Time(context.started_s, duration_s)
    spans.served(context.tally.trace, name, taken, facts, failed=context.status >= 500)


def cache_event(status: str | None) -> str | None:
    """What the cache did by the answer's `Cache-Status`, in the words of `gateway_cache_events_total`; None without."""
    if status is None:
        return None
    if "; hit" in status:
        return "stale" if "detail=upstream-sick" in status else "hit"
    if "fwd=bypass" in status or "detail=no-store" in status:
        return "bypass"
    return "collapsed" if "collapsed" in status else "miss"
