"""The values of a worker slot, as the library's own collector reads them from the files."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.telemetry import Metrics, slots
from gateway.telemetry.metrics import Durations, observe_many

BUCKETS = (0.001, 0.01, 0.1)
AMOUNTS = (0.0, 0.001, 0.0010001, 0.05, 0.1, 0.2, 7.0)
SERIES = [("an operation with quite a long name", f"/{number}", "200") for number in range(1000)]


def run_worker(folder: Path, slot: int, task: Callable[[], None]) -> None:
    """Runs `task` in a process of its own, the worker of `slot`."""
    process = multiprocessing.get_context("spawn").Process(target=_be_worker, args=(str(folder), slot, task))
    process.start()
    process.join(60)
    assert process.exitcode == 0


def _be_worker(folder: str, slot: int, task: Callable[[], None]) -> None:
    os.environ |= {slots.FOLDER: folder, slots.SLOT: str(slot)}
    task()


def told(folder: Path) -> CollectorRegistry:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry


def work(histogram: type[Histogram]) -> None:
    """Counts a bit of everything, by whatever keeps the values now."""
    registry = CollectorRegistry()
    calls = Counter("calls", "Calls.", ["method"], registry=registry)
    busy = Gauge("busy", "Busy.", registry=registry, multiprocess_mode="livesum")
    seconds = histogram("seconds", "Seconds.", ["method"], registry=registry, buckets=BUCKETS)
    for number, amount in enumerate(AMOUNTS):
        calls.labels(f"ü {number % 3}").inc(number)
        busy.inc(amount)
        busy.dec(0.5)
        seconds.labels("get").observe(amount)
    busy.set(busy._value.get() + 3)


def work_with_ours() -> None:
    slots.count_in_files()
    work(Durations)


def work_with_the_library() -> None:
    values.ValueClass = values.MultiProcessValue(lambda: "3")  # type: ignore[no-untyped-call]
    work(Histogram)


def test_the_values_of_a_slot_beside_those_of_the_library(tmp_path: Path) -> None:
    """Are the same bytes in the same files; an amount on a bucket's bound lies within it."""
    for name, task in (("ours", work_with_ours), ("library", work_with_the_library)):
        (tmp_path / name).mkdir()
        run_worker(tmp_path / name, 3, task)
    ours, library = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("ours", "library")
    )
    assert set(ours) == {"counter_3.db", "gauge_livesum_3.db", "histogram_3.db"}
    assert ours == library
    assert b"seconds_bucket" in generate_latest(told(tmp_path / "ours"))


def count_and_observe() -> None:
    metrics = Metrics(multiprocess=True)
    metrics.cache.labels("miss").inc(2)
    metrics.in_flight.inc(5)
    observe_many(metrics.store_seconds.labels("cache", "read"), 0.002, 3)


def test_the_next_worker_of_a_slot(tmp_path: Path) -> None:
    """Goes on counting where the last one stopped."""
    for _ in range(2):
        run_worker(tmp_path, 0, count_and_observe)
    page = told(tmp_path)
    assert page.get_sample_value("gateway_cache_events_total", {"event": "miss"}) == 4
    labels = {"store": "cache", "operation": "read"}
    assert page.get_sample_value("gateway_store_operation_duration_seconds_count", labels) == 6
    assert page.get_sample_value("gateway_store_operation_duration_seconds_bucket", labels | {"le": "0.001"}) == 0
    assert page.get_sample_value("gateway_store_operation_duration_seconds_bucket", labels | {"le": "0.0025"}) == 6


def test_two_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Are summed; of a dead one the counters stay and the gauges go."""
    for slot in (0, 1):
        run_worker(tmp_path, slot, count_and_observe)
    assert told(tmp_path).get_sample_value("gateway_requests_in_flight") == 10
    monkeypatch.setenv(slots.FOLDER, str(tmp_path))
    slots.forget_gauges(1)
    assert told(tmp_path).get_sample_value("gateway_requests_in_flight") == 5
    assert told(tmp_path).get_sample_value("gateway_cache_events_total", {"event": "miss"}) == 4


def count_many_series() -> None:
    metrics = Metrics(multiprocess=True)
    for _ in range(2):
        for series in SERIES:
            metrics.requests.labels(*series).inc()
    assert metrics.requests.labels(*SERIES[0])._value.get() == 2


def test_more_series_than_a_new_file_holds(tmp_path: Path) -> None:
    """The file grows, and those that were there before it grew go on counting."""
    run_worker(tmp_path, 0, count_many_series)
    assert (tmp_path / "counter_0.db").stat().st_size > 1 << 16
    page = told(tmp_path)
    told_values = {sample.value for metric in page.collect() for sample in metric.samples if "route" in sample.labels}
    assert told_values == {2}


def count_in_threads() -> None:
    misses = Metrics(multiprocess=True).cache.labels("miss")
    barrier = threading.Barrier(4)

    def count() -> None:
        barrier.wait(10)
        for _ in range(5000):
            misses.inc()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_threads_that_count_the_same(tmp_path: Path) -> None:
    """Lose nothing."""
    run_worker(tmp_path, 0, count_in_threads)
    assert told(tmp_path).get_sample_value("gateway_cache_events_total", {"event": "miss"}) == 20_000
