"""The simulator's faults, operation by operation: what is told of a write is never more than what was done.

The simulator's ledger knows what was applied; the error must agree with it, or say that it does not know.
"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import AnswerLost, NotSent, UpstreamError, Written
from simulator.server import Simulator
from tests.support.wire import Outbound
from tests.transport.conftest import OpenTransport

CREATE = {"email": "a@example.com"}
FAULTS: dict[str, tuple[dict[str, Any], str, Written]] = {
    "reset_before": ({"fault": "reset_before"}, "AnswerLost", Written.UNKNOWN),
    "commit_then_drop": ({"fault": "commit_then_drop"}, "AnswerLost", Written.UNKNOWN),
    "reset_in_headers": ({"fault": "reset_in_headers"}, "AnswerLost", Written.UNKNOWN),
    "cut_body": ({"fault": "cut_body"}, "AnswerLost", Written.UNKNOWN),
    "cut_body, no length": ({"fault": "cut_body", "declare_length": False}, "AnswerLost", Written.UNKNOWN),
    "html_page": ({"fault": "html_page"}, "GarbledAnswer", Written.UNKNOWN),
    "html_page after the work": ({"fault": "html_page", "commit": True}, "GarbledAnswer", Written.UNKNOWN),
    "redirect": ({"fault": "redirect"}, "GarbledAnswer", Written.NOT_APPLIED),
    "redirect, deactivated": ({"fault": "redirect", "deactivated": True}, "GarbledAnswer", Written.NOT_APPLIED),
    "unauthorized": ({"fault": "unauthorized"}, "CredentialsRejected", Written.NOT_APPLIED),
    "forbidden_api": ({"fault": "forbidden_api"}, "GarbledAnswer", Written.NOT_APPLIED),
    "maintenance": ({"fault": "maintenance"}, "UpstreamUnavailable", Written.NOT_APPLIED),
    "server_error": ({"fault": "server_error"}, "UpstreamFailed", Written.UNKNOWN),
    "server_error after the work": ({"fault": "server_error", "commit": True}, "UpstreamFailed", Written.UNKNOWN),
    "throttle": ({"fault": "throttle"}, "Throttled", Written.NOT_APPLIED),
    "unknown_fault": ({"fault": "unknown_fault"}, "UpstreamFailed", Written.UNKNOWN),
    "unknown_fault after the work": ({"fault": "unknown_fault", "commit": True}, "UpstreamFailed", Written.UNKNOWN),
    "deny_action": ({"fault": "deny_action"}, "ActionRefused", Written.NOT_APPLIED),
    "wrong_namespace": ({"fault": "wrong_namespace"}, "GarbledAnswer", Written.UNKNOWN),
    "wrong_root": ({"fault": "wrong_root"}, "GarbledAnswer", Written.UNKNOWN),
    "not_xml": ({"fault": "not_xml"}, "GarbledAnswer", Written.UNKNOWN),
    "doctype": ({"fault": "doctype"}, "GarbledAnswer", Written.UNKNOWN),
    "huge": ({"fault": "huge", "bytes": 1_000_000}, "GarbledAnswer", Written.UNKNOWN),
    "huge, no length": (
        {"fault": "huge", "bytes": 1_000_000, "declare_length": False},
        "GarbledAnswer",
        Written.UNKNOWN,
    ),
    "gzip": ({"fault": "gzip"}, "GarbledAnswer", Written.UNKNOWN),
    "empty": ({"fault": "empty"}, "GarbledAnswer", Written.UNKNOWN),
}


@pytest.mark.parametrize("fault, error, written", FAULTS.values(), ids=FAULTS.keys())
def test_a_write_that_met_a_fault_says_what_is_known(
    transport_to: OpenTransport, simulator: Simulator, fault: dict[str, Any], error: str, written: Written
) -> None:
    """It is sent once, and `not_applied` is only said of what was not."""
    simulator.faults.add(**fault)
    clients_before = len(simulator.store.dump())
    with pytest.raises(UpstreamError) as raised:
        Outbound(transport_to(simulator.url)).run("create", CREATE)
    assert (type(raised.value).__name__, raised.value.written) == (error, written)
    assert simulator.ledger.wait_idle()
    assert simulator.ledger.summary()["total"] <= 1
    if written is Written.NOT_APPLIED:
        assert len(simulator.store.dump()) == clients_before


@pytest.mark.parametrize("fault, error", [row[:2] for row in FAULTS.values()], ids=FAULTS.keys())
def test_a_read_that_met_a_fault_ends_in_the_same_error(
    transport_to: OpenTransport, simulator: Simulator, fault: dict[str, Any], error: str
) -> None:
    """An action that is refused is no read's; after the fault is over, the same transport reads again."""
    outbound = Outbound(transport_to(simulator.url))
    key = simulator.store.dump()[0]["client_id"]
    simulator.faults.add(**fault)
    if fault["fault"] != "deny_action":
        with pytest.raises(UpstreamError) as raised:
            outbound.run("get", None, key=key)
        assert type(raised.value).__name__ == error
    simulator.faults.clear()
    assert outbound.run("get", None, key=key)["id"] == key


def test_a_connection_that_ends_after_each_answer_is_no_fault(
    transport_to: OpenTransport, simulator: Simulator
) -> None:
    """The simulator closes it without `Connection: close`, as the service does with idle ones."""
    simulator.faults.add("close_idle")
    outbound = Outbound(transport_to(simulator.url))
    key = simulator.store.dump()[0]["client_id"]
    assert [outbound.run("get", None, key=key)["id"] for _ in range(5)] == [key] * 5
    assert simulator.ledger.summary()["total"] == 5


def test_a_connection_reset_as_it_is_taken_leaves_nothing_done(
    transport_to: OpenTransport, simulator: Simulator
) -> None:
    """Whether the request was out by then is a race; either way the error does not say that it was done."""
    simulator.faults.add("accept_close")
    with pytest.raises((NotSent, AnswerLost)):
        Outbound(transport_to(simulator.url)).run("create", CREATE)
    assert simulator.ledger.summary()["total"] == 0


def test_a_read_on_a_connection_reset_at_its_next_use_is_made_again(
    transport_to: OpenTransport, simulator: Simulator
) -> None:
    """One call in the ledger for each that was asked for: the one that met the reset was never read."""
    simulator.faults.add("close_idle", when="on_next_use", times=1)
    outbound = Outbound(transport_to(simulator.url))
    key = simulator.store.dump()[0]["client_id"]
    assert [outbound.run("get", None, key=key)["id"] for _ in range(2)] == [key, key]
    assert simulator.ledger.summary()["total"] == 2


def test_connections_refused_and_taken_again(transport_to: OpenTransport, simulator: Simulator) -> None:
    """Nothing is sent while nobody listens, not on an old connection either; then all is as before."""
    outbound = Outbound(transport_to(simulator.url))
    outbound.run("create", CREATE)
    simulator.faults.add("refuse")
    with pytest.raises((NotSent, AnswerLost)):
        outbound.run("create", CREATE)
    simulator.faults.clear()
    outbound.run("create", CREATE)
    assert simulator.ledger.summary()["applied_total"] == 2
