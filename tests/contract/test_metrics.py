"""/metrics."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from simulator.server import Simulator
from tests.contract.expectations import ROUTES, assert_uncalled, body_for
from tests.support.gateway import Caller

RECORD = "/clients/{id}"
LABELS = [
    ("client.list", "/clients", "200"),
    ("client.create", "/clients", "201"),
    ("client.get", RECORD, "200"),
    ("client.patch", RECORD, "200"),
    ("client.replace", RECORD, "200"),
    ("client.delete", RECORD, "204"),
]


def samples(caller: Caller, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a name by the values of their labels."""
    text = caller.get("/metrics").get_data(as_text=True)
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_requests_are_counted_by_operation_route_and_status(caller: Caller) -> None:
    """Each operation once."""
    for route in ROUTES:
        caller.request(*route, **body_for(route[0]))
    counted = samples(caller, "gateway_requests_total")
    assert {labels: count for labels, count in counted.items() if labels in LABELS} == dict.fromkeys(LABELS, 1)


def test_upstream_calls_are_counted_by_method_and_outcome(caller: Caller, simulator: Simulator) -> None:
    """Read backs included; their durations too."""
    caller.post("/clients", json={"email": "a@b.example"})
    caller.get("/clients/9")
    simulator.faults.add("html_page", methods=["client.list"])
    caller.get("/clients")
    assert samples(caller, "gateway_upstream_calls_total") == {
        ("client.create", "ok"): 1,
        ("client.get", "ok"): 1,
        ("client.get", "not_found"): 1,
        ("client.list", "garbled"): 1,
    }
    durations = samples(caller, "gateway_upstream_call_duration_seconds_count")
    assert durations == {("client.create",): 1, ("client.get",): 2, ("client.list",): 1}


def test_random_paths_and_methods_add_one_series(caller: Caller) -> None:
    """However many a scanner tries."""
    for number in range(50):
        caller.get(f"/random/{number}")
        caller.get(f"/clients/0{number}")
        caller.get(f"/problems/{number}")
        caller.request("DELETE", "/clients")
        caller.request(f"M{number}", "/clients")
    counted = samples(caller, "gateway_requests_total")
    assert counted == {
        ("other", "unmatched", "404"): 100,
        ("other", "/problems/{slug}", "404"): 50,
        ("other", "unmatched", "405"): 100,
    }


def test_ids_and_filters_are_no_labels(caller: Caller) -> None:
    """One series an operation and status."""
    for key in range(2, 30):
        caller.get(f"/clients/{key}")
        caller.get(f"/clients?email=x{key}@example.com")
    routes = {labels[:2] for labels in samples(caller, "gateway_requests_total")}
    assert routes == {("client.get", RECORD), ("client.list", "/clients")}


def test_unknown_elements_are_counted(caller: Caller, simulator: Simulator) -> None:
    """Drift of the upstream, by resource."""
    simulator.switches.set(extra_elements=["region"])
    for _ in range(2):
        caller.get("/clients/5", headers={"Cache-Control": "no-cache"})
    [(labels, count)] = samples(caller, "gateway_upstream_unknown_elements_total").items()
    assert labels == ("client",)
    assert count >= 2


def test_missing_elements_are_counted(caller: Caller) -> None:
    """A whole record lacks nothing, and the series is there before anything is missing."""
    caller.get("/clients/13", headers={"Cache-Control": "no-cache"})
    assert samples(caller, "gateway_upstream_missing_elements_total") == {("client",): 0}


@pytest.mark.parametrize(
    "accept, expected",
    [
        (None, "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_format_is_the_one_asked_for(
    caller: Caller, simulator: Simulator, accept: str | None, expected: str
) -> None:
    """Prometheus' own two; and never a call to the upstream."""
    headers: dict[str, Any] = {} if accept is None else {"Accept": accept}
    response = caller.get("/metrics", headers=headers)
    assert response.status_code == 200
    assert response.content_type.startswith(expected)
    assert_uncalled(simulator)
