"""Hits of the short cut are never older than an answered write, whichever worker gives them."""

from __future__ import annotations

from contextlib import ExitStack, closing

from simulator.server import Simulator
from tests.edge.twins import settings
from tests.operations.watching import scrape, until
from tests.support.server import GatewayProcess
from tools.history.doors import HttpDoor

DOORS_TOTAL = 12
WRITES_TOTAL = 40
ACCESS_LOG = "--access-logfile - --access-logformat served:%(m)s:%(U)s"


def test_who_reads_after_a_write_sees_it_on_any_worker(simulator: Simulator) -> None:
    """Record and list, asked as the long run of `make proof` asks: its reads never see the framework, so that what it
    proves is proved of the short cut."""
    env = settings(simulator, GATEWAY_WORKERS="4", LOG_HITS_SHARE="0", GUNICORN_CMD_ARGS=ACCESS_LOG)
    hits_total = 0
    with GatewayProcess(env) as gateway, ExitStack() as stack:
        doors = [stack.enter_context(closing(HttpDoor(gateway.host, gateway.port))) for _ in range(DOORS_TOTAL)]
        for number in range(WRITES_TOTAL):
            writer = doors[number % DOORS_TOTAL]
            assert writer.ask("PATCH", "/clients/13", {}, {"notes": str(number)}).status == 200
            for door in doors:
                record = door.ask("GET", "/clients/13", {})
                assert record.body["notes"] == str(number)
                tag = record.headers["etag"]
                assert door.ask("GET", "/clients/13", {"If-None-Match": tag}).status == 304
                listed = door.ask("GET", "/clients?per_page=100", {})
                assert [one["notes"] for one in listed.body["items"] if one["id"] == 13] == [str(number)]
                hits_total += "; hit" in record.headers["cache-status"]
        until(lambda: gateway.output().count("served:PATCH:/clients/13") == WRITES_TOTAL, gateway)
        assert "served:GET:/clients" not in gateway.output()
        assert scrape(gateway)["gateway_cache_events_total"][("hit",)] > hits_total > DOORS_TOTAL * WRITES_TOTAL / 2
