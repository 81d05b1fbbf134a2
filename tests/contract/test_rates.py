"""What a caller may ask in a minute."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.errors import RateExceeded
from gateway.policy.rates import Rates
from gateway.secret import Secret
from gateway.settings import Settings
from gateway.store.open import open_store
from gateway.telemetry import open_log
from simulator.server import Simulator
from tests.contract.expectations import methods_called, problem
from tests.support.gateway import Caller, open_app

JANE, BOB = Secret("jane"), Secret("bob")


class Clock:
    """Stands still unless it is moved; it begins 20 seconds into a minute."""

    def __init__(self) -> None:
        self.now_s = 1_200_020.0

    def __call__(self) -> float:
        return self.now_s


def rates(folder: Path, clock: Clock, per_minute: int = 2) -> Rates:
    store = open_store(str(folder), "coordination", 2**20, durable=False, evict=False)
    return Rates(store, b"account", per_minute, clock)


def test_a_minute_that_is_used_up_is_429(simulator: Simulator, tmp_path: Path) -> None:
    """With the seconds until the next one; nothing is sent upstream, and a write says that it was not applied."""
    env = {"UPSTREAM_URL": simulator.url, "UPSTREAM_TOKEN": "demo-admin", "GATEWAY_AUTH": "open"}
    settings = Settings.from_env({**env, "GATEWAY_RATE_PER_MINUTE": "1", "STORE_URL": str(tmp_path)})
    stream = io.BytesIO()
    caller = Caller(open_app(settings, open_log("info", stream), clock=Clock()).test_client(), stream)
    assert caller.get("/clients/13").status_code == 200
    simulator.ledger.clear()
    response = caller.post("/clients", json={"email": "a@b.example"})
    body = problem(response, 429, "rate_exceeded")
    assert (body["outcome"], body["retryable"]) == ("not_applied", True)
    assert response.headers["Retry-After"] == "40"
    assert methods_called(simulator) == []
    assert caller.get("/livez").status_code == 200


def test_who_may_not_call_uses_up_nobodys_minute(make_gateway: Callable[..., Caller]) -> None:
    """Wrong keys are 401 for ever, never 429."""
    digest = hashlib.sha256(b"right").hexdigest()
    caller = make_gateway(gateway_auth="keys", gateway_api_keys=digest, gateway_rate_per_minute=1)
    for _ in range(5):
        problem(caller.get("/clients/13", headers={"Authorization": "Bearer wrong"}), 401, "unauthenticated")


def test_the_next_minute_begins_anew(tmp_path: Path) -> None:
    """As `Retry-After` says."""
    clock = Clock()
    counted = rates(tmp_path, clock)
    for _ in range(2):
        counted.count(JANE)
    with pytest.raises(RateExceeded) as raised:
        counted.count(JANE)
    assert raised.value.retry_after_s == 40
    clock.now_s += 40
    counted.count(JANE)


def test_each_caller_has_a_minute_of_its_own(tmp_path: Path) -> None:
    """What one uses up is not missing to the other."""
    counted = rates(tmp_path, Clock(), per_minute=1)
    counted.count(JANE)
    counted.count(BOB)
    for caller in (JANE, BOB):
        with pytest.raises(RateExceeded):
            counted.count(caller)


def test_no_limit_counts_nothing(tmp_path: Path) -> None:
    """0 is the default."""
    counted = rates(tmp_path, Clock(), per_minute=0)
    for _ in range(100):
        counted.count(JANE)


def test_without_a_store_everybody_is_let_in(tmp_path: Path) -> None:
    """The limit protects; it promises nothing."""
    (tmp_path / "coordination").write_text("in the way")
    counted = rates(tmp_path, Clock(), per_minute=1)
    for _ in range(3):
        counted.count(JANE)
