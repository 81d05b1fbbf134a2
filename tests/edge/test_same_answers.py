"""Whoever serves the connection, the answer is the same: header for header, byte for byte, and so is what it leaves
behind in metrics and log."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator
from typing import Any

import pytest

from simulator.server import Simulator
from tests.edge.corpus import Request, requests
from tests.edge.replies import Reply
from tests.edge.twins import Pair, Twins, logged, settings, twins
from tests.operations.watching import Samples, scrape, until

CORS = {"GATEWAY_CORS_ORIGINS": "https://app.example"}
SETUPS = {
    "open, hits logged": ("open", {"LOG_HITS_SHARE": "1", **CORS}),
    "keys, hits not logged": ("keys", {"LOG_HITS_SHARE": "0"}),
    "passthrough": ("passthrough", {"LOG_HITS_SHARE": "0", **CORS}),
    "keys, nothing cached": ("keys", {"CACHE_TTL_S": "0"}),
    "keys, requests are counted": ("keys", {"GATEWAY_RATE_PER_MINUTE": "100000"}),
}
FAULTS = ("html_page", "unauthorized", "maintenance")
REFUSED = ("-", "other", "unmatched")


class Run:
    """What two gateways made of the same requests. `samples` and `logs` are of the stock one and of the edge."""

    def __init__(self, pair: Twins, found: list[Pair]) -> None:
        self.found = found
        self.refused = collections.Counter(reply.status for one in found for reply in one.stock if _is_refused(reply))
        named = b"".join(one.request.data for one in found) + b"last"
        self.samples = [scrape(pair.stock), scrape(pair.edge)]
        wanted = len(logged(pair.stock, named)) + self.refused.total()
        until(lambda: len(logged(pair.edge, named)) >= wanted, pair.edge)
        self.logs = [logged(pair.stock, named), logged(pair.edge, named)]


@pytest.fixture(scope="module", params=SETUPS)
def run(request: pytest.FixtureRequest, shared_simulator: Simulator) -> Iterator[Run]:
    """The corpus, twice, so that what can be in the cache is; then what goes wrong upstream."""
    shared_simulator.reset()
    mode, more = SETUPS[request.param]
    asked = requests(mode, seed=20, total=200 if "LOG_HITS_SHARE" in more else 80)
    with twins(settings(shared_simulator, mode, **more)) as pair:
        asked.append(_read("/clients/13", mode, "If-None-Match: *"))
        found = pair.ask(asked) + pair.ask(asked)
        for number, fault in enumerate(FAULTS):
            shared_simulator.faults.add(fault)
            found += pair.ask(
                [_read(f"/clients/{800 + number}", mode), _read(f"/clients?per_page={20 + number}", mode)]
            )
            shared_simulator.faults.clear()
        made = Run(pair, found)
    yield made
    shared_simulator.reset()


def _read(target: str, mode: str, line: str = "Accept: */*") -> Request:
    shown = {"keys": "Bearer key-one", "passthrough": "Basic ZGVtby1hZG1pbjpY", "open": "none"}[mode]
    return Request(
        f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {shown}\r\n{line}\r\n\r\n".encode(), "GET", False
    )


def _is_refused(reply: Reply) -> bool:
    """Whether gunicorn's own page stands there."""
    return reply.status >= 400 and reply.header("Content-Type") == "text/html"


def test_the_answers_are_the_same(run: Run) -> None:
    """Status line, names, order and values of headers, body; and where gunicorn has a page, a problem of its status,
    after which nothing is served."""
    for one in run.found:
        assert len(one.edge) == len(one.stock), one
        for stock, edge in zip(one.stock, one.edge, strict=True):
            if not _is_refused(stock):
                assert edge == stock, one.request
                continue
            assert (edge.status, edge.header("Connection")) == (stock.status, "close"), one.request
            assert edge.header("Content-Type") == "application/problem+json"
            assert json.loads(edge.body)["status"] == stock.status
            assert edge is one.edge[-1]


def test_the_corpus_is_no_one_sided_one(run: Run) -> None:
    """Answers of many kinds, hits among them unless there is no cache, and refusals."""
    replies = [reply for one in run.found for reply in one.edge]
    assert {200, 304, 400, 404, 405, 406, 502, 503} <= {reply.status for reply in replies}
    hits = [reply for reply in replies if "; hit" in (reply.header("Cache-Status") or "")]
    assert len(hits) > 15 or not run.samples[0]["gateway_cache_events_total"][("fill",)]
    assert run.refused.total() > 5


def _requests(samples: dict[str, Samples]) -> Samples:
    return {labels: value for labels, value in samples["gateway_requests_total"].items() if "/metrics" not in labels}


def test_the_counts_are_the_same(run: Run) -> None:
    """Requests by operation, route and status, durations by operation, and what the cache did; refusals are counted
    besides."""
    stock, edge = run.samples
    refusals: Samples = {("other", "unmatched", str(status)): total for status, total in run.refused.items()}
    both = set(_requests(stock)) | set(_requests(edge))
    for labels in both - {labels for labels in both if "/readyz" in labels}:
        expected = _requests(stock).get(labels, 0) + refusals.get(labels, 0)
        assert _requests(edge).get(labels, 0) == expected, labels
    assert edge["gateway_cache_events_total"] == stock["gateway_cache_events_total"]
    seconds = "gateway_request_duration_seconds_count"
    for labels, total in stock[seconds].items():
        if labels != ("other",):
            assert edge[seconds][labels] == total, labels


def _of_answers(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["method"] != "-"]


def test_the_log_tells_the_same(run: Run) -> None:
    """The same lines in the same order, and one more for each refusal; of the hits, the share that is asked for."""
    stock, edge = run.logs
    assert _of_answers(edge) == stock
    refused = [line for line in edge if line["method"] == "-"]
    assert collections.Counter(line["status"] for line in refused) == run.refused
    assert {line["path"] for line in refused} == {""}
