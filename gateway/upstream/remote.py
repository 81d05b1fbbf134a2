"""A remote procedure call as a callable: a call in, the `<response>` of its success out, an `UpstreamError` otherwise.

Policies wrap this, not the transport below it, because only here the outcome of the call is known.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import msgspec

from gateway.errors import RpcOutcome, UpstreamError
from gateway.telemetry import Log, Metrics
from gateway.telemetry.log import milliseconds
from gateway.telemetry.spans import Spans, Time
from gateway.trace import Trace
from gateway.upstream.decoding import Node
from gateway.upstream.protocol import read_answer
from gateway.upstream.transport import Call, Transport

Remote = Callable[[Call], Node]


def over(transport: Transport, known: Callable[[bytes], Node | None] = lambda _body: None) -> Remote:
    """The remote procedure call over a transport. `known` reads bodies for which no parser is needed."""

    def remote(call: Call) -> Node:
        try:
            answer = transport(call)
            found = known(answer.body) if 200 <= answer.status < 300 else None
            return read_answer(answer) if found is None else found
        except UpstreamError as error:
            error.blot_out(call.token.reveal())
            raise

    return remote


def measured(remote: Remote, metrics: Metrics, log: Log, spans: Spans | None = None) -> Remote:
    """Makes each call a span of its request's trace, counts it by method and outcome, times it, and logs it at level
    debug. `spans` are told of each; None: nobody collects traces."""

    logs = log.is_enabled_for(logging.DEBUG)

    def call_measured(call: Call) -> Node:
        span = call.tally.trace.child()
        started_s = time.monotonic()
        outcome = RpcOutcome.UNKNOWN
        metrics.upstream_in_flight.inc()
        try:
            response = remote(msgspec.structs.replace(call, headers={**call.headers, **span.headers()}))
            outcome = RpcOutcome.OK
            return response
        except UpstreamError as error:
            outcome = error.outcome
            raise
        finally:
            duration_s = time.monotonic() - started_s
            metrics.upstream_in_flight.dec()
            ending = outcome.value
            metrics.upstream_calls.labels(call.method, ending).inc()
            metrics.upstream_seconds.labels(call.method).observe(duration_s)
            call.tally.add(duration_s)
            if spans is not None:
                _tell(spans, span, call.method, outcome, Time(started_s, duration_s))
            if logs:
                ids = {"trace_id": span.trace_id, "span_id": span.span_id}
                took = {"outcome": ending, "duration_ms": milliseconds(duration_s)}
                log.debug("upstream_call", method=call.method, **took, **ids)

    return call_measured


def _tell(spans: Spans, span: Trace, method: str, outcome: RpcOutcome, taken: Time) -> None:
    failed = outcome is not RpcOutcome.OK
    facts = {"rpc.method": method, "gateway.outcome": outcome.value}
    if failed:
        facts["error.type"] = outcome.value
    spans.called(span, method, taken, facts, failed=failed)
