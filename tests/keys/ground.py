"""What tests of keys ask a gateway, its upstream and its ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from werkzeug.test import TestResponse

from app import account_of
from gateway.deadline import Deadline
from gateway.policy.idempotency import Idempotency, Reservation, fingerprint
from gateway.secret import Secret
from gateway.telemetry import Metrics, open_log
from simulator.server import Simulator
from tests.support.gateway import Caller
from tests.support.ground import DEADLINE_S, Ground, settings_for

DAY_S = 24 * 3600.0
OWNER_LIFE_S = DEADLINE_S + 3
"""After so long whoever held a key is taken for dead."""


def another(caller: Caller) -> Caller:
    """Another caller of the same gateway, for another thread."""
    return Caller(caller.client.application.test_client(), caller.log_stream, caller.headers)


def with_key(key: str, **headers: str) -> dict[str, str]:
    """Request headers."""
    return {"Idempotency-Key": key, **headers}


def json_of(response: TestResponse) -> Any:
    """The JSON in an answer, whatever its media type."""
    return response.get_json(force=True)


def count(simulator: Simulator, method: str) -> int:
    """How many calls of the upstream's method were received."""
    return len(simulator.ledger.calls(method))


def ids_of(simulator: Simulator, email: str) -> list[int]:
    """The clients with this address that the upstream really has."""
    return [one["client_id"] for one in simulator.store.dump() if one["email"] == email]


def take(
    ground: Ground, simulator: Simulator, method: str, path: str, key: str, body: Mapping[str, Any] | None
) -> Reservation:
    """A key as a worker holds it that took it just now for this request and then died."""
    credential, route = Secret("demo-admin"), f"{method} {path}"
    account = account_of(settings_for(simulator))
    book = Idempotency(ground.stores.records, account, Metrics(multiprocess=False), open_log("error"), ground.clock)
    payload: Sequence[Any] = [body, None, False]
    taken = book.begin(
        book.scope(credential, route, key), fingerprint(credential, route, payload), Deadline.after(DEADLINE_S)
    )
    assert isinstance(taken, Reservation)
    return taken
