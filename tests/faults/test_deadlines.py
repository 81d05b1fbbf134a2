"""However the upstream takes its time, the deadline decides, and a write says what may have become of it.

How much later than the deadline an answer comes is measured by `make proof`; here only a bound far below what the
upstream would have taken is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from simulator.server import Simulator
from tests.support.gateway import Caller, warm
from tests.support.staged import StagedGateway
from tools.proof.points import METHODS
from tools.proof.stalls import STALLS, Stall, Timed, ask_timed, keys_for, stalled

DEADLINE_S = 1.0
BOUND_S = 15.0


@pytest.fixture
def impatient(tls_simulator: Simulator, authority_file: Path) -> Iterator[StagedGateway]:
    """A gateway whose deadline is a second, with its stores open."""
    env = {
        "UPSTREAM_URL": tls_simulator.url,
        "UPSTREAM_CA_FILE": str(authority_file),
        "UPSTREAM_TOKEN": "demo-admin",
        "UPSTREAM_DEADLINE_S": str(DEADLINE_S),
        "GATEWAY_AUTH": "open",
    }
    gateway = StagedGateway(env)
    warm(gateway.caller)
    yield gateway
    tls_simulator.faults.clear()


@pytest.mark.parametrize("stall", STALLS, ids=lambda stall: stall.name.replace(" ", "_"))
def test_an_upstream_that_takes_its_time(stall: Stall, impatient: StagedGateway, tls_simulator: Simulator) -> None:
    """Every method: 504, long before the upstream would have been done; `not_applied` where nothing got out, else
    `unknown`."""
    keys = keys_for(tls_simulator)

    def ask(method: str) -> Timed:
        return ask_timed(impatient, method, f"{method}@example.com", keys[method])

    with stalled(stall, tls_simulator), ThreadPoolExecutor(len(METHODS)) as callers:
        answers = dict(zip(METHODS, callers.map(ask, METHODS), strict=True))
    wrong = {method: timed.deviations(stall, method) for method, timed in answers.items()}
    assert not any(wrong.values()), wrong
    assert max(timed.duration_s for timed in answers.values()) < BOUND_S


@pytest.mark.parametrize("method", ["create", "update", "delete"])
def test_a_write_in_doubt_is_not_called_harmless_without_reason(
    method: str, impatient: StagedGateway, tls_simulator: Simulator
) -> None:
    """`retryable` only for a delete, which a second time changes nothing more; a create says where to look."""
    blackhole = next(stall for stall in STALLS if stall.name == "blackhole")
    with stalled(blackhole, tls_simulator):
        body = ask_timed(impatient, method, "in-doubt@example.com", keys_for(tls_simulator)[method]).reply.body
    assert body["retryable"] is (method == "delete")
    assert body.get("see") == ("/clients?email=in-doubt%40example.com" if method == "create" else None)


def test_a_create_that_drips_while_lists_are_answered(impatient: StagedGateway, tls_simulator: Simulator) -> None:
    """Time is kept back to look: the client is adopted with its real id, or, should that fail too, the doubt is told.
    It is there once in either case."""
    tls_simulator.faults.add("drip", methods=["client.create"], interval_s=0.2)
    reply = impatient.ask("POST", "/clients", {"email": "drip@example.com"})
    made = [one["client_id"] for one in tls_simulator.store.dump() if one["email"] == "drip@example.com"]
    assert len(made) == 1
    if reply.status == 201:
        assert reply.body["id"] == made[0]
    else:
        assert (reply.status, reply.body["outcome"]) == (504, "unknown")
    assert len(tls_simulator.ledger.calls("client.create")) == 1


def test_a_blackholed_create_while_lists_are_answered(impatient: StagedGateway, tls_simulator: Simulator) -> None:
    """None is found, which proves nothing yet: 504, unknown, and where to look. It is not sent again."""
    tls_simulator.faults.add("blackhole", methods=["client.create"])
    reply = impatient.ask("POST", "/clients", {"email": "hole@example.com"})
    assert (reply.status, reply.body["outcome"]) == (504, "unknown")
    assert reply.body["see"] == "/clients?email=hole%40example.com"
    assert len(tls_simulator.ledger.calls("client.create")) == 1


def test_an_answer_to_the_write_but_not_to_the_read_back(impatient: StagedGateway, tls_simulator: Simulator) -> None:
    """The write is done and told so, with the minimal body, when the deadline passes over reading it back."""
    tls_simulator.faults.add("blackhole", methods=["client.get"])
    reply = impatient.ask("PATCH", "/clients/13", {"first_name": "Joan"})
    assert (reply.status, reply.body) == (200, {"id": 13})


def test_a_caller_may_shorten_the_deadline(make_gateway: Callable[..., Caller], simulator: Simulator) -> None:
    """`Prefer: wait=` decides where it is shorter than the gateway's own deadline."""
    caller = make_gateway(upstream_deadline_s=60)
    simulator.faults.add("blackhole", methods=["client.get"])
    response = caller.get("/clients/13", headers={"Prefer": "wait=1"})
    assert (response.status_code, response.get_json()["code"]) == (504, "deadline_passed")


def test_the_retries_of_a_failing_read_end_with_the_deadline(
    impatient: StagedGateway, tls_simulator: Simulator
) -> None:
    """A reset, then a blackhole: the second attempt gets only what the first one left."""
    tls_simulator.faults.add("reset_before", methods=["client.get"], times=1)
    tls_simulator.faults.add("blackhole", methods=["client.get"])
    timed = ask_timed(impatient, "get", "", 13)
    assert (timed.reply.status, timed.reply.body["code"]) == (504, "deadline_passed")
    assert timed.duration_s < BOUND_S
    assert len(tls_simulator.ledger.calls("client.get")) == 2
