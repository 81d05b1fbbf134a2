"""Two gateways before the same upstream that differ in one thing: who serves their connections."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from simulator.server import Simulator
from tests.edge.corpus import Request
from tests.edge.replies import Reply, all_of, exchange, normal
from tests.support.server import GatewayProcess

STOCK = "--worker-class gthread"
KEYS = ",".join(hashlib.sha256(key).hexdigest() for key in (b"key-one", b"key-two"))
_TIMES = ("time", "trace_id", "duration_ms", "upstream_ms", "account")


def settings(simulator: Simulator, mode: str = "open", **more: str) -> dict[str, str]:
    """The environment of a gateway with one worker."""
    tokens = {} if mode == "passthrough" else {"UPSTREAM_TOKEN": "demo-admin"}
    keys = {"GATEWAY_API_KEYS": KEYS} if mode == "keys" else {}
    common = {
        "UPSTREAM_URL": simulator.url,
        "GATEWAY_AUTH": mode,
        "GATEWAY_WORKERS": "1",
        "GATEWAY_THREADS": "8",
        "CACHE_TTL_S": "600",
    }
    return {**common, **tokens, **keys, **more}


class Pair(NamedTuple):
    """What both answered to one request, without what may differ."""

    request: Request
    stock: list[Reply]
    edge: list[Reply]


class Twins:
    """A gateway on gunicorn's own threaded worker, and one on the edge."""

    def __init__(self, stock: GatewayProcess, edge: GatewayProcess) -> None:
        self.stock = stock
        self.edge = edge

    def ask(self, requests: Iterable[Request]) -> list[Pair]:
        return [Pair(one, _replies(self.stock, one), _replies(self.edge, one)) for one in requests]


@contextmanager
def twins(env: Mapping[str, str]) -> Iterator[Twins]:
    """Both, for as long as the `with` block lasts, each with a store of its own."""
    with ExitStack() as stack:
        stock = stack.enter_context(GatewayProcess({**env, "GUNICORN_CMD_ARGS": STOCK}))
        edge = stack.enter_context(GatewayProcess(env))
        yield Twins(stock, edge)


def _replies(gateway: GatewayProcess, request: Request) -> list[Reply]:
    address = (gateway.host, gateway.port)
    stream = exchange(address, request.data, request.method, at_once=request.at_once)
    return [normal(reply, request.data) for reply in all_of(stream, [request.method])]


def logged(gateway: GatewayProcess, named: bytes) -> list[dict[str, Any]]:
    """The lines about requests, without times and without ids that no caller named."""
    lines = [
        line for line in gateway.log() if line["event"] == "request" and line["path"] not in ("/readyz", "/metrics")
    ]
    for line in lines:
        line["request_id"] = line["request_id"] if line["request_id"].encode() in named else "*"
    return [{name: value for name, value in line.items() if name not in _TIMES} for line in lines]
