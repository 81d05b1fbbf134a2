"""What is kept, under which name, and what never is."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from simulator.server import Simulator
from tests.cache.ground import asked, body, cache_status
from tests.support.gateway import Caller
from tests.support.ground import ON_BOTH_STORES, Ground, ahead, refusal

READS = ["/clients/13", "/clients", "/clients?folder=active&per_page=3"]


def as_user(caller: Caller, token: str) -> Caller:
    """A caller of the same gateway with a FreshBooks token of its own."""
    credentials = base64.b64encode(f"{token}:X".encode()).decode()
    return Caller(caller.client, caller.log_stream, {"Authorization": f"Basic {credentials}"})


@pytest.fixture
def users(make: Callable[..., Caller]) -> tuple[Caller, Caller]:
    """An administrator and a member of staff, of one gateway."""
    gateway = make(gateway_auth="passthrough", upstream_token=None)
    return as_user(gateway, "demo-admin"), as_user(gateway, "demo-staff")


@ON_BOTH_STORES
@pytest.mark.parametrize("path", READS)
def test_a_second_read_costs_no_call(simulator: Simulator, make: Callable[..., Caller], path: str) -> None:
    """Records and lists, from this gateway and from another one on the same store, byte for byte."""
    first = make().get(path)
    again: list[Any] = []
    assert asked(simulator, lambda: again.extend(make().get(path) for _ in range(2))) == []
    assert [one.get_data() for one in again] == [first.get_data()] * 2
    assert cache_status(first) == {"fwd": "uri-miss", "stored": True}
    assert cache_status(again[0]).get("hit") is True


def test_a_copy_ends_with_its_time(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """After CACHE_TTL_S the upstream is asked again, and an edit past the gateway is seen."""
    caller.get("/clients/13")
    simulator.store.edit({"client_id": 13, "first_name": "Edited"})
    ground.pass_time(30)
    response = caller.get("/clients/13")
    assert body(response)["first_name"] == "Edited"
    assert cache_status(response) == {"fwd": "stale", "stored": True}


def test_without_a_time_nothing_is_cached(simulator: Simulator, ground: Ground, make: Callable[..., Caller]) -> None:
    """CACHE_TTL_S=0: every read asks, nothing is kept, and what is only wanted from the cache is not there."""
    caller = make(cache_ttl_s=0)
    assert len(asked(simulator, lambda: [caller.get(path) for path in READS * 2])) == 2 * len(READS)
    assert caller.patch("/clients/13", json={"notes": "n"}).status_code == 200
    assert cache_status(caller.get("/clients/13")) == {"fwd": "bypass"}
    assert b"copy:" not in ground.stored()
    only_cached = {"Cache-Control": "only-if-cached"}
    assert asked(simulator, lambda: refusal(caller.get("/clients/13", headers=only_cached), 504, "not_cached")) == []


def test_a_gateway_that_does_not_cache_tells_the_others_of_its_writes(make: Callable[..., Caller]) -> None:
    """Gateways on one store may have different settings, such as while they are being changed."""
    caching, other = make(), make(cache_ttl_s=0)
    caching.get("/clients/13")
    other.patch("/clients/13", json={"notes": "told"})
    assert body(caching.get("/clients/13"))["notes"] == "told"


@pytest.mark.parametrize(
    "same",
    [
        ("/clients", "/clients?page=1", "/clients?per_page=25", "/clients?per_page=25&page=1"),
        ("/clients?email=a%40b.example&folder=active", "/clients?folder=active&email=a@b.example"),
        (
            "/clients?updated_from=2020-01-01T12:00:00Z",
            "/clients?updated_from=2020-01-01T13:00:00%2B01:00",
            "/clients?updated_from=2020-01-01T12:00:00.000Z",
        ),
    ],
    ids=["defaults", "order and encoding", "one instant"],
)
def test_queries_that_mean_the_same_share_one_copy(simulator: Simulator, caller: Caller, same: tuple[str, ...]) -> None:
    """However they are written, one call."""
    answers: list[Any] = []
    assert asked(simulator, lambda: answers.extend(caller.get(path) for path in same)) == ["client.list"]
    assert len({one.headers["ETag"] for one in answers}) == 1


def test_queries_that_mean_something_else_share_nothing(simulator: Simulator, caller: Caller) -> None:
    """Each asks for itself."""
    paths = ["/clients", "/clients?page=2", "/clients?per_page=24", "/clients?folder=active", "/clients?email=25"]
    assert len(asked(simulator, lambda: [caller.get(path) for path in paths])) == len(paths)


@ON_BOTH_STORES
@pytest.mark.parametrize("path", ["/clients/13", "/clients"])
def test_nobody_sees_the_copy_of_another_credential(
    simulator: Simulator, users: tuple[Caller, Caller], path: str
) -> None:
    """Each asks with its own token once, and sees what that token may see."""
    admin, staff = users
    tokens = []
    for user in (admin, staff, admin, staff):
        user.get(path)
        tokens.append([call.token for call in simulator.ledger.calls()])
    assert tokens[-1] == ["admin", "staff"]
    unassigned = next(one["client_id"] for one in simulator.store.dump() if not one["assigned_to"])
    assert admin.get(f"/clients/{unassigned}").status_code == 200
    refusal(staff.get(f"/clients/{unassigned}"), 404, "not_found")
    assert body(admin.get("/clients"))["total"] > body(staff.get("/clients"))["total"]


@ON_BOTH_STORES
def test_a_write_of_one_credential_makes_the_copies_of_the_other_stale(
    simulator: Simulator, users: tuple[Caller, Caller]
) -> None:
    """Both ways round, the record and the lists."""
    mine = next(one["client_id"] for one in simulator.store.dump() if one["assigned_to"] and one["folder"] == "active")
    paths = [f"/clients/{mine}", "/clients?folder=active&per_page=100"]
    for number, (writer, reader) in enumerate([users, users[::-1]]):
        for user in users:
            for path in paths:
                user.get(path)
        marker = f"marker {number}"
        assert writer.patch(paths[0], json={"notes": marker}).status_code == 200
        assert body(reader.get(paths[0]))["notes"] == marker
        rows = {row["id"]: row for row in body(reader.get(paths[1]))["items"]}
        assert rows[mine]["notes"] == marker


def test_no_secret_is_in_the_store(simulator: Simulator, ground: Ground, users: tuple[Caller, Caller]) -> None:
    """Neither a password that was written nor a token or its plain hash; what was read is there."""
    admin, _ = users
    made = body(admin.post("/clients", json={"email": "kept@example.com", "password": "swordfish-7"}))["id"]
    admin.patch(f"/clients/{made}", json={"password": "swordfish-7"})
    refusal(admin.patch("/clients/9", json={"password": "swordfish-7"}), 404, "not_found")
    admin.get(f"/clients/{made}")
    admin.get("/clients")
    stored = ground.stored()
    assert b"kept@example.com" in stored
    digest = hashlib.sha256(b"demo-admin")
    for secret in (b"swordfish-7", b"demo-admin", digest.digest(), digest.hexdigest().encode(), b"ZGVtby1hZG1pbjpY"):
        assert secret not in stored


@ON_BOTH_STORES
def test_what_is_not_there_is_remembered_briefly(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """Five seconds, told with the same words, and in `Cache-Status` and `Age`."""
    first = refusal(caller.get("/clients/4711"), 404, "not_found")
    again: list[Any] = []
    ground.pass_time(3)
    assert asked(simulator, lambda: again.append(caller.get("/clients/4711"))) == []
    assert {**refusal(again[0], 404, "not_found"), "request_id": ""} == {**first, "request_id": ""}
    assert cache_status(again[0]) == {"hit": True, "ttl": 2}
    assert again[0].headers["Age"] == "3"
    ground.pass_time(3)
    assert asked(simulator, lambda: caller.get("/clients/4711")) == ["client.get"]


@ON_BOTH_STORES
def test_what_was_not_there_is_looked_for_again_after_any_create(simulator: Simulator, caller: Caller) -> None:
    """The next id is not there, is created, and is there at once."""
    missing = max(one["client_id"] for one in simulator.store.dump()) + 1
    refusal(caller.get(f"/clients/{missing}"), 404, "not_found")
    made = caller.post("/clients", json={"email": "new@example.com"}, headers={"Prefer": "return=minimal"})
    assert body(made)["id"] == missing
    assert body(caller.get(f"/clients/{missing}"))["email"] == "new@example.com"
    assert "client.get" in asked(simulator, lambda: caller.get("/clients/4712"))
    caller.post("/clients", json={"email": "other@example.com"})
    assert asked(simulator, lambda: caller.get("/clients/4712")) == ["client.get"]


def test_a_deleted_record_is_gone_at_once(caller: Caller) -> None:
    """From the record's place and from the lists."""
    assert 13 in {row["id"] for row in body(caller.get("/clients?per_page=100"))["items"]}
    caller.get("/clients/13")
    assert caller.delete("/clients/13").status_code == 204
    refusal(caller.get("/clients/13"), 404, "not_found")
    assert 13 not in {row["id"] for row in body(caller.get("/clients?per_page=100"))["items"]}


@pytest.mark.parametrize(
    "fault, status",
    [
        ({"fault": "unauthorized"}, 502),
        ({"fault": "html_page"}, 502),
        ({"fault": "not_xml"}, 502),
        ({"fault": "cut_body"}, 502),
        ({"fault": "unknown_fault"}, 502),
        ({"fault": "unknown_fault", "code": 40060}, 422),
        ({"fault": "unknown_fault", "code": 50020}, 409),
        ({"fault": "throttle"}, 503),
        ({"fault": "maintenance"}, 503),
    ],
    ids=lambda value: value.get("fault") if isinstance(value, dict) else str(value),
)
@pytest.mark.parametrize("path", ["/clients/13", "/clients"])
def test_failures_are_never_cached(
    simulator: Simulator, caller: Caller, fault: dict[str, Any], status: int, path: str
) -> None:
    """The next read asks again and succeeds."""
    parameters = {name: value for name, value in fault.items() if name != "fault"}
    simulator.faults.add(fault["fault"], methods=["client.get", "client.list"], **parameters)
    assert caller.get(path, check=False).status_code == status
    simulator.faults.clear()
    response = caller.get(path)
    assert response.status_code == 200
    assert cache_status(response)["fwd"] == "uri-miss"


def test_a_bad_request_leaves_the_cache_alone(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """Neither is anything asked nor kept."""
    paths = ("/clients?page=0", "/clients?shoe=1", "/clients/13?x=1")
    assert asked(simulator, lambda: [refusal(caller.get(path), 400, "invalid_query") for path in paths]) == []
    assert b"copy:" not in ground.stored()


@ON_BOTH_STORES
def test_a_write_primes_the_cache_with_what_it_reads_back(simulator: Simulator, caller: Caller) -> None:
    """After a create, a patch and a replacement the record costs no call."""
    key = body(caller.post("/clients", json={"email": "primed@example.com"}))["id"]
    answers: list[Any] = []

    def read() -> None:
        answers.append(caller.get(f"/clients/{key}"))

    assert asked(simulator, read) == []
    changed = caller.patch(f"/clients/{key}", json={"notes": "n"})
    assert asked(simulator, read) == []
    caller.put(f"/clients/{key}", json={"email": "replaced@example.com"})
    assert asked(simulator, read) == []
    assert [body(one)["email"] for one in answers] == ["primed@example.com"] * 2 + ["replaced@example.com"]
    assert answers[1].headers["ETag"] == changed.headers["ETag"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_write_that_finds_the_record_gone_takes_its_copies_away(
    simulator: Simulator, caller: Caller, method: str
) -> None:
    """Somebody deleted it past the gateway; from now on nobody is shown it."""
    lists = "/clients?per_page=100&folder=active"
    for path in ("/clients/13", lists):
        caller.get(path)
    simulator.store.edit({"client_id": 13, "folder": "deleted"})
    options: dict[str, Any] = {"json": {"notes": "n"}} if method == "PATCH" else {}
    refusal(caller.request(method, "/clients/13", **options), 404, "not_found")
    refusal(caller.get("/clients/13"), 404, "not_found")
    assert 13 not in {row["id"] for row in body(caller.get(lists))["items"]}


def test_a_write_that_is_refused_leaves_the_copies_as_they_are(simulator: Simulator, caller: Caller) -> None:
    """Nothing was changed, so nothing has to be read anew; with another write beside it everything has."""
    for path in READS:
        caller.get(path)
    simulator.faults.add("deny_action", methods=["client.update"], times=1)
    refusal(caller.patch("/clients/13", json={"notes": "n"}), 409, "action_refused")
    assert asked(simulator, lambda: [caller.get(path) for path in READS]) == []
    simulator.faults.add("deny_action", methods=["client.update"], times=1)
    simulator.faults.add("gate", gate="g", methods=["client.update"], times=1)
    refused = ahead(caller, "PATCH", "/clients/13", json={"notes": "n"})
    simulator.gates.wait("g")
    assert caller.patch("/clients/14", json={"notes": "n"}).status_code == 200
    simulator.gates.open("g")
    refusal(refused.result(30), 409, "action_refused")
    assert asked(simulator, lambda: caller.get("/clients")) == ["client.list"]
