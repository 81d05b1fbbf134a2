"""What tests of the cache ask a gateway and its ground."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from werkzeug.test import TestResponse

from app import account_of
from gateway.policy.stamps import Stamps
from simulator.server import Simulator
from tests.support.gateway import Caller
from tests.support.ground import Ground, settings_for

TTL_S, STALE_S, SETTLE_S = 30.0, 300.0, 60.0
"""The defaults of the settings."""


def stamps_of(ground: Ground, simulator: Simulator) -> Stamps:
    """The stamps as a gateway's worker on this ground has them."""
    account = account_of(settings_for(simulator))
    return Stamps(ground.stores.cache, account, 2 * (TTL_S + STALE_S + SETTLE_S), SETTLE_S, ground.clock)


def asked(simulator: Simulator, act: Callable[[], Any]) -> list[str]:
    """The methods of the upstream that were called while something was done."""
    before = max((call.seq for call in simulator.ledger.calls()), default=0)
    act()
    return [str(call.method) for call in simulator.ledger.calls(since=before)]


def body(response: TestResponse) -> Any:
    """The JSON of an answer that must be a success."""
    assert response.status_code < 300, response.get_data(as_text=True)
    return response.get_json()


def events(caller: Caller) -> dict[str, int]:
    """The cache's counters."""
    text = caller.get("/metrics", check=False).get_data(as_text=True)
    found = re.findall(r'^gateway_cache_events_total\{event="(\w+)"\} ([0-9.]+)$', text, re.MULTILINE)
    return {event: int(float(number)) for event, number in found}


_TOKEN = r"[A-Za-z*][A-Za-z0-9:/!#$%&'*+.^_`|~-]*"
_STRING = r'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
_PARAMETER = re.compile(rf"; *([a-z*][a-z0-9_.*-]*)(?:=(-?[0-9]{{1,15}}|{_TOKEN}|{_STRING}|\?[01]))?")


def cache_status(response: TestResponse) -> dict[str, str | int | bool]:
    """The parameters of `Cache-Status`, which must be one item (RFC 8941) named `gateway` that RFC 9211 allows."""
    text = response.headers["Cache-Status"]
    assert text.startswith("gateway"), text
    rest, found = text.removeprefix("gateway"), dict[str, str | int | bool]()
    while rest:
        match = _PARAMETER.match(rest)
        assert match, f"no parameter at {rest!r} of {text!r}"
        value = match[2]
        found[match[1]] = True if value is None else int(value) if re.fullmatch("-?[0-9]+", value) else value
        rest = rest[match.end() :]
    assert set(found) <= {"hit", "fwd", "fwd-status", "ttl", "stored", "collapsed", "key", "detail"}, text
    assert ("hit" in found) != ("fwd" in found), text
    reasons = {"bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"}
    assert found.get("fwd", "miss") in reasons, text
    return found
