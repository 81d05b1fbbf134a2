"""What a request leaves behind, without Flask."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from gateway.errors import RecordNotFound
from gateway.rest.context import RequestContext
from gateway.rest.framing import Recorder, cache_event
from gateway.telemetry import Metrics, open_log


class Ground:
    """A recorder, its metrics and its lines. `draws` are what chance gives."""

    def __init__(self, hits_share: float = 1.0, draws: tuple[float, ...] = (), level: str = "info") -> None:
        self.stream = io.BytesIO()
        self.metrics = Metrics(multiprocess=False)
        chance = iter(draws)
        log = open_log(level, self.stream)
        self.recorder = Recorder(self.metrics, log, "acc", hits_share, draw=lambda: next(chance))

    def record(self, cache: str | None = None, status: int = 200, **known: Any) -> None:
        context = RequestContext("rid", "GET", "/clients/13", "/clients/{id}", operation="client.get", **known)
        context.status, context.cache = status, cache
        self.recorder.record(context)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


def test_a_request_is_counted_timed_and_logged() -> None:
    """Whoever answered it."""
    ground = Ground()
    ground.record("hit")
    labels = {"operation": "client.get", "route": "/clients/{id}", "status": "200"}
    assert ground.value("gateway_requests_total", **labels) == 1
    assert ground.value("gateway_request_duration_seconds_count", operation="client.get") == 1
    [line] = ground.lines()
    assert (line["account"], line["cache"], line["status"], line["upstream_calls"]) == ("acc", "hit", 200, 0)


def test_the_level_leaves_the_line_out_and_nothing_else() -> None:
    """Counted all the same."""
    ground = Ground(level="warning")
    ground.record()
    assert ground.lines() == []
    assert ground.value("gateway_request_duration_seconds_count", operation="client.get") == 1


def test_of_hits_a_share_is_logged() -> None:
    """All of them are counted."""
    ground = Ground(0.25, (0.1, 0.25, 0.9, 0.24))
    for _ in range(4):
        ground.record("hit")
    assert len(ground.lines()) == 2
    assert ground.value("gateway_request_duration_seconds_count", operation="client.get") == 4


@pytest.mark.parametrize("cache, status", [("stale", 200), ("miss", 200), (None, 200), ("hit", 404), ("hit", 500)])
def test_what_is_no_plain_hit_is_always_logged(cache: str | None, status: int) -> None:
    """Errors from the cache included."""
    ground = Ground(0.0)
    ground.record(cache, status, error=RecordNotFound("gone") if status >= 400 else None)
    assert len(ground.lines()) == 1


def test_a_share_of_none_logs_no_hit() -> None:
    """A 304 is a hit like another."""
    ground = Ground(0.0, (0.0, 0.0))
    ground.record("hit", 200)
    ground.record("hit", 304)
    assert ground.lines() == []


def test_requests_in_hand_are_shown_until_they_end() -> None:
    """Answered or not."""
    ground = Ground()
    ground.recorder.begin()
    ground.recorder.begin()
    ground.recorder.end()
    assert ground.value("gateway_requests_in_flight") == 1


@pytest.mark.parametrize(
    "status, event",
    [
        (None, None),
        ("gateway; hit; ttl=17", "hit"),
        ("gateway; hit; ttl=-3; detail=upstream-sick", "stale"),
        ("gateway; fwd=uri-miss; stored", "miss"),
        ("gateway; fwd=stale", "miss"),
        ("gateway; fwd=request; stored", "miss"),
        ("gateway; fwd=uri-miss; collapsed", "collapsed"),
        ("gateway; fwd=bypass", "bypass"),
        ("gateway; fwd=bypass; detail=store", "bypass"),
        ("gateway; fwd=request; detail=no-store", "bypass"),
    ],
)
def test_the_caches_part_is_told_in_the_words_of_its_metric(status: str | None, event: str | None) -> None:
    """Read from the answer's own header, so the log cannot say otherwise than the answer."""
    assert cache_event(status) == event
