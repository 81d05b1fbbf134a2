"""docs/metrics.md names every metric there is."""

from __future__ import annotations

import re
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import Caller
from tools.metrics import PAGE, page


def test_the_page_is_what_the_definitions_say() -> None:
    """`make openapi` was run after the last change."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_a_scrape_tells_of_nothing_else(make_gateway: Callable[..., Caller]) -> None:
    """By name, kind and labels. Times of creation are told by a single process only, never by workers."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {name.removesuffix("_total"): (kind, set(re.findall(r"\w+", labels))) for name, kind, labels in rows}
    caller = make_gateway()
    caller.post("/clients", json={"email": "a@b.example"}, headers={"Idempotency-Key": "one"})
    caller.get("/clients/13")
    caller.get("/clients/13")
    scrape = text_string_to_metric_families(caller.get("/metrics").get_data(as_text=True))
    families = [family for family in scrape if not family.name.endswith("_created")]
    told = {
        family.name: (family.type, {label for one in family.samples for label in one.labels} - {"le"})
        for family in families
        if family.samples
    }
    assert {name: documented.get(name) for name in told} == told
    assert {family.name for family in families} == set(documented)
