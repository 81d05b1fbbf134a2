"""Reads and writes that overlap: held at the simulator's gates, so that each race happens every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.policy.stamps import Stamp
from simulator.server import Simulator
from tests.cache.ground import SETTLE_S, asked, body, cache_status, events, stamps_of
from tests.support.gateway import Caller
from tests.support.ground import DEADLINE_S, ON_BOTH_STORES, Ground, RedisGround, ahead, gateway_on, refusal
from tests.support.redis_server import RedisServer
from tests.support.watched_store import SAFETY_S

PATHS = {"record": "/clients/13", "list": "/clients?per_page=100&folder=active"}
MINIMAL = {"Prefer": "return=minimal"}
both_paths = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())


def notes_in(response: Any) -> str | None:
    """The notes of client 13, in its record or in a list."""
    found = body(response)
    rows = {row["id"]: row for row in found.get("items", [found])}
    notes: str | None = rows[13]["notes"]
    return notes


def hold(simulator: Simulator, method: str, point: str = "after_commit", **more: Any) -> None:
    """The next call of the method waits at the gate named like it."""
    simulator.faults.add("gate", gate=method, methods=[method], point=point, times=1, **more)


@ON_BOTH_STORES
@both_paths
@pytest.mark.parametrize("copies", ["no copy before", "an old copy before"])
def test_a_read_that_a_write_overtakes_leaves_nothing_stale(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], path: str, copies: str
) -> None:
    """A read starts and is answered upstream, a write finishes, the read ends: nothing old is kept, and nobody who
    asks after the write sees it, on the reader's gateway or another one."""
    reader, writer = make(), make()
    if copies == "an old copy before":
        reader.get(path)
        ground.pass_time(31)
    method = "client.get" if path == PATHS["record"] else "client.list"
    hold(simulator, method)
    read = ahead(reader, "GET", path)
    simulator.gates.wait(method)
    assert writer.patch("/clients/13", json={"notes": "new"}, headers=MINIMAL).status_code == 204
    assert notes_in(reader.get(path)) == "new"
    simulator.gates.open(method)
    overtaken = read.result(SAFETY_S)
    assert overtaken.status_code == 200
    assert "stored" not in cache_status(overtaken)
    assert [notes_in(one.get(path)) for one in (reader, writer)] == ["new", "new"]
    assert events(reader)["refused_fill"] == 1


@ON_BOTH_STORES
@both_paths
def test_a_read_that_a_create_overtakes_leaves_nothing_stale(
    simulator: Simulator, make: Callable[..., Caller], path: str
) -> None:
    """The same for a list that a new record belongs to; a record that is not concerned is kept."""
    reader, writer = make(), make()
    method = "client.get" if path == PATHS["record"] else "client.list"
    hold(simulator, method)
    read = ahead(reader, "GET", path)
    simulator.gates.wait(method)
    made = body(writer.post("/clients", json={"email": "new@example.com"}, headers=MINIMAL))["id"]
    simulator.gates.open(method)
    stored = cache_status(read.result(SAFETY_S)).get("stored", False)
    assert stored is (method == "client.get")
    assert made in {row["id"] for row in body(reader.get("/clients?per_page=100"))["items"]}


@ON_BOTH_STORES
def test_a_read_of_what_is_not_there_that_a_create_overtakes_is_not_kept(
    simulator: Simulator, make: Callable[..., Caller]
) -> None:
    """A 404 that was true when the read began is not told after the record has been created."""
    reader, writer = make(), make()
    missing = max(one["client_id"] for one in simulator.store.dump()) + 1
    hold(simulator, "client.get")
    read = ahead(reader, "GET", f"/clients/{missing}")
    simulator.gates.wait("client.get")
    assert body(writer.post("/clients", json={"email": "new@example.com"}, headers=MINIMAL))["id"] == missing
    simulator.gates.open("client.get")
    refusal(read.result(SAFETY_S), 404, "not_found")
    assert body(reader.get(f"/clients/{missing}"))["email"] == "new@example.com"


@ON_BOTH_STORES
@both_paths
@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
def test_while_a_write_is_under_way_nothing_is_taken_from_the_cache_or_put_into_it(
    simulator: Simulator, make: Callable[..., Caller], path: str, point: str
) -> None:
    """Every read then asks the upstream, and says why; a change that is applied is seen before it is answered, and
    from then on by everybody."""
    reader, writer = make(), make()
    reader.get(path)
    hold(simulator, "client.update", point)
    write = ahead(writer, "PATCH", "/clients/13", json={"notes": "new"}, headers=MINIMAL)
    simulator.gates.wait("client.update")
    seen: list[Any] = []
    assert len(asked(simulator, lambda: seen.extend(reader.get(path) for _ in range(3)))) == 3
    assert [cache_status(one) for one in seen] == [{"fwd": "bypass", "detail": "write-under-way"}] * 3
    assert all((notes_in(one) == "new") is (point == "after_commit") for one in seen)
    only_cached = {"Cache-Control": "only-if-cached"}
    assert asked(simulator, lambda: refusal(reader.get(path, headers=only_cached), 504, "not_cached")) == []
    simulator.gates.open("client.update")
    assert write.result(SAFETY_S).status_code == 204
    assert notes_in(reader.get(path)) == "new"
    assert asked(simulator, lambda: reader.get(path)) == []


@ON_BOTH_STORES
def test_a_read_during_a_write_does_not_get_what_an_earlier_one_began_to_fetch(
    simulator: Simulator, caller: Caller
) -> None:
    """Otherwise it could follow a read that saw the change already, and show the old form after the new one."""
    hold(simulator, "client.update", "before_commit")
    write = ahead(caller, "PATCH", "/clients/13", json={"notes": "new"}, headers=MINIMAL)
    simulator.gates.wait("client.update")
    hold(simulator, "client.get")
    early = ahead(caller, "GET", "/clients/13")
    simulator.gates.wait("client.get")
    simulator.store.edit({"client_id": 13, "notes": "new"})
    assert notes_in(caller.get("/clients/13", headers={"Cache-Control": "no-cache"})) == "new"
    assert notes_in(caller.get("/clients/13")) == "new"
    simulator.gates.open("client.get")
    assert notes_in(early.result(SAFETY_S)) != "new"
    simulator.gates.open("client.update")
    assert write.result(SAFETY_S).status_code == 204


@ON_BOTH_STORES
@both_paths
@pytest.mark.parametrize(
    "fault, applied", [("commit_then_drop", True), ("blackhole", False)], ids=["lost answer", "no answer"]
)
def test_what_a_write_of_unknown_outcome_touches_is_not_cached_until_it_has_settled(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], path: str, fault: str, applied: bool
) -> None:
    """Not one read meanwhile comes from a copy, whether the change shows at once or late; afterwards they do again."""
    reader, writer = make(), make(upstream_deadline_s=1)
    other = "/clients/14"
    for one in (path, other):
        reader.get(one)
    simulator.faults.add(fault, methods=["client.update"])
    response = writer.patch("/clients/13", json={"username": "new", "contacts": []})
    assert response.get_json(force=True)["outcome"] == "unknown"
    assert response.status_code in (502, 504)
    simulator.faults.clear()
    assert len(asked(simulator, lambda: [reader.get(path) for _ in range(2)])) == 2
    assert asked(simulator, lambda: reader.get(other)) == []
    if not applied:
        simulator.store.edit({"client_id": 13, "notes": "late"})
        assert notes_in(reader.get(path)) == "late"
    ground.pass_time(SETTLE_S - 1)
    assert len(asked(simulator, lambda: [reader.get(path) for _ in range(2)])) == 2
    ground.pass_time(3)
    assert len(asked(simulator, lambda: [reader.get(path) for _ in range(3)])) == 1


@ON_BOTH_STORES
@both_paths
def test_the_copies_from_before_an_unknown_write_stay_untrue_for_ever(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], path: str
) -> None:
    """Also when it has settled and they would still be fresh."""
    reader = make(cache_ttl_s=1000)
    reader.get(path)
    stamps = stamps_of(ground, simulator)
    stamps.enter([stamps.epoch_key("client"), stamps.record_key("client", 13)], stamps.until_s(1))
    simulator.store.edit({"client_id": 13, "notes": "by the lost write"})
    ground.pass_time(SETTLE_S + 2)
    assert notes_in(reader.get(path)) == "by the lost write"


@ON_BOTH_STORES
def test_what_is_read_back_while_an_unknown_write_is_under_way_is_not_kept(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller]
) -> None:
    """The unknown write may still be applied after the read back, and that must be seen."""
    caller = make(cache_ttl_s=1000)
    stamps = stamps_of(ground, simulator)
    stamps.enter([stamps.epoch_key("client"), stamps.record_key("client", 13)], stamps.until_s(1))
    assert notes_in(caller.patch("/clients/13", json={"notes": "mine"})) == "mine"
    simulator.store.edit({"client_id": 13, "notes": "by the lost write"})
    ground.pass_time(SETTLE_S + 2)
    assert notes_in(caller.get("/clients/13")) == "by the lost write"


@ON_BOTH_STORES
@both_paths
def test_the_write_of_a_killed_worker_counts_until_it_can_no_longer_be_applied(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], path: str
) -> None:
    """A worker died between sending and its answer: it never leaves its stamps."""
    reader = make()
    reader.get(path)
    stamps = stamps_of(ground, simulator)
    keys = [stamps.epoch_key("client"), stamps.record_key("client", 13)]
    stamps.enter(keys, stamps.until_s(DEADLINE_S))
    assert len(asked(simulator, lambda: [reader.get(path) for _ in range(2)])) == 2
    simulator.store.edit({"client_id": 13, "notes": "late"})
    assert notes_in(reader.get(path)) == "late"
    ground.pass_time(SETTLE_S + DEADLINE_S + 1)
    assert len(asked(simulator, lambda: [reader.get(path) for _ in range(2)])) == 1


@ON_BOTH_STORES
def test_writes_beside_each_other_each_count_for_themselves(simulator: Simulator, ground: Ground) -> None:
    """A stamp is quiet when the last of them has left, in whatever order."""
    stamps = stamps_of(ground, simulator)
    key = stamps.epoch_key("client")
    first, second = stamps.enter([key], stamps.until_s(1)), stamps.enter([key], stamps.until_s(1))
    stamps.leave(first)
    between = _stamp(ground, key)
    stamps.leave(second)
    assert not between.is_quiet(ground.clock())
    assert _stamp(ground, key).is_quiet(ground.clock())
    assert _stamp(ground, key).token != between.token


@ON_BOTH_STORES
def test_a_write_that_changed_nothing_takes_nothing_back_that_others_did(simulator: Simulator, ground: Ground) -> None:
    """It leaves the stamps as they were only if nobody has moved them since."""
    stamps = stamps_of(ground, simulator)
    key = stamps.epoch_key("client")
    stamps.move({key: 0})
    before = _stamp(ground, key)
    assert stamps.undo(stamps.enter([key], stamps.until_s(1)))
    assert _stamp(ground, key) == before
    refused = stamps.enter([key], stamps.until_s(1))
    stamps.leave(stamps.enter([key], stamps.until_s(1)))
    assert not stamps.undo(refused)
    stamps.leave(refused)
    assert _stamp(ground, key).token != before.token


@ON_BOTH_STORES
@both_paths
def test_a_gateway_that_could_not_tell_the_store_of_its_write_takes_nothing_from_it_until_it_has(
    ground: Ground, caller: Caller, path: str
) -> None:
    """The write goes through without the store; when the store answers again it is told, and reads are cached again."""
    caller.get(path)
    ground.cache.is_down = True
    assert caller.patch("/clients/13", json={"notes": "new"}, headers=MINIMAL).status_code == 204
    assert notes_in(caller.get(path)) == "new"
    telling = ground.cache.hold_next(b"epoch:")
    ground.cache.is_down = False
    statuses = [cache_status(caller.get(path))]
    assert notes_in(caller.get(path)) == "new"
    telling.opened.set()
    while "hit" not in statuses[-1]:
        statuses.append(cache_status(caller.get(path)))
    assert statuses[0] == {"fwd": "bypass"}


@pytest.fixture
def small_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that is soon full, and then refuses what would grow."""
    server = RedisServer(tmp_path, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction").start()
    yield server
    server.kill()


def test_a_full_server_hides_no_write(simulator: Simulator, small_server: RedisServer) -> None:
    """Where nothing more can be noted, a write takes the copies away: nobody sees the old form, on any gateway."""
    ground, path = RedisGround(small_server.url), PATHS["record"]
    writer, reader = gateway_on(ground, simulator), gateway_on(ground, simulator)
    reader.get(path)
    assert "hit" in cache_status(reader.get(path))
    with redis.Redis.from_url(small_server.url) as client:
        _fill(client)
        assert writer.patch("/clients/13", json={"notes": "new"}, headers=MINIMAL).status_code == 204
        assert [notes_in(one.get(path)) for one in (reader, writer)] == ["new", "new"]
        client.flushdb()
    assert notes_in(reader.get(path)) == "new"
    assert "hit" in cache_status(reader.get(path))
    ground.close()


@ON_BOTH_STORES
@both_paths
def test_what_an_unknown_write_touched_that_the_store_was_not_told_of_is_not_cached_either(
    simulator: Simulator, ground: Ground, make: Callable[..., Caller], path: str
) -> None:
    """Once the store answers again, no gateway takes a copy until the write has settled."""
    writer, reader = make(), make()
    reader.get(path)
    ground.cache.is_down = True
    simulator.faults.add("commit_then_drop", methods=["client.update"], times=3)
    unplain = {"notes": "new", "contacts": []}
    assert refusal(writer.patch("/clients/13", json=unplain), 502, "upstream_answer_lost")["outcome"] == "unknown"
    simulator.faults.clear()
    ground.cache.is_down = False
    while "hit" in cache_status(reader.get(path)):
        pass
    assert len(asked(simulator, lambda: [reader.get(path) for _ in range(3)])) == 3
    ground.pass_time(SETTLE_S + DEADLINE_S + 1)
    assert len(asked(simulator, lambda: [reader.get(path) for _ in range(3)])) == 1


def _fill(client: redis.Redis) -> None:
    """Until the server has no room for a few bytes more."""
    for size_bytes in (100_000, 1_000, 1):
        number = 0
        try:
            while True:
                number += 1
                client.set(f"{size_bytes} {number}", b"x" * size_bytes)
        except redis.OutOfMemoryError:
            continue


def _stamp(ground: Ground, key: bytes) -> Stamp:
    return Stamp(key, ground.stores.cache.get(key))
