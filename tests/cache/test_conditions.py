"""Conditional writes: compared, written and read back by one writer at a time."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from simulator.server import Simulator
from tests.cache.ground import asked, body, cache_status
from tests.support.gateway import Caller, start_gateway
from tests.support.ground import ON_BOTH_STORES, FolderGround, Ground, ahead, gateway_on, refusal
from tests.support.redis_server import RedisServer
from tests.support.server import GatewayProcess
from tests.support.watched_store import SAFETY_S

RECORD = "/clients/13"
ENVIRONMENT = {"UPSTREAM_TOKEN": "demo-admin", "GATEWAY_AUTH": "open"}
CHANGES: dict[str, dict[str, Any]] = {
    "PATCH": {"json": {"notes": "mine"}},
    "PUT": {"json": {"email": "mine@example.com"}},
    "DELETE": {},
}
every_change = pytest.mark.parametrize("method", CHANGES)


def change(caller: Caller, method: str, condition: dict[str, str], **more: str) -> Any:
    return caller.request(method, RECORD, headers=condition | more, **CHANGES[method])


def tag_of(caller: Caller) -> str:
    """The record's tag as the upstream has it now."""
    tag: str = caller.get(RECORD, headers={"Cache-Control": "no-cache"}).headers["ETag"]
    return tag


def written(simulator: Simulator) -> list[str]:
    """The writes that reached the upstream."""
    return [str(call.method) for call in simulator.ledger.calls() if call.method not in ("client.get", "client.list")]


@ON_BOTH_STORES
@every_change
def test_a_change_of_what_the_caller_knows_is_made(caller: Caller, method: str) -> None:
    """The tag may stand among others; `*` is any."""
    tag = tag_of(caller)
    response = change(caller, method, {"If-Match": f'"other", {tag}'})
    assert response.status_code == (204 if method == "DELETE" else 200)
    if method != "DELETE":
        assert response.headers["ETag"] == tag_of(caller) != tag
        assert change(caller, method, {"If-Match": "*"}).status_code == 200


@ON_BOTH_STORES
@every_change
@pytest.mark.parametrize("form", ["old", "weak", "other", "empty"])
def test_a_change_of_something_else_is_refused(simulator: Simulator, caller: Caller, method: str, form: str) -> None:
    """412 with the current tag, nothing sent; a weak tag never matches."""
    old = tag_of(caller)
    caller.patch(RECORD, json={"notes": "somebody else's"})
    current = tag_of(caller)
    given = {"old": old, "weak": f"W/{current}", "other": '"other"', "empty": '""'}[form]
    simulator.ledger.clear()
    response = change(caller, method, {"If-Match": given})
    problem = refusal(response, 412, "precondition_failed")
    assert (problem["outcome"], problem["retryable"]) == ("not_applied", False)
    assert response.headers["ETag"] == current
    assert written(simulator) == []


def test_the_comparison_is_with_what_the_upstream_has_not_with_a_copy(simulator: Simulator, caller: Caller) -> None:
    """An edit past the gateway that no reader has seen yet is found, and the reader's own tag is refused."""
    tag = caller.get(RECORD).headers["ETag"]
    simulator.store.edit({"client_id": 13, "notes": "edited"})
    assert caller.get(RECORD).headers["ETag"] == tag
    response = change(caller, "PATCH", {"If-Match": tag})
    refusal(response, 412, "precondition_failed")
    assert response.headers["ETag"] == tag_of(caller)


@every_change
def test_where_the_settings_require_it_a_change_needs_a_tag(
    simulator: Simulator, make: Callable[..., Caller], method: str
) -> None:
    """428 without; a create needs none."""
    caller = make(gateway_require_if_match="true")
    assert asked(simulator, lambda: refusal(change(caller, method, {}), 428, "precondition_required")) == []
    assert body(caller.post("/clients", json={"email": "new@example.com"}))["id"]
    assert change(caller, method, {"If-Match": tag_of(caller)}).status_code in (200, 204)


@every_change
def test_a_change_of_nothing_at_all_is_refused(simulator: Simulator, caller: Caller, method: str) -> None:
    """`If-None-Match: *` says that there must be no such record: 412 with its tag, and 404 when there is none."""
    current = tag_of(caller)
    response = change(caller, method, {"If-None-Match": "*"})
    refusal(response, 412, "precondition_failed")
    assert response.headers["ETag"] == current
    assert written(simulator) == []
    missing = caller.put("/clients/4711", json={"email": "a@example.com"}, headers={"If-None-Match": "*"})
    refusal(missing, 404, "not_found")


@every_change
def test_a_change_unless_it_is_a_known_form(caller: Caller, method: str) -> None:
    """`If-None-Match` with a tag: refused for the current one, weak or not."""
    current = tag_of(caller)
    for tag in (current, f"W/{current}"):
        refusal(change(caller, method, {"If-None-Match": tag}), 412, "precondition_failed")
    assert change(caller, method, {"If-None-Match": '"other"'}).status_code in (200, 204)


@every_change
def test_of_what_is_not_there_nothing_matches(caller: Caller, method: str) -> None:
    """404, whatever the tag."""
    tag = tag_of(caller)
    caller.delete(RECORD)
    for given in (tag, "*"):
        refusal(change(caller, method, {"If-Match": given}), 404, "not_found")


@every_change
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_a_condition_that_cannot_be_read_is_refused(
    simulator: Simulator, caller: Caller, method: str, header: str
) -> None:
    """400, naming the header."""
    problem: dict[str, Any] = {}
    given = {header: "33a64df5"}
    calls = asked(simulator, lambda: problem.update(refusal(change(caller, method, given), 400, "invalid_header")))
    assert calls == []
    assert problem["errors"][0]["header"] == header


def test_an_empty_patch_is_compared_too(caller: Caller) -> None:
    """It changes nothing, and is refused all the same."""
    refusal(caller.patch(RECORD, json={}, headers={"If-Match": '"other"'}), 412, "precondition_failed")
    tag = tag_of(caller)
    assert caller.patch(RECORD, json={}, headers={"If-Match": tag}).headers["ETag"] == tag


@ON_BOTH_STORES
@pytest.mark.parametrize("second", ["conditional", "unconditional"])
@pytest.mark.parametrize("first", ["conditional", "unconditional"])
def test_writers_of_a_record_wait_for_each_other(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], first: str, second: str
) -> None:
    """On another gateway too: who comes second compares with what the first has written."""
    one, other = make(), make()
    condition = {"If-Match": tag_of(one)}
    simulator.ledger.clear()
    simulator.faults.add("gate", gate="first", methods=["client.update"], times=1)
    conditions = {"conditional": condition, "unconditional": {}}
    begun = ahead(one, "PATCH", RECORD, json={"notes": "first"}, headers=conditions[first])
    simulator.gates.wait("first")
    waiting = ahead(other, "PATCH", RECORD, json={"notes": "second"}, headers=conditions[second])
    ground.coordination.wait_for(b"lease:", 2)
    assert written(simulator) == ["client.update"]
    simulator.gates.open("first")
    assert body(begun.result(SAFETY_S))["notes"] == "first"
    if second == "conditional":
        refusal(waiting.result(SAFETY_S), 412, "precondition_failed")
    else:
        assert body(waiting.result(SAFETY_S))["notes"] == "second"


def test_who_cannot_wait_that_long_is_told_that_the_record_is_busy(simulator: Simulator, caller: Caller) -> None:
    """503, nothing sent; writers of other records do not wait."""
    tag = tag_of(caller)
    simulator.faults.add("gate", gate="first", methods=["client.update"], times=1)
    begun = ahead(caller, "PATCH", RECORD, json={"notes": "first"})
    simulator.gates.wait("first")
    hurried = caller.patch(RECORD, json={"notes": "second"}, headers={"If-Match": tag, "Prefer": "wait=1"})
    assert refusal(hurried, 503, "record_busy")["outcome"] == "not_applied"
    assert caller.patch("/clients/14", json={"notes": "beside"}).status_code == 200
    simulator.gates.open("first")
    assert begun.result(SAFETY_S).status_code == 200


@ON_BOTH_STORES
def test_a_lease_that_could_not_be_returned_at_once(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """Is returned when the store is back: the next writer does not wait until the lease ends by itself."""
    simulator.faults.add("gate", gate="first", methods=["client.update"], times=1)
    begun = ahead(caller, "PATCH", RECORD, json={"notes": "first"})
    simulator.gates.wait("first")
    ground.coordination.is_down = True
    simulator.gates.open("first")
    assert begun.result(SAFETY_S).status_code == 200
    ground.coordination.is_down = False
    second = caller.patch(RECORD, json={"notes": "second"}, headers={"Prefer": "wait=8"})
    assert body(second)["notes"] == "second"


def test_a_lease_whose_store_answered_too_late(simulator: Simulator, tmp_path: Path) -> None:
    """The change goes on without it; what the server gave after all is returned, and keeps nobody out."""
    server = RedisServer(tmp_path).start()
    try:
        caller = start_gateway({**ENVIRONMENT, "UPSTREAM_URL": simulator.url, "STORE_URL": server.url})
        assert body(caller.patch(RECORD, json={"notes": "before"}))["notes"] == "before"
        server.hang()
        assert body(caller.patch(RECORD, json={"notes": "first"}))["notes"] == "first"
        server.go_on()
        give_up_at = time.monotonic() + SAFETY_S
        while caller.get("/readyz").status_code != 200:
            assert time.monotonic() < give_up_at
            time.sleep(0.01)
        second = caller.patch(RECORD, json={"notes": "second"}, headers={"Prefer": "wait=8"})
        assert body(second)["notes"] == "second"
    finally:
        server.kill()


def test_a_lease_is_not_lost_when_the_cache_runs_full(simulator: Simulator, tmp_path: Path) -> None:
    """While a change is held upstream, copies of others fill the store twice; another writer is still kept out."""
    ground = FolderGround(tmp_path, bound_bytes=1 << 20)
    caller = gateway_on(ground, simulator, upstream_deadline_s=60)
    others = [one["client_id"] for one in simulator.store.dump() if one["folder"] == "active"]
    others.remove(13)
    for key in others:
        simulator.store.edit({"client_id": key, "notes": "n" * 60_000})
    tag = tag_of(caller)
    simulator.faults.add("gate", gate="first", methods=["client.update"], times=1)
    begun = ahead(caller, "PATCH", RECORD, json={"notes": "first"}, headers={"If-Match": tag})
    simulator.gates.wait("first")
    for key in others:
        caller.get(f"/clients/{key}", check=False)
    again = [cache_status(caller.get(f"/clients/{key}", check=False)) for key in others]
    assert any("fwd" in one for one in again), "nothing was evicted"
    second = caller.patch(RECORD, json={"notes": "second"}, headers={"If-Match": tag, "Prefer": "wait=1"})
    refusal(second, 503, "record_busy")
    simulator.gates.open("first")
    assert begun.result(SAFETY_S).status_code == 200
    ground.close()


@ON_BOTH_STORES
def test_a_change_from_outside_at_the_same_moment_is_reported(simulator: Simulator, caller: Caller) -> None:
    """Between the comparison and the write somebody edits other fields in the vendor's pages: 409, applied, with
    pointers to what differs and the tag of what is there now."""
    tag = tag_of(caller)
    simulator.faults.add("gate", gate="write", methods=["client.update"], times=1)
    mine = {"notes": "mine", "primary_address": {"city": "Here"}}
    begun = ahead(caller, "PATCH", RECORD, json=mine, headers={"If-Match": tag})
    simulator.gates.wait("write")
    simulator.store.edit({"client_id": 13, "organization": "Theirs", "p_street1": "Theirs 1"})
    simulator.gates.open("write")
    response = begun.result(SAFETY_S)
    problem = refusal(response, 409, "changed_from_outside")
    assert (problem["outcome"], problem["retryable"]) == ("applied", False)
    assert {one["pointer"] for one in problem["errors"]} == {"/organization", "/primary_address/street1"}
    now = body(caller.get(RECORD))
    assert (now["notes"], now["organization"], now["primary_address"]["city"]) == ("mine", "Theirs", "Here")
    assert response.headers["ETag"] == tag_of(caller)


def test_a_replacement_notices_a_change_of_what_it_keeps(simulator: Simulator, caller: Caller) -> None:
    """It names every field but the user name."""
    tag = tag_of(caller)
    simulator.faults.add("gate", gate="write", methods=["client.update"], times=1)
    replaced = ahead(caller, "PUT", RECORD, json={"email": "mine@example.com"}, headers={"If-Match": tag})
    simulator.gates.wait("write")
    simulator.store.edit({"client_id": 13, "username": "theirs"})
    simulator.gates.open("write")
    problem = refusal(replaced.result(SAFETY_S), 409, "changed_from_outside")
    assert [one["pointer"] for one in problem["errors"]] == ["/username"]


def test_the_same_key_gets_the_same_report(simulator: Simulator, caller: Caller) -> None:
    """A repetition with the Idempotency-Key is not compared again with what it has changed itself."""
    tag = tag_of(caller)
    headers = {"If-Match": tag, "Idempotency-Key": "k1"}
    simulator.faults.add("gate", gate="write", methods=["client.update"], times=1)
    begun = ahead(caller, "PATCH", RECORD, json={"notes": "mine"}, headers=headers)
    simulator.gates.wait("write")
    simulator.store.edit({"client_id": 13, "organization": "Theirs"})
    simulator.gates.open("write")
    first = refusal(begun.result(SAFETY_S), 409, "changed_from_outside")
    again = caller.patch(RECORD, json={"notes": "mine"}, headers=headers)
    assert refusal(again, 409, "changed_from_outside") == first
    assert again.headers["Idempotency-Replayed"] == "true"
    assert written(simulator) == ["client.update"]


@every_change
def test_a_change_from_outside_just_before_the_comparison_is_found(
    simulator: Simulator, caller: Caller, method: str
) -> None:
    """Then nothing is written."""
    tag = tag_of(caller)
    simulator.faults.add("gate", gate="compare", methods=["client.get"], times=1)
    begun = ahead(caller, method, RECORD, headers={"If-Match": tag}, **CHANGES[method])
    simulator.gates.wait("compare")
    simulator.store.edit({"client_id": 13, "organization": "Theirs"})
    simulator.gates.open("compare")
    refusal(begun.result(SAFETY_S), 412, "precondition_failed")
    assert written(simulator) == []


def test_an_unconditional_change_reports_nothing(simulator: Simulator, caller: Caller) -> None:
    """It promised nothing about what was there before."""
    simulator.faults.add("gate", gate="write", methods=["client.update"], times=1)
    begun = ahead(caller, "PATCH", RECORD, json={"notes": "mine"})
    simulator.gates.wait("write")
    simulator.store.edit({"client_id": 13, "organization": "Theirs"})
    simulator.gates.open("write")
    assert body(begun.result(SAFETY_S))["organization"] == "Theirs"


@every_change
@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
def test_without_the_store_a_condition_cannot_be_kept_and_is_refused(
    simulator: Simulator, ground: Ground, caller: Caller, method: str, header: str
) -> None:
    """503 with `Retry-After`, nothing sent; a change without a condition goes through."""
    condition = {header: tag_of(caller) if header == "If-Match" else '"other"'}
    ground.coordination.is_down = True
    response = change(caller, method, condition)
    problem = refusal(response, 503, "store_unavailable")
    assert (problem["outcome"], problem["retryable"]) == ("not_applied", True)
    assert int(response.headers["Retry-After"]) > 0
    assert written(simulator) == []
    assert change(caller, method, {}).status_code in (200, 204)
    assert len(written(simulator)) == 1


@pytest.mark.parametrize("fault", ["maintenance", "server_error", "reset_before", "unauthorized"])
def test_when_the_record_cannot_be_compared_nothing_is_written(
    simulator: Simulator, caller: Caller, fault: str
) -> None:
    """The read before fails: the change was surely not made."""
    tag = tag_of(caller)
    simulator.faults.add(fault, methods=["client.get"])
    response = caller.patch(RECORD, json={"notes": "mine"}, headers={"If-Match": tag}, check=False)
    assert response.status_code in (502, 503)
    assert response.get_json(force=True)["outcome"] == "not_applied"
    assert written(simulator) == []


def test_of_sixty_four_changes_with_one_tag_one_is_made(simulator: Simulator, tmp_path: Path) -> None:
    """Over four workers, at once: one 200, sixty-three 412, one write upstream, and the winner's text is there."""
    env = {
        **ENVIRONMENT,
        "UPSTREAM_URL": simulator.url,
        "GATEWAY_WORKERS": "4",
        "GATEWAY_THREADS": "80",
        "UPSTREAM_DEADLINE_S": "60",
        "STORE_URL": str(tmp_path),
    }

    def patch(gateway: GatewayProcess, tag: str, number: int) -> tuple[int, str, str]:
        connection = gateway.connect(timeout_s=90)
        headers = {"If-Match": tag, "Content-Type": "application/json"}
        connection.request("PATCH", RECORD, json.dumps({"notes": f"number {number}"}), headers)
        with connection.getresponse() as response:
            found = response.status, response.headers["ETag"], response.read().decode()
        connection.close()
        return found

    with GatewayProcess(env) as gateway, ThreadPoolExecutor(64) as pool:
        connection = gateway.connect()
        connection.request("GET", RECORD)
        tag = connection.getresponse().headers["ETag"]
        connection.close()
        simulator.faults.add("gate", gate="write", methods=["client.update"], times=1)
        answers = [pool.submit(patch, gateway, tag, number) for number in range(64)]
        simulator.gates.wait("write")
        simulator.gates.open("write")
        found = [answer.result(90) for answer in answers]
    assert Counter(status for status, *_ in found) == {200: 1, 412: 63}
    assert written(simulator) == ["client.update"]
    winner = next(text for status, _, text in found if status == 200)
    assert json.loads(winner)["notes"] == next(one["notes"] for one in simulator.store.dump() if one["client_id"] == 13)
    assert len({etag for _, etag, _ in found}) == 1
