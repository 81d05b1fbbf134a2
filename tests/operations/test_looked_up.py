"""What a scrape tells of the moment: stores, circuit, draining, refusals for want of room."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import Stores
from gateway.deadline import Deadline
from gateway.errors import Overloaded
from gateway.settings import Settings
from gateway.store.embedded import EmbeddedStore
from gateway.store.errors import StoreCorrupted, StoreDown, StoreError, StoreFull
from gateway.store.interface import Put, Store
from gateway.store.measured import MeasuredStore, word_for
from gateway.telemetry import Metrics, open_log
from gateway.upstream.bulkhead import Bulkhead
from simulator.server import Simulator
from tests.support.gateway import Caller, open_app

SAFETY_S = 20.0


def samples(body: bytes) -> dict[tuple[str, ...], float]:
    """Each sample under its name and the values of its labels, which stand in the order of their names."""
    families = text_string_to_metric_families(body.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    def made(name: str, *, durable: bool) -> Store:
        return EmbeddedStore(str(tmp_path / name), 1 << 20, durable=durable, evict=name == "cache")

    return Stores(made("coordination", durable=False), made("records", durable=True), made("cache", durable=False))


def scrape(simulator: Simulator, stores: Stores, *, draining: bool = False) -> dict[tuple[str, ...], float]:
    env = {"UPSTREAM_URL": simulator.url, "UPSTREAM_TOKEN": "demo-admin", "GATEWAY_AUTH": "open"}
    app = open_app(Settings.from_env(env), open_log("info", io.BytesIO()), stores=stores, drains=lambda: draining)
    return samples(Caller(app.test_client(), io.BytesIO()).get("/metrics").get_data())


def test_stores_are_told_as_they_are(simulator: Simulator, stores: Stores) -> None:
    """Reachable, with what they hold and may hold."""
    stores.records.apply([], [Put(b"key", b"value", 60)])
    told = scrape(simulator, stores)
    for name in ("coordination", "records", "cache"):
        assert told["gateway_store_reachable", name] == 1
        assert told["gateway_store_bound_bytes", name] == 1 << 20
    assert told["gateway_store_entries", "records"] == 1


def test_a_store_that_is_down_is_told_and_fails_no_scrape(simulator: Simulator, stores: Stores) -> None:
    """The others are told all the same; what cannot be known is left out."""
    stores.records.close()
    told = scrape(simulator, stores)
    assert [told["gateway_store_reachable", name] for name in ("coordination", "records", "cache")] == [1, 0, 1]
    assert ("gateway_store_entries", "records") not in told
    assert ("gateway_store_entries", "cache") in told


@pytest.mark.parametrize("draining", [True, False])
def test_draining_and_the_circuit_are_looked_at(simulator: Simulator, stores: Stores, draining: bool) -> None:
    """One state of the circuit is 1, the others are 0."""
    told = scrape(simulator, stores, draining=draining)
    assert told["gateway_draining",] == int(draining)
    states = {labels[1]: value for labels, value in told.items() if labels[0] == "gateway_circuit_state"}
    assert states == {"closed": 1, "open": 0, "half_open": 0}
    assert [value for labels, value in told.items() if labels[0] == "gateway_build_info"] == [1]


def test_reads_and_writes_of_a_store_are_timed_and_their_errors_counted(stores: Stores) -> None:
    """By store and operation; what failed is timed too."""
    metrics = Metrics(multiprocess=False)
    store = MeasuredStore(stores.cache, "cache", metrics)
    assert store.get(b"a") is None
    assert store.get_many([b"a"]) == [None]
    store.apply([], [Put(b"a", b"1", 60)])
    store.close()
    with pytest.raises(StoreDown):
        store.get(b"a")
    with pytest.raises(StoreDown):
        store.apply([], [Put(b"a", b"1", 60)])
    told = samples(metrics.exposition("")[0])
    assert told["gateway_store_operation_duration_seconds_count", "read", "cache"] == 3
    assert told["gateway_store_operation_duration_seconds_count", "write", "cache"] == 2
    assert told["gateway_store_errors_total", "down", "read", "cache"] == 1
    assert told["gateway_store_errors_total", "down", "write", "cache"] == 1


@pytest.mark.parametrize("error, word", [(StoreDown(), "down"), (StoreFull(), "full"), (StoreCorrupted(), "corrupted")])
def test_errors_of_a_store_have_names(error: StoreError, word: str) -> None:
    """Those of the label."""
    assert word_for(error) == word


def test_who_waits_for_a_place_and_who_is_refused_is_told() -> None:
    """Waiting only while it waits; refused once it waited in vain."""
    metrics = Metrics(multiprocess=False)
    refused = metrics.overload_refusals.labels("upstream")
    bulkhead = Bulkhead(1, SAFETY_S, refused, metrics.upstream_waiting)
    waits = threading.Event()

    def wait() -> None:
        with bulkhead.place():
            waits.set()

    with bulkhead.place():
        other = threading.Thread(target=wait)
        other.start()
        while not samples(metrics.exposition("")[0])["gateway_upstream_calls_waiting",]:
            assert other.is_alive()
        with pytest.raises(Overloaded), bulkhead.place(Deadline.after(0)):
            pass
    other.join(SAFETY_S)
    told = samples(metrics.exposition("")[0])
    assert waits.is_set()
    assert told["gateway_upstream_calls_waiting",] == 0
    assert told["gateway_overload_refusals_total", "upstream"] == 1
