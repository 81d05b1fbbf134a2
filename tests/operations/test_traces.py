"""Traces: from the caller through the gateway to the upstream, and to a collector."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from simulator.server import Simulator
from tests.operations.collector import Collector
from tests.operations.conftest import settings
from tests.operations.watching import get
from tests.support.gateway import Caller
from tests.support.server import GatewayProcess

ROOT = Path(__file__).parents[2]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
NEVER = {"OTEL_BSP_SCHEDULE_DELAY": "3600000"}


def test_a_callers_trace_goes_on_to_the_upstream_and_back(caller: Caller, simulator: Simulator) -> None:
    """The caller learns the request's span, and each call is a span of its own within the trace."""
    given = {"traceparent": SAMPLED, "tracestate": "vendor=1"}
    returned = [
        caller.post("/clients", json={"email": "a@b.example"}, headers=given).headers["traceparent"],
        caller.get("/clients/9", headers=given).headers["traceparent"],
    ]
    sent = [entry.headers for entry in simulator.ledger.calls()]
    assert {one["tracestate"] for one in sent} == {"vendor=1"}
    traceparents = [*returned, *(one["traceparent"] for one in sent)]
    assert {one[:35] for one in traceparents} == {f"00-{TRACE}"}
    assert {one[-3:] for one in traceparents} == {"-01"}
    assert len({*traceparents, SAMPLED}) == 6
    assert [line["trace_id"] for line in caller.log()] == [TRACE] * 2


def test_without_a_collector_a_new_trace_is_not_sampled(caller: Caller, simulator: Simulator) -> None:
    """Nobody would keep it; it is sent and logged all the same."""
    trace_id, _, flags = caller.get("/clients/13").headers["traceparent"][3:].split("-")
    assert flags == "02"
    assert simulator.ledger.calls()[0].headers["traceparent"][3:35] == trace_id
    assert caller.log()[0]["trace_id"] == trace_id


def attributes(span: Span) -> dict[str, str | int]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_request_and_its_calls_are_spans_with_the_ids_that_were_sent(simulator: Simulator) -> None:
    """Caller's span, request, call: each the parent of the next."""
    with Collector() as collector:
        with GatewayProcess(settings(simulator, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **SOON)) as gateway:
            answer = get(gateway, "/clients?email=who@example.com", traceparent=SAMPLED, tracestate="vendor=1")
            spans = {span.kind: span for span in collector.wait(3) if span.trace_id.hex() == TRACE}
        served, called = spans[Span.SPAN_KIND_SERVER], spans[Span.SPAN_KIND_CLIENT]
        assert served.parent_span_id.hex() == PARENT
        assert answer.headers["traceparent"] == f"00-{TRACE}-{served.span_id.hex()}-01"
        assert called.parent_span_id == served.span_id
        assert simulator.ledger.calls()[0].headers["traceparent"] == f"00-{TRACE}-{called.span_id.hex()}-01"
        assert (served.name, called.name, served.trace_state) == ("GET /clients", "client.list", "vendor=1")
        assert served.start_time_unix_nano <= called.start_time_unix_nano
        assert called.end_time_unix_nano <= served.end_time_unix_nano
        assert attributes(served) == {
            "http.request.method": "GET",
            "http.route": "/clients",
            "http.response.status_code": 200,
            "url.path": "/clients",
            "gateway.operation": "client.list",
            "gateway.cache": "bypass",
            "gateway.request_id": answer.headers["x-request-id"],
        }
        assert attributes(called) == {"rpc.method": "client.list", "gateway.outcome": "ok"}
        assert {one["service.name"] for one in collector.resources} == {"freshbooks-gateway"}
        assert b"who@" not in collector.received


def test_what_failed_says_so(simulator: Simulator) -> None:
    """The call by its outcome, the request by its problem's code."""
    simulator.faults.add("html_page", methods=["client.get"])
    with Collector() as collector:
        with GatewayProcess(settings(simulator, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **NEVER)) as gateway:
            get(gateway, "/clients/13", traceparent=SAMPLED)
        spans = {span.kind: span for span in collector.wait(2) if span.trace_id.hex() == TRACE}
    served, called = spans[Span.SPAN_KIND_SERVER], spans[Span.SPAN_KIND_CLIENT]
    assert (attributes(served)["error.type"], served.status.code) == ("upstream_garbled", Status.STATUS_CODE_ERROR)
    assert (attributes(called)["error.type"], called.status.code) == ("garbled", Status.STATUS_CODE_ERROR)


def test_the_caller_decides_whether_its_trace_is_kept(simulator: Simulator) -> None:
    """Spans of a trace that is not sampled are not sent; those that wait when the gateway ends are."""
    with Collector() as collector:
        with GatewayProcess(settings(simulator, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **NEVER)) as gateway:
            get(gateway, "/clients/13", traceparent=UNSAMPLED)
            begun = get(gateway, "/clients/14").headers["traceparent"]
            assert collector.spans == []
        assert begun is not None
        kept = [span.trace_id.hex() for span in collector.wait(2)]
    assert TRACE not in kept
    assert kept.count(begun[3:35]) == 2


@pytest.mark.parametrize("is_there", [True, False], ids=["hangs", "is not there"])
def test_a_dead_collector_costs_nobody_anything(simulator: Simulator, is_there: bool) -> None:
    """While it never answers, every request is answered, and the gateway ends as it should."""
    with Collector(hangs=True) as collector:
        url = collector.url if is_there else "http://127.0.0.1:9"
        few = {"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8", **SOON}
        with GatewayProcess(settings(simulator, OTEL_EXPORTER_OTLP_ENDPOINT=url, **few)) as gateway:
            assert {get(gateway, "/clients/13").status for _ in range(60)} == {200}
            if is_there:
                collector.wait(1)
    assert all(line.startswith("{") for line in gateway.output().splitlines()), gateway.output()


@pytest.fixture
def without_packages(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds an empty package in the place of OpenTelemetry's."""
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").touch()
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "STORE_URL": str(tmp_path / "store")}
    return {**env, "UPSTREAM_URL": "http://127.0.0.1:9/", "GATEWAY_AUTH": "passthrough"}


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


def test_without_the_packages_a_collector_is_refused(without_packages: dict[str, str]) -> None:
    """The gateway does not start, and says what is missing."""
    env = {**without_packages, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    ended = run(env, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()")
    assert ended.returncode == 2
    assert "OTEL_EXPORTER_OTLP_ENDPOINT needs the packages of requirements-otel.txt" in ended.stderr


def test_without_a_collector_the_packages_are_not_needed(without_packages: dict[str, str]) -> None:
    """Nor would they be imported by the gateway if they were there."""
    code = "import app, sys; app.create_app(); print('gateway.telemetry.otel' in sys.modules)"
    ended = run(without_packages, "-c", code)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("False\n", "", 0)
