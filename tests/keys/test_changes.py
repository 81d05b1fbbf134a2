"""Idempotency-Key on PATCH, PUT and DELETE. Over both stores."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from simulator.server import Simulator
from tests.keys.ground import another, count, json_of, with_key
from tests.support.gateway import Caller, warm
from tests.support.ground import refusal

JANE = "/clients/13"
NEW_CONTACT = {"contacts": [{"email": "new@example.com"}]}
LOST_AFTER_COMMIT: dict[str, Any] = {"fault": "blackhole", "commit": True, "times": 1}
LOST_BEFORE_COMMIT: dict[str, Any] = {"fault": "blackhole", "commit": False, "times": 1}
CHANGES: dict[str, tuple[str, dict[str, Any] | None, str]] = {
    "PATCH": ("PATCH", {"notes": "new"}, "client.update"),
    "PUT": ("PUT", {"email": "jane@example.com", "notes": "new"}, "client.update"),
    "DELETE": ("DELETE", None, "client.delete"),
}
each_change = pytest.mark.parametrize("method,body,rpc", CHANGES.values(), ids=CHANGES)


def change(caller: Caller, method: str, body: dict[str, Any] | None, **headers: str) -> Any:
    options: dict[str, Any] = {} if body is None else {"json": body}
    return caller.request(method, JANE, headers=with_key("k", **headers), **options)


def stored(simulator: Simulator) -> Any:
    return next(one for one in simulator.store.dump() if one["client_id"] == 13)


@each_change
def test_the_same_change_again(
    caller: Caller, simulator: Simulator, method: str, body: dict[str, Any] | None, rpc: str
) -> None:
    """Gets the same answer, also when the record has changed or gone since; nothing is sent."""
    first = change(caller, method, body)
    assert first.status_code in (200, 204)
    simulator.store.edit({"client_id": 13, "notes": "later", "folder": "deleted"})
    calls = simulator.ledger.summary()["total"]
    again = change(caller, method, body)
    assert (again.status_code, again.get_data()) == (first.status_code, first.get_data())
    assert again.headers.get("ETag") == first.headers.get("ETag")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert simulator.ledger.summary()["total"] == calls
    assert stored(simulator)["notes"] == "later"


@each_change
def test_a_change_with_another_precondition(caller: Caller, method: str, body: dict[str, Any] | None, rpc: str) -> None:
    """Is another request."""
    assert change(caller, method, body).status_code in (200, 204)
    refusal(change(caller, method, body, **{"If-Match": "*"}), 422, "key_reused")


def test_a_patch_with_another_body(caller: Caller, simulator: Simulator) -> None:
    """Is refused, and nothing is sent."""
    change(caller, "PATCH", {"notes": "a"})
    refusal(change(caller, "PATCH", {"notes": "b"}), 422, "key_reused")
    assert count(simulator, "client.update") == 1


@each_change
def test_a_change_while_the_first_is_in_flight(
    caller: Caller, simulator: Simulator, method: str, body: dict[str, Any] | None, rpc: str
) -> None:
    """Is told to come back later."""
    simulator.faults.add("gate", gate="g", methods=[rpc])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(change, another(caller), method, body)
        simulator.gates.wait("g")
        early = change(caller, method, body)
        simulator.gates.open("g")
        assert first.result(20).status_code in (200, 204)
    refusal(early, 409, "key_in_flight")
    assert int(early.headers["Retry-After"]) >= 1
    assert change(caller, method, body).headers["Idempotency-Replayed"] == "true"
    assert count(simulator, rpc) == 1


@each_change
@pytest.mark.parametrize("fault", ["throttle", "unauthorized", "deny_action", "refuse"])
def test_a_change_that_failed_without_effect(
    caller: Caller, simulator: Simulator, method: str, body: dict[str, Any] | None, rpc: str, fault: str
) -> None:
    """Leaves the key free."""
    simulator.faults.add(fault)
    assert json_of(change(caller, method, body))["outcome"] == "not_applied"
    simulator.faults.clear()
    done = change(caller, method, body)
    assert done.status_code in (200, 204)
    assert "Idempotency-Replayed" not in done.headers


def test_a_stale_precondition(caller: Caller) -> None:
    """Leaves the key free."""
    refusal(change(caller, "PATCH", {"notes": "a"}, **{"If-Match": '"old"'}), 412, "precondition_failed")
    assert change(caller, "PATCH", {"notes": "b"}).status_code == 200


def test_a_record_that_is_not_there(caller: Caller, simulator: Simulator) -> None:
    """Leaves the key free."""
    simulator.store.delete(13)
    for method, body, _ in CHANGES.values():
        refusal(change(caller, method, body), 404, "not_found")
    simulator.store.edit({"client_id": 13, "folder": "active"})
    assert change(caller, "PATCH", {"notes": "b"}).status_code == 200


@each_change
@pytest.mark.parametrize("fault", [LOST_AFTER_COMMIT, LOST_BEFORE_COMMIT], ids=["applied", "not applied"])
def test_a_change_whose_answer_was_lost(
    make: Callable[..., Caller],
    simulator: Simulator,
    method: str,
    body: dict[str, Any] | None,
    rpc: str,
    fault: dict[str, Any],
) -> None:
    """Is unknown; the same request again brings it to its end, whether it was applied or not, and is then replayed."""
    caller = warm(make(upstream_deadline_s=2))
    simulator.faults.add(**fault, methods=[rpc])
    lost = refusal(change(caller, method, body), 504, "deadline_passed")
    assert (lost["outcome"], lost["retryable"]) == ("unknown", True)
    done = change(caller, method, body)
    assert done.status_code == (204 if method == "DELETE" else 200)
    record = stored(simulator)
    assert record["folder"] == "deleted" if method == "DELETE" else record["notes"] == "new"
    assert change(caller, method, body).headers["Idempotency-Replayed"] == "true"


def test_a_lost_patch_that_would_add_a_contact_twice(make: Callable[..., Caller], simulator: Simulator) -> None:
    """Is not repeated, however often it comes: the answer says that nobody knows, and where to look."""
    caller = warm(make(upstream_deadline_s=2))
    simulator.switches.set(contacts_on_update="merge")
    contacts = len(stored(simulator)["contacts"])
    simulator.faults.add(**LOST_AFTER_COMMIT, methods=["client.update"])
    refusal(change(caller, "PATCH", NEW_CONTACT), 504, "deadline_passed")
    for _ in range(2):
        body = refusal(change(caller, "PATCH", NEW_CONTACT), 504, "write_in_doubt")
        assert (body["outcome"], body["see"]) == ("unknown", JANE)
    assert count(simulator, "client.update") == 1
    assert len(stored(simulator)["contacts"]) == contacts + 1


@pytest.mark.parametrize("fault", [LOST_AFTER_COMMIT, LOST_BEFORE_COMMIT], ids=["applied", "not applied"])
def test_a_lost_patch_with_a_precondition(
    make: Callable[..., Caller], simulator: Simulator, fault: dict[str, Any]
) -> None:
    """Is done when its precondition still holds, and in doubt when it does not: it may be what changed the record."""
    caller = warm(make(upstream_deadline_s=2))
    tag = {"If-Match": caller.get(JANE).headers["ETag"]}
    simulator.faults.add(**fault, methods=["client.update"])
    refusal(change(caller, "PATCH", {"notes": "new"}, **tag), 504, "deadline_passed")
    if fault is LOST_BEFORE_COMMIT:
        assert change(caller, "PATCH", {"notes": "new"}, **tag).status_code == 200
        return
    body = refusal(change(caller, "PATCH", {"notes": "new"}, **tag), 504, "write_in_doubt")
    assert (body["outcome"], body["see"]) == ("unknown", JANE)
    assert count(simulator, "client.update") == 1


def test_a_lost_deletion_with_a_precondition(make: Callable[..., Caller], simulator: Simulator) -> None:
    """Is done when the record is gone."""
    caller = warm(make(upstream_deadline_s=2))
    tag = {"If-Match": caller.get(JANE).headers["ETag"]}
    simulator.faults.add(**LOST_AFTER_COMMIT, methods=["client.delete"])
    refusal(change(caller, "DELETE", None, **tag), 504, "deadline_passed")
    assert change(caller, "DELETE", None, **tag).status_code == 204


def test_a_repetition_of_a_lost_change_that_fails_without_effect(
    make: Callable[..., Caller], simulator: Simulator
) -> None:
    """Says unknown: it did nothing, and what the first one did is still open. The key stays taken."""
    caller = warm(make(upstream_deadline_s=2))
    simulator.faults.add(**LOST_AFTER_COMMIT, methods=["client.update"])
    refusal(change(caller, "PATCH", {"notes": "new"}), 504, "deadline_passed")
    simulator.faults.add("throttle")
    assert refusal(change(caller, "PATCH", {"notes": "new"}), 503, "upstream_throttled")["outcome"] == "unknown"
    refusal(change(caller, "PATCH", {"notes": "other"}), 422, "key_reused")
    simulator.faults.clear()
    assert change(caller, "PATCH", {"notes": "new"}).status_code == 200
