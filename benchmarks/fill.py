"""Puts copies of many records into a gateway's embedded store, through the gateway's own cache.

python fill.py STORE STORE_BYTES_MAX UPSTREAM_URL FIRST LAST RECORD     with the gateway's checkout as PYTHONPATH

RECORD is the JSON of one. It runs in a process of its own and imports nothing of the benchmarks, because the gateway
may be another checkout's. Lifetimes are long enough for the copies to be there when they are asked for.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from app import account_of
from gateway.policy.cache import Cache
from gateway.policy.copies import Content, content_of
from gateway.policy.stamps import Stamps
from gateway.secret import Secret
from gateway.settings import Settings
from gateway.store.open import open_store
from gateway.telemetry import Metrics

TTL_S = 3600.0
SETTLE_S = 60.0


def fill(store_folder: str, bound_bytes: int, upstream_url: str, keys: range, record: dict[str, Any]) -> None:
    """Copies of the record under all `keys`, as the gateway with this upstream and token finds them."""
    settings = Settings.from_env({"UPSTREAM_URL": upstream_url, "UPSTREAM_TOKEN": "bench", "GATEWAY_AUTH": "open"})
    token = settings.upstream_token or Secret("")
    account = account_of(settings)
    store = open_store(store_folder, "cache", bound_bytes, durable=False, evict=True)
    stamps = Stamps(store, account, 4 * TTL_S, SETTLE_S)
    cache = Cache(store, account, stamps, Metrics(multiprocess=False), ttl_s=TTL_S, stale_s=TTL_S)
    for key in keys:
        cache.read_back("client", key, token, _found({**record, "id": key}))
    store.close()


def _found(record: dict[str, Any]) -> Callable[[bool], Content]:
    return lambda _once: content_of(record)


if __name__ == "__main__":
    folder, bound, url, first, last, text = sys.argv[1:]
    fill(folder, int(bound), url, range(int(first), int(last) + 1), json.loads(text))
