"""The composition root: settings → store, transport → policies → Flask application. Nothing else knows every room."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from gateway import draining, rest
from gateway.edge.hot import TakeSnapshot
from gateway.edge.refusals import Refusals
from gateway.edge.shortcut import Shortcut
from gateway.policy.cache import Cache
from gateway.policy.circuit import SharedCircuit
from gateway.policy.creation import Creation
from gateway.policy.idempotency import Idempotency
from gateway.policy.leases import RecordLeases
from gateway.policy.rates import Rates
from gateway.policy.readiness import Readiness
from gateway.policy.stamps import Stamps
from gateway.settings import Settings, settings_or_exit
from gateway.store.embedded import EmbeddedStore
from gateway.store.interface import Store
from gateway.store.measured import MeasuredStore
from gateway.store.open import open_store
from gateway.telemetry import Drift, Log, Metrics, open_log
from gateway.telemetry.exposition import LookedUp
from gateway.telemetry.spans import Spans
from gateway.upstream import breaker, remote, retry
from gateway.upstream.bulkhead import Bulkhead
from gateway.upstream.codec import Codec
from gateway.upstream.freshbooks import FreshBooks, codecs_of
from gateway.upstream.markup import Markups
from gateway.upstream.remote import Remote
from gateway.upstream.transport import HttpTransport
from schemas import RESOURCES

ANSWER_BYTES_MAX = 16 * 1024 * 1024
BULKHEAD_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Stores:
    """What processes share: `coordination`, which may be lost with the machine, `records`, which must last, and
    `cache`, in which entries make room for others."""

    coordination: Store
    records: Store
    cache: Store

    def by_name(self) -> dict[str, Store]:
        return {"coordination": self.coordination, "records": self.records, "cache": self.cache}


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told what happens. `spans`: None where nobody collects traces."""

    log: Log
    metrics: Metrics
    spans: Spans | None


@dataclass(frozen=True, slots=True)
class Policies:
    """The upstream, and what stands before it."""

    circuit: SharedCircuit
    freshbooks: FreshBooks
    cache: Cache
    safety: rest.Safety
    rates: Rates


def create_app(
    settings: Settings | None = None,
    log: Log | None = None,
    *,
    stores: Stores | None = None,
    calls: Remote | None = None,
    clock: Callable[[], float] = time.time,
    drains: Callable[[], bool] = draining.has_begun,
) -> Flask:
    """The WSGI application. Without settings it reads the environment, and exits with 2 when that is not valid.

    Without `stores` it opens those that the settings name, without `calls` it makes its calls over HTTP. `clock` reads
    seconds that all sharers of the stores agree on, `drains` says whether the gateway is about to end.
    Its `extensions["close"]` lets go of what it opened, `extensions["spans"]` are told to the collector of traces.
    """
    settings = settings or settings_or_exit()
    watch = _watch(settings, log or open_log(settings.log_level))
    opened = None
    if stores is None:
        stores = opened = _stores(settings, watch.log)
    shared = _measured(stores, watch.metrics)
    transport = _transport(settings)
    codecs = codecs_of(RESOURCES, settings.upstream_timezone, Drift(watch.metrics, watch.log))
    calls = calls or remote.over(transport, Markups(RESOURCES, codecs).read)
    policies = _policies(settings, shared, calls, codecs, watch, clock)
    account = account_of(settings).decode()
    recorder = rest.Recorder(watch.metrics, watch.log, account, settings.log_hits_share, watch.spans)
    app = _application(settings, shared, policies, watch, recorder, clock, drains)
    if not settings.gateway_rate_per_minute:  # else every request is to be counted in the store first
        app.extensions["shortcut"] = Shortcut(app.extensions["inbound"], policies.cache, _snapshot(stores), watch.log)
    app.extensions["refusals"] = Refusals(recorder, watch.log)
    app.extensions["metrics_port"] = settings.metrics_bind.port if settings.metrics_bind else None
    app.extensions["spans"] = watch.spans
    app.extensions["close"] = functools.partial(_close, transport, opened, watch.spans)
    return app


def _close(transport: HttpTransport, stores: Stores | None, spans: Spans | None) -> None:
    """Lets go of connections and of the files that the application opened; what it is asked afterwards fails."""
    transport.close()
    if spans is not None:
        spans.close()
    for store in stores.by_name().values() if stores else ():
        store.close()


def _watch(settings: Settings, log: Log) -> Watch:
    metrics = Metrics(multiprocess="PROMETHEUS_MULTIPROC_DIR" in os.environ)
    return Watch(log, metrics, _spans(settings.otel_exporter_otlp_endpoint))


def _spans(endpoint: str | None) -> Spans | None:
    """None without a collector; then nothing of OpenTelemetry is imported, for it need not be installed."""
    if endpoint is None:
        return None
    from gateway.telemetry.otel import ExportedSpans

    return ExportedSpans(endpoint)


def _policies(
    settings: Settings,
    stores: Stores,
    calls: Remote,
    codecs: Mapping[str, Codec],
    watch: Watch,
    clock: Callable[[], float],
) -> Policies:
    account = account_of(settings)
    circuit = SharedCircuit(stores.coordination, account, watch.metrics, clock)
    guarded = _guarded(calls, settings, circuit, watch)
    freshbooks = FreshBooks(guarded, codecs, settings.upstream_timezone)
    cache = _cache(settings, stores.cache, account, watch.metrics, clock)
    settle_s = settings.idempotency_settle_s
    safety = rest.Safety(
        Creation(freshbooks, stores.records, account, settle_s, watch.metrics, watch.log, clock),
        Idempotency(stores.records, account, watch.metrics, watch.log, clock),
        RecordLeases(stores.coordination, account),
    )
    rates = Rates(stores.coordination, account, settings.gateway_rate_per_minute, clock)
    return Policies(circuit, freshbooks, cache, safety, rates)


def _guarded(calls: Remote, settings: Settings, circuit: SharedCircuit, watch: Watch) -> Remote:
    """A remote procedure call and everything around it, from the outside in: retry, circuit, bulkhead, measuring."""
    in_flight_max, metrics = settings.upstream_in_flight_max, watch.metrics
    refused = metrics.overload_refusals.labels("upstream")
    bulkhead = Bulkhead(in_flight_max, BULKHEAD_WAIT_S, refused, metrics.upstream_waiting)
    metrics.upstream_limit.set(in_flight_max)
    measured = remote.measured(calls, metrics, watch.log, watch.spans)
    return retry.retrying(circuit.around(bulkhead.around(measured)), retry.Budget(), metrics)


def _transport(settings: Settings) -> HttpTransport:
    return HttpTransport(
        settings.upstream_url,
        answer_bytes_max=ANSWER_BYTES_MAX,
        idle_connections_max=settings.upstream_in_flight_max,
        ca_file=settings.upstream_ca_file,
    )


def _cache(settings: Settings, store: Store, account: bytes, metrics: Metrics, clock: Callable[[], float]) -> Cache:
    """A stamp outlasts every copy that could depend on it, and every write that could be under way."""
    ttl_s, stale_s, settle_s = settings.cache_ttl_s, settings.cache_stale_s, settings.idempotency_settle_s
    longest_s = 2 * (ttl_s + stale_s + settle_s + settings.upstream_deadline_s) + 60
    stamps = Stamps(store, account, longest_s, settle_s, clock)
    return Cache(store, account, stamps, metrics, ttl_s=ttl_s, stale_s=stale_s)


def _stores(settings: Settings, log: Log) -> Stores:
    """Leases lie where nothing is evicted: what expires first goes first, and a lost lease lets two writers in."""
    return Stores(
        _open(settings, "coordination", log, durable=False, evict=False),
        _open(settings, "records", log, durable=True, evict=False),
        _open(settings, "cache", log, durable=False, evict=True),
    )


def _measured(stores: Stores, metrics: Metrics) -> Stores:
    """The stores as the policies see them."""
    return Stores(**{name: MeasuredStore(store, name, metrics) for name, store in stores.by_name().items()})


def _snapshot(stores: Stores) -> TakeSnapshot | None:
    """How the cache is seen at once, without a wait; None: it is too far away for that."""
    return stores.cache.snapshot if isinstance(stores.cache, EmbeddedStore) else None


def _looked_up(version: str, stores: Stores, circuit: Callable[[], str], drains: Callable[[], bool]) -> LookedUp:
    return LookedUp(version, circuit, {name: store.status for name, store in stores.by_name().items()}, drains)


def _open(settings: Settings, name: str, log: Log, *, durable: bool, evict: bool) -> Store:
    def report(damage: str) -> None:
        log.error("store_damaged", store=name, damage=damage)

    url = settings.store_url.reveal()
    return open_store(url, name, settings.store_bytes_max, durable=durable, evict=evict, on_damage=report)


def _application(
    settings: Settings,
    stores: Stores,
    policies: Policies,
    watch: Watch,
    recorder: rest.Recorder,
    clock: Callable[[], float],
    drains: Callable[[], bool],
) -> Flask:
    circuit, metrics, documents = policies.circuit, watch.metrics, _documents()
    version = json.loads(documents.json)["info"]["version"]
    metrics.look_up(_looked_up(version, stores, lambda: breaker.phase(circuit.state(), clock()), drains))
    return rest.build(
        settings,
        policies.freshbooks,
        policies.cache,
        policies.safety,
        policies.rates,
        Readiness(stores.by_name(), circuit, drains, clock),
        RESOURCES,
        metrics,
        watch.log,
        documents,
        recorder,
    )


def account_of(settings: Settings) -> bytes:
    """The upstream account's name in the store."""
    return hashlib.blake2b(settings.upstream_url.encode(), digest_size=8).hexdigest().encode()


def _documents() -> rest.Documents:
    """The committed OpenAPI document, which stands beside this file."""
    here = Path(__file__).parent
    return rest.Documents(yaml=(here / "openapi.yaml").read_bytes(), json=(here / "openapi.json").read_bytes())
