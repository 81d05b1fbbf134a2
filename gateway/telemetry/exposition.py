"""The metrics as they are told, and those that are looked up at that moment, of which nothing can be stale."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CIRCUIT_STATES = ("closed", "open", "half_open")


def encode(collectors: Iterable[Collector | CollectorRegistry], accept: str) -> tuple[bytes, str]:
    """What the collectors tell and its content type, in the format the `Accept` header asks for."""
    write, content_type = choose_encoder(accept)
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return write(registry), content_type


class Files(Collector):
    """What all workers have counted, from their files."""

    def collect(self) -> Iterable[Metric]:
        """A file is empty for a moment when a worker makes it; reading it then would fail."""
        folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
        files = [str(file) for file in folder.glob("*.db") if _size_bytes(file)]
        return cast(Iterable[Metric], MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]


def _size_bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


class StoreStatus(Protocol):
    """How a store is; None where it cannot be told."""

    @property
    def reachable(self) -> bool: ...
    @property
    def used_bytes(self) -> int | None: ...
    @property
    def bound_bytes(self) -> int | None: ...
    @property
    def entries(self) -> int | None: ...


@dataclass(frozen=True, slots=True, eq=False)
class LookedUp(Collector):
    """The gauges that are asked for at every scrape. None of the functions may raise, and each takes a bounded time.

    `circuit` gives one of `CIRCUIT_STATES`; `stores` are the statuses by the stores' names.
    """

    version: str
    circuit: Callable[[], str]
    stores: Mapping[str, Callable[[], StoreStatus]]
    draining: Callable[[], bool]

    def collect(self) -> Iterable[Metric]:
        yield self._build()
        yield self._circuit()
        yield from self._stores()
        yield GaugeMetricFamily("gateway_draining", "1 while the gateway drains.", value=float(self.draining()))

    def _build(self) -> Metric:
        family = GaugeMetricFamily("gateway_build_info", "What runs; always 1.", labels=["version", "python"])
        family.add_metric([self.version, platform.python_version()], 1)
        return family

    def _circuit(self) -> Metric:
        family = GaugeMetricFamily("gateway_circuit_state", "1 for the circuit's present state.", labels=["state"])
        present = self.circuit()
        for state in CIRCUIT_STATES:
            family.add_metric([state], float(state == present))
        return family

    def _stores(self) -> Iterable[Metric]:
        reachable, used, bound, entries = (
            GaugeMetricFamily(name, meaning, labels=["store"])
            for name, meaning in (
                ("gateway_store_reachable", "Whether the store answers."),
                ("gateway_store_used_bytes", "Bytes that the store's entries take."),
                ("gateway_store_bound_bytes", "Bytes that the store's entries may take."),
                ("gateway_store_entries", "Entries in the store, expired ones included that are not swept yet."),
            )
        )
        for name, look in self.stores.items():
            status = look()
            reachable.add_metric([name], float(status.reachable))
            for family, value in ((used, status.used_bytes), (bound, status.bound_bytes), (entries, status.entries)):
                if value is not None:
                    family.add_metric([name], value)
        return reachable, used, bound, entries
