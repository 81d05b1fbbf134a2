"""The log, the metrics' definitions, and the notice taken of elements that nobody declared."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import NotSent, RpcOutcome
from gateway.telemetry import Drift, Metrics, open_log
from gateway.upstream import remote
from gateway.upstream.protocol import Answer
from tests.support.wire import OK, Outbound, answering, call

LEVELS = ["debug", "info", "warning", "error"]


def lines(stream: BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("level", LEVELS)
def test_a_log_holds_the_lines_of_its_level_and_above(level: str) -> None:
    """In the order they were written, each with its level."""
    stream = BytesIO()
    log = open_log(level, stream)
    for name in LEVELS:
        getattr(log, name)(f"at_{name}", number=1)
    assert [line["level"] for line in lines(stream)] == LEVELS[LEVELS.index(level) :]


def test_a_line_begins_with_an_instant_and_says_what_happened() -> None:
    """RFC 3339, UTC; an event and its facts."""
    stream = BytesIO()
    open_log("info", stream).info("request", request_id="r1", status=200, route=None)
    (line,) = lines(stream)
    assert datetime.fromisoformat(line.pop("time")).utcoffset() == timedelta(0)
    assert stream.getvalue().startswith(b'{"time":"')
    assert line == {"event": "request", "level": "info", "request_id": "r1", "status": 200, "route": None}


FACTS = st.dictionaries(
    st.sampled_from(["path", "detail", "number"]),
    st.text() | st.text(st.characters(categories=["Cs", "Cc", "Zl"])) | st.integers() | st.none() | st.just(Path("/x")),
)


@given(facts=FACTS)
@settings(max_examples=150)
def test_any_facts_are_one_line_of_json(facts: dict[str, Any]) -> None:
    """Line ends, control characters, lone surrogates and huge numbers included: a log never fails a request."""
    stream = BytesIO()
    open_log("info", stream).info("event", **facts)
    assert stream.getvalue().count(b"\n") == 1
    (line,) = lines(stream)
    assert {name: line[name] for name in facts} == json.loads(json.dumps(facts, default=str))


def test_a_call_is_counted_timed_and_logged_at_level_debug() -> None:
    """By method and outcome; an error is the same to the caller as without it."""
    outbound = Outbound(answering([OK])[0])
    outbound.run("create", {"email": "a@example.com"})
    (line,) = outbound.log_lines()
    assert (line["event"], line["method"], line["outcome"]) == ("upstream_call", "client.create", "ok")
    assert line["duration_ms"] >= 0
    assert counted(outbound.metrics) == {("client.create", "ok"): 1}


def test_a_call_that_failed_is_counted_by_its_outcome() -> None:
    """The outcome is the error's."""

    def refuse(_call: object) -> Answer:
        raise NotSent("no")

    outbound = Outbound(refuse)
    with pytest.raises(NotSent):
        outbound.run("get", None)
    assert counted(outbound.metrics) == {("client.get", "not_sent"): 1}


def test_a_call_that_crashed_is_not_counted_as_a_success() -> None:
    """A defect of ours leaves the outcome unknown."""
    metrics, log = Metrics(multiprocess=False), open_log("error", BytesIO())

    def crash(_call: object) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        remote.measured(crash, metrics, log)(call())
    assert counted(metrics) == {("client.get", "unknown"): 1}


def counted(metrics: Metrics) -> dict[tuple[str, str], float]:
    samples = [sample for metric in metrics.registry.collect() for sample in metric.samples]
    return {
        (sample.labels["method"], sample.labels["outcome"]): sample.value
        for sample in samples
        if sample.name == "gateway_upstream_calls_total"
    }


def test_every_outcome_is_a_word_of_its_own() -> None:
    """They are the label values that dashboards and rules know."""
    assert {outcome.value for outcome in RpcOutcome} == {
        *("ok", "rejected", "not_found", "auth", "throttled", "upstream_error", "not_sent", "unknown", "garbled")
    }


@pytest.mark.parametrize(
    "accept, content_type", [("", "text/plain"), ("application/openmetrics-text", "application/openmetrics-text")]
)
def test_the_metrics_are_told_in_the_format_that_was_asked_for(accept: str, content_type: str) -> None:
    """With the definitions' names."""
    body, given_type = Metrics(multiprocess=False).exposition(accept)
    assert given_type.startswith(content_type)
    names = ("gateway_requests", "gateway_upstream_calls", "gateway_upstream_unknown_elements")
    assert all(f"# TYPE {name}".encode() in body for name in names)


class TestDrift:
    """Elements that nobody declared."""

    def drift(self) -> tuple[Drift, Metrics, BytesIO]:
        stream, metrics = BytesIO(), Metrics(multiprocess=False)
        return Drift(metrics, open_log("info", stream)), metrics, stream

    def count(self, metrics: Metrics, resource: str) -> float | None:
        return metrics.registry.get_sample_value("gateway_upstream_unknown_elements_total", {"resource": resource})

    def test_each_is_counted_and_each_name_logged_once(self) -> None:
        """A name per resource: another resource's element of the same name is news."""
        drift, metrics, stream = self.drift()
        client, invoice = drift.reporter("client"), drift.reporter("invoice")
        for report, name in [(client, "a"), (client, "a"), (client, "b"), (invoice, "a"), (client, "a")]:
            report(name)
        assert (self.count(metrics, "client"), self.count(metrics, "invoice")) == (4, 1)
        warned = [(line["level"], line["resource"], line["element"]) for line in lines(stream)]
        assert warned == [("warning", "client", "a"), ("warning", "client", "b"), ("warning", "invoice", "a")]

    def test_a_missing_element_is_other_news_than_an_unknown_one_of_its_name(self) -> None:
        """Counted apart, and logged apart."""
        drift, metrics, stream = self.drift()
        unknown, missing = drift.reporter("client"), drift.missing_reporter("client")
        for report in (unknown, missing, missing):
            report("fax")
        assert self.count(metrics, "client") == 1
        assert metrics.registry.get_sample_value("gateway_upstream_missing_elements_total", {"resource": "client"}) == 2
        assert [line["event"] for line in lines(stream)] == ["unknown_upstream_element", "missing_upstream_element"]

    def test_a_long_name_is_cut_in_the_log(self) -> None:
        """An upstream's nonsense does not fill a disk."""
        drift, _, stream = self.drift()
        drift.reporter("client")("n" * 10_000)
        assert lines(stream)[0]["element"] == "n" * 100

    def test_endless_names_are_counted_and_no_longer_logged(self) -> None:
        """Nor does it fill the memory."""
        drift, metrics, stream = self.drift()
        report = drift.reporter("client")
        for number in range(3000):
            report(f"x{number}")
        assert (self.count(metrics, "client"), len(lines(stream))) == (3000, 1000)

    def test_threads_that_meet_the_same_name_log_it_once(self) -> None:
        """All of them at once."""
        drift, metrics, stream = self.drift()
        report, barrier = drift.reporter("client"), threading.Barrier(8)

        def meet() -> None:
            barrier.wait(10)
            for number in range(50):
                report(f"x{number}")

        threads = [threading.Thread(target=meet) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert (self.count(metrics, "client"), len(lines(stream))) == (400, 50)
