"""The metric definitions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from gateway.telemetry import exposition, slots

__all__ = ["Counter", "Gauge", "Labelled", "Metrics"]

_Metric = TypeVar("_Metric", bound=MetricWrapperBase)
_REQUEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_UPSTREAM_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STORE_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Labelled(Generic[_Metric]):
    """A metric by its labels. The library's own `labels` takes a lock and makes strings anew every time."""

    __slots__ = ("_children", "_metric")

    def __init__(self, metric: _Metric) -> None:
        self._metric = metric
        self._children: dict[tuple[str | int, ...], _Metric] = {}

    def labels(self, *values: str | int) -> _Metric:
        """The series with these label values, of which there must be a bound; none for a metric without labels."""
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = self._metric.labels(*values) if values else self._metric
        return child


class Total(Counter):
    """A counter that keeps no exemplars. The library's own asks at every count whether it may be counted here at all,
    and whether the amount is negative."""

    def inc(self, amount: float = 1, exemplar: Mapping[str, str] | None = None) -> None:
        self._value.inc(amount)


class Level(Gauge):
    """A gauge of what goes up and down. As with `Total`, it is used only where it may be."""

    def inc(self, amount: float = 1) -> None:
        self._value.inc(amount)

    def dec(self, amount: float = 1) -> None:
        self._value.inc(-amount)


class Durations(Histogram):
    """A histogram that finds the bucket by bisection and keeps no exemplars."""

    def observe(self, amount: float, exemplar: Mapping[str, str] | None = None) -> None:
        self._sum.inc(amount)
        self._buckets[bisect_left(self._upper_bounds, amount)].inc(1)


class Definition(NamedTuple):
    """A metric as Prometheus has it: a counter's name ends in `_total`."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


class Metrics:
    """Every metric that is counted while working. What is looked up at a scrape is in `exposition`.

    `multiprocess`: values are shared with the other workers through the files of `PROMETHEUS_MULTIPROC_DIR` (see
    `slots`); such a process may have one `Metrics` only.
    """

    def __init__(self, *, multiprocess: bool) -> None:
        self._multiprocess = multiprocess
        self._looked_up: list[Collector] = []
        self.definitions: list[Definition] = []
        self.registry = CollectorRegistry()
        if multiprocess:
            slots.count_in_files()
        else:
            slots.count_in_process()
        self._define_requests()
        self._define_upstream()
        self._define_policies()
        self._define_stores()

    def look_up(self, collector: Collector) -> None:
        """What to ask at every scrape."""
        self._looked_up.append(collector)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics of all workers and their content type, in the format the `Accept` header asks for."""
        counted = exposition.Files() if self._multiprocess else self.registry
        return exposition.encode([counted, *self._looked_up], accept)

    def _define_requests(self) -> None:
        self.requests = self._counter("gateway_requests", "Callers' requests.", "operation", "route", "status")
        self.request_seconds = self._histogram(
            "gateway_request_duration_seconds",
            "How long callers' requests took.",
            _REQUEST_BUCKETS_S,
            "operation",
        )
        self.in_flight = self._gauge("gateway_requests_in_flight", "Callers' requests in hand, this scrape included.")
        self.overload_refusals = self._counter(
            "gateway_overload_refusals",
            "Requests refused for want of room: too many callers (callers) or calls to the upstream (upstream).",
            "limit",
        )
        self._gauge("gateway_workers", "Workers alive.").set(1)

    def _define_upstream(self) -> None:
        self.upstream_calls = self._counter("gateway_upstream_calls", "Calls to the upstream.", "method", "outcome")
        self.upstream_seconds = self._histogram(
            "gateway_upstream_call_duration_seconds",
            "How long calls to the upstream took.",
            _UPSTREAM_BUCKETS_S,
            "method",
        )
        self.retries = self._counter("gateway_upstream_retries", "Calls sent to the upstream again.", "method")
        self.upstream_in_flight = self._gauge("gateway_upstream_calls_in_flight", "Calls to the upstream under way.")
        self.upstream_waiting = self._gauge(
            "gateway_upstream_calls_waiting", "Calls to the upstream that wait for a place."
        )
        self.upstream_limit = self._gauge(
            "gateway_upstream_calls_limit", "Calls to the upstream that may be under way at a time."
        )
        self.unknown_elements = self._counter(
            "gateway_upstream_unknown_elements",
            "Elements in the upstream's records that the declaration does not know.",
            "resource",
        )
        self.missing_elements = self._counter(
            "gateway_upstream_missing_elements",
            "Elements that the declaration expects and a record of the upstream lacked.",
            "resource",
        )

    def _define_policies(self) -> None:
        self.circuit_refusals = self._counter(
            "gateway_circuit_refusals", "Calls not sent because the circuit was open."
        ).labels()
        self.idempotency = self._counter("gateway_idempotency_keys", "Requests with an Idempotency-Key.", "result")
        self.reconciliations = self._counter(
            "gateway_reconciliations", "Creates of unknown outcome that were looked for.", "result"
        )
        self.cache = self._counter("gateway_cache_events", "What the cache did.", "event")

    def _define_stores(self) -> None:
        self.store_seconds = self._histogram(
            "gateway_store_operation_duration_seconds",
            "How long the store took to read and to write.",
            _STORE_BUCKETS_S,
            "store",
            "operation",
        )
        self.store_errors = self._counter(
            "gateway_store_errors", "Operations that the store could not do.", "store", "operation", "error"
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Labelled[Counter]:
        self.definitions.append(Definition(f"{name}_total", "counter", labels, meaning))
        return Labelled(Total(name, meaning, labels, registry=self.registry))

    def _histogram(self, name: str, meaning: str, buckets_s: Sequence[float], *labels: str) -> Labelled[Durations]:
        self.definitions.append(Definition(name, "histogram", labels, meaning))
        return Labelled(Durations(name, meaning, labels, registry=self.registry, buckets=buckets_s))

    def _gauge(self, name: str, meaning: str) -> Gauge:
        """Summed over the workers alive."""
        self.definitions.append(Definition(name, "gauge", (), meaning))
        return Level(name, meaning, registry=self.registry, multiprocess_mode="livesum")


def observe_many(histogram: Histogram, value: float, total: int) -> None:
    """As `total` calls of `observe`, at the price of one. The library has no such call, so this knows its parts."""
    histogram._sum.inc(value * total)
    histogram._buckets[bisect_left(histogram._upper_bounds, value)].inc(total)
