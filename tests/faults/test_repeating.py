"""What is sent again on the real wire, by method and by what went wrong, counted by the upstream's ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.deadline import Deadline
from gateway.errors import UpstreamFailed
from gateway.secret import Secret
from gateway.telemetry import Metrics
from gateway.upstream import remote, retry
from gateway.upstream.protocol import envelope
from gateway.upstream.transport import Call, HttpTransport, Repeat
from simulator.server import Simulator
from tests.contract.expectations import methods_called, problem
from tests.support.gateway import Caller
from tests.support.staged import StagedGateway

PASSING: tuple[dict[str, Any], ...] = (
    {"fault": "server_error", "status": 500},
    {"fault": "server_error", "status": 502},
    {"fault": "maintenance"},
    {"fault": "unknown_fault", "code": 99999},
    {"fault": "unknown_fault", "code": None},
    {"fault": "reset_before"},
)
LEFT_ALONE: tuple[tuple[dict[str, Any], int], ...] = (
    ({"fault": "html_page"}, 502),
    ({"fault": "redirect"}, 502),
    ({"fault": "wrong_namespace"}, 502),
    ({"fault": "not_xml"}, 502),
    ({"fault": "throttle"}, 503),
    ({"fault": "unauthorized"}, 502),
    ({"fault": "forbidden_api"}, 502),
    ({"fault": "unknown_fault", "code": 40060, "text": "'type' is wrong."}, 422),
    ({"fault": "unknown_fault", "code": 50020, "text": "Not now."}, 409),
)
READS = (("client.get", "/clients/13"), ("client.list", "/clients"))


def name_of(fault: dict[str, Any]) -> str:
    return "-".join(str(value) for value in fault.values())


@pytest.mark.parametrize("method, path", READS, ids=["get", "list"])
@pytest.mark.parametrize("fault", PASSING, ids=name_of)
def test_a_read_that_meets_what_may_pass(
    fault: dict[str, Any], method: str, path: str, caller: Caller, simulator: Simulator
) -> None:
    """It is made again, and the caller notices nothing."""
    simulator.faults.add(**fault, methods=[method], times=1)
    assert caller.get(path).status_code == 200
    assert methods_called(simulator) == [method] * 2


@pytest.mark.parametrize("method, path", READS, ids=["get", "list"])
@pytest.mark.parametrize("fault, status", LEFT_ALONE, ids=[name_of(fault) for fault, _ in LEFT_ALONE])
def test_a_read_that_meets_what_stays(
    fault: dict[str, Any], status: int, method: str, path: str, caller: Caller, simulator: Simulator
) -> None:
    """Asking again would only be told the same, or make it worse: one call."""
    simulator.faults.add(**fault, methods=[method])
    assert caller.get(path).status_code == status
    assert methods_called(simulator) == [method]


def test_a_read_of_what_is_not_there(caller: Caller, simulator: Simulator) -> None:
    """One call: it would not be there the next time either."""
    problem(caller.get("/clients/999999"), 404, "not_found")
    assert methods_called(simulator) == ["client.get"]


@pytest.mark.parametrize("fault", PASSING, ids=name_of)
def test_a_delete_that_meets_what_may_pass(fault: dict[str, Any], caller: Caller, simulator: Simulator) -> None:
    """A second time it deletes nothing more."""
    simulator.faults.add(**fault, methods=["client.delete"], times=1)
    assert caller.delete("/clients/13").status_code == 204
    assert methods_called(simulator) == ["client.delete"] * 2


def test_a_delete_whose_own_earlier_attempt_did_it(caller: Caller, simulator: Simulator) -> None:
    """The upstream broke after the work, so the second attempt finds no such client: that is success."""
    simulator.faults.add("server_error", methods=["client.delete"], times=1, commit=True)
    assert caller.delete("/clients/13").status_code == 204
    assert [entry.applied for entry in simulator.ledger.calls("client.delete")] == [True, False]


def test_a_delete_of_what_is_not_there(caller: Caller, simulator: Simulator) -> None:
    """At the first attempt it is a 404, and it stays one after an attempt that cannot have done anything."""
    simulator.store.delete(13)
    assert problem(caller.delete("/clients/13"), 404, "not_found")["outcome"] == "not_applied"
    assert methods_called(simulator) == ["client.delete"]
    simulator.faults.add("maintenance", methods=["client.delete"], times=1)
    assert problem(caller.delete("/clients/13"), 404, "not_found")["outcome"] == "not_applied"


@pytest.mark.parametrize("fault", [{"fault": "maintenance"}, {"fault": "throttle"}], ids=name_of)
def test_a_create_that_the_upstream_did_not_take_on(
    fault: dict[str, Any], caller: Caller, simulator: Simulator
) -> None:
    """It is not applied, and not made again either: nobody can swear that every 503 comes before the work."""
    simulator.faults.add(**fault, methods=["client.create"], times=1)
    response = caller.post("/clients", json={"email": "new@example.com"})
    assert response.status_code == 503
    assert response.get_json()["outcome"] == "not_applied"
    assert methods_called(simulator) == ["client.create"]


@pytest.mark.parametrize("commit", [False, True])
@pytest.mark.parametrize("fault", ["server_error", "html_page", "unknown_fault"])
def test_a_create_that_may_have_been_applied(fault: str, commit: bool, caller: Caller, simulator: Simulator) -> None:
    """It is never made again. It is looked for, and found if it was applied."""
    simulator.faults.add(fault, methods=["client.create"], times=1, commit=commit)
    response = caller.post("/clients", json={"email": "new@example.com"})
    assert len(simulator.ledger.calls("client.create")) == 1
    made = [one["client_id"] for one in simulator.store.dump() if one["email"] == "new@example.com"]
    assert len(made) == commit
    if commit:
        assert (response.status_code, response.get_json()["id"]) == (201, made[0])
    else:
        assert problem(response, 504, "write_in_doubt")["outcome"] == "unknown"


KEPT_CONTACT = {"id": 15, "email": "johnmcnicol@freshbooks.com", "username": "alex"}
PATCHES: tuple[tuple[dict[str, Any], int], ...] = (
    ({"first_name": "Joan"}, 2),
    ({"primary_address": {"city": None}}, 2),
    ({"contacts": []}, 2),
    ({"contacts": [KEPT_CONTACT]}, 2),
    ({"contacts": [KEPT_CONTACT, {"email": "added@example.com"}]}, 1),
)


@pytest.mark.parametrize("patch, calls", PATCHES, ids=["plain", "address", "emptied", "kept", "added"])
def test_a_change_whose_answer_was_lost(
    patch: dict[str, Any], calls: int, caller: Caller, simulator: Simulator
) -> None:
    """Plain values are sent again. A contact without an id would be added a second time, so it is not."""
    simulator.faults.add("commit_then_drop", methods=["client.update"], times=1)
    response = caller.patch("/clients/13", json=patch)
    assert len(simulator.ledger.calls("client.update")) == calls
    if calls == 1:
        assert problem(response, 502, "upstream_answer_lost")["outcome"] == "unknown"
        stored = next(one for one in simulator.store.dump() if one["client_id"] == 13)
        assert [one["email"] for one in stored["contacts"]].count("added@example.com") == 1
    else:
        assert response.status_code == 200


def test_a_change_that_cannot_have_been_sent(simulator: Simulator) -> None:
    """Even one that adds a contact is sent again."""
    staged = StagedGateway({"UPSTREAM_URL": simulator.url, "UPSTREAM_TOKEN": "demo-admin", "GATEWAY_AUTH": "open"})
    simulator.faults.add("refuse")
    with staged.after_first_failure(simulator.faults.clear):
        reply = staged.ask("PATCH", "/clients/13", {"contacts": [KEPT_CONTACT, {"email": "added@example.com"}]})
    assert (reply.status, len(reply.body["contacts"])) == (200, 2)


def test_a_change_without_a_lease(make_gateway: Callable[..., Caller], simulator: Simulator) -> None:
    """With the store away nobody else is kept out, so what may have been applied is not sent again: another change
    could have come between."""
    caller = make_gateway(store_url="redis://127.0.0.1:1")
    assert caller.patch("/clients/13", json={"first_name": "Jo"}).status_code == 200
    simulator.ledger.clear()
    simulator.faults.add("commit_then_drop", methods=["client.update"], times=1)
    response = caller.patch("/clients/13", json={"first_name": "Joan"})
    assert problem(response, 502, "upstream_answer_lost")["outcome"] == "unknown"
    assert methods_called(simulator) == ["client.update"]


def test_a_wish_to_be_left_alone_for_longer_than_there_is_time(
    make_gateway: Callable[..., Caller], simulator: Simulator
) -> None:
    """`Retry-After: 30` with a deadline of ten seconds: told at once, and handed on."""
    simulator.faults.add("maintenance", methods=["client.get"], retry_after="30")
    response = make_gateway(upstream_deadline_s=10).get("/clients/13")
    problem(response, 503, "upstream_unavailable")
    assert response.headers["Retry-After"] == "30"
    assert methods_called(simulator) == ["client.get"]


def test_the_calls_of_a_lasting_outage_are_counted_by_the_upstream(simulator: Simulator) -> None:
    """Over the real wire: at most 1.1 times as many as callers' requests, and the reserve."""
    transport = HttpTransport(simulator.url, answer_bytes_max=2**20, idle_connections_max=4)
    pauses_s: list[float] = []
    asked = retry.retrying(remote.over(transport), retry.Budget(), Metrics(multiprocess=False), pauses_s.append)
    simulator.faults.add("server_error")
    try:
        for _ in range(200):
            body = envelope("client.get", "<client_id>13</client_id>")
            call = Call("client.get", body, Secret("demo-admin"), Deadline.after(60), Repeat.READ)
            with pytest.raises(UpstreamFailed):
                asked(call)
    finally:
        transport.close()
    calls = simulator.ledger.summary()["total"]
    assert calls == 200 + len(pauses_s)
    assert 200 + 3 <= calls <= 1.1 * 200 + 3


def test_a_connection_that_breaks_as_it_is_accepted(caller: Caller, simulator: Simulator) -> None:
    """Without TLS nobody can tell whether the request was out when the connection broke. Either way the create is
    there at most once, and never told to be what it is not."""
    simulator.faults.add("accept_close", times=1)
    response = caller.post("/clients", json={"email": "new@example.com"})
    made = sum(one["email"] == "new@example.com" for one in simulator.store.dump())
    told: Sequence[tuple[int, int]] = [(201, 1), (504, 0)]
    assert (response.status_code, made) in told


def test_the_number_of_repetitions_is_a_metric(caller: Caller, simulator: Simulator) -> None:
    """By method, so that an operator sees what is repeated."""
    simulator.faults.add("server_error", methods=["client.get"], times=1)
    assert caller.get("/clients/13").status_code == 200
    text = caller.get("/metrics").get_data(as_text=True)
    assert 'gateway_upstream_retries_total{method="client.get"} 1.0' in text
