"""What bounds the cache: times that are spread, bytes that are not exceeded; and what it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.policy.cache import EARLY_SHARE
from gateway.policy.keeping import JITTER
from simulator.server import Simulator
from tests.cache.ground import TTL_S, body, cache_status, events
from tests.support.gateway import Caller
from tests.support.ground import FolderGround, Ground, ahead, gateway_on
from tests.support.watched_store import SAFETY_S

BOUND_BYTES = 1 << 20
MINIMAL = {"Prefer": "return=minimal"}


def test_copies_that_were_made_together_do_not_end_together(simulator: Simulator, caller: Caller) -> None:
    """Each is fresh for 85 to 100 percent of CACHE_TTL_S, never longer, and they are spread over that."""
    keys = [one["client_id"] for one in simulator.store.dump() if one["folder"] != "deleted"]
    for key in keys:
        caller.get(f"/clients/{key}")
    ttls_s = [int(cache_status(caller.get(f"/clients/{key}"))["ttl"]) for key in keys]
    assert len(keys) > 40
    assert TTL_S * (1 - JITTER) - 1 <= min(ttls_s) <= max(ttls_s) <= TTL_S
    assert len(set(ttls_s)) >= 3


def test_no_copy_is_fresh_beyond_its_time(ground: Ground, simulator: Simulator, caller: Caller) -> None:
    """CACHE_TTL_S after they were read, none is."""
    keys = [one["client_id"] for one in simulator.store.dump() if one["folder"] != "deleted"][:20]
    for key in keys:
        caller.get(f"/clients/{key}")
    ground.pass_time(TTL_S)
    assert [cache_status(caller.get(f"/clients/{key}"))["fwd"] for key in keys] == ["stale"] * len(keys)


@pytest.fixture
def small_ground(tmp_path: Path) -> Iterator[FolderGround]:
    """A store that holds some twenty pages."""
    made = FolderGround(tmp_path, BOUND_BYTES)
    yield made
    made.close()


def test_a_full_store_makes_room_and_every_answer_is_right(simulator: Simulator, small_ground: FolderGround) -> None:
    """Many times what it holds goes through it: never more than its bytes, what is new is kept, what is old is gone,
    and a write is seen in all of it."""
    cached, plain = gateway_on(small_ground, simulator), gateway_on(small_ground, simulator, cache_ttl_s=0)
    paths = [f"/clients?folder=active&per_page={size}" for size in range(32, 102, 3) if size <= 100]
    lists = len(paths)
    paths += [f"/clients/{one['client_id']}" for one in simulator.store.dump() if one["folder"] != "deleted"][:10]
    for notes in ("first", "second"):
        for path in paths:
            assert cached.get(path, check=False).get_data() == plain.get(path, check=False).get_data()
            assert small_ground.file_bytes("cache") <= BOUND_BYTES
        last = [cache_status(cached.get(path, check=False)) for path in paths[-3:]]
        assert all("hit" in one for one in last)
        assert cached.patch("/clients/13", json={"notes": notes}, headers=MINIMAL).status_code == 204
        assert [body(one.get("/clients/13"))["notes"] for one in (cached, plain)] == [notes, notes]
    first = [cache_status(cached.get(path, check=False)) for path in paths[:3]]
    assert all("fwd" in one for one in first)
    for path in paths[:lists]:
        rows = {row["id"]: row["notes"] for row in body(cached.get(path, check=False))["items"]}
        assert rows.get(13, "second") == "second"


def test_what_is_too_large_to_be_kept_is_answered_all_the_same(
    simulator: Simulator, small_ground: FolderGround
) -> None:
    """Each time from upstream; those who waited for it do not wait longer than it takes to ask themselves."""
    for one in simulator.store.dump():
        simulator.store.edit({"client_id": one["client_id"], "notes": "n" * 5000})
    caller = gateway_on(small_ground, simulator)
    path = "/clients?folder=active&per_page=100"
    assert cache_status(caller.get(path)) == {"fwd": "uri-miss"}
    assert cache_status(caller.get(path)) == {"fwd": "uri-miss"}
    simulator.faults.add("gate", gate="first", methods=["client.list"], times=1)
    leader = ahead(caller, "GET", path)
    simulator.gates.wait("first")
    small_ground.cache.watch_anew()
    follower = ahead(caller, "GET", path)
    small_ground.cache.wait_for(b"landed:", 1)
    simulator.gates.open("first")
    assert [one.result(SAFETY_S).status_code for one in (leader, follower)] == [200, 200]
    assert small_ground.cache.deletions_of(b"flight:") == len(simulator.ledger.calls("client.list")) == 4


def test_what_happens_is_counted(simulator: Simulator, ground: Ground, make: Callable[..., Caller]) -> None:
    """Every kind of event once, and what it takes to get there."""
    caller = make()
    counted: list[dict[str, int]] = [events(caller)]

    def new() -> dict[str, int]:
        counted.append(events(caller))
        return {name: more for name, number in counted[-1].items() if (more := number - counted[-2].get(name, 0))}

    caller.get("/clients/13")
    assert new() == {"miss": 1, "fill": 1}
    caller.get("/clients/13")
    assert new() == {"hit": 1}
    caller.get("/clients/13", headers={"Cache-Control": "no-cache"})
    assert new() == {"miss": 1, "fill": 1}
    caller.get("/clients/13", headers={"Cache-Control": "no-store"})
    assert new() == {"bypass": 1}
    caller.get("/clients/4711")
    assert new() == {"fill": 1}
    caller.get("/clients/4711")
    assert new() == {"hit": 1}
    caller.patch("/clients/13", json={"notes": "n"})
    assert new() == {"fill": 1}
    caller.patch("/clients/13", json={"notes": "m"}, headers=MINIMAL)
    assert new() == {}
    _overtake(simulator, caller)
    assert new() == {"miss": 1, "refused_fill": 1}
    _collapse(simulator, ground, caller)
    assert new() == {"miss": 1, "collapsed": 1, "fill": 1}
    simulator.faults.add("maintenance")
    ground.pass_time(40)
    caller.get("/clients/14")
    assert new() == {"stale": 1}


def _overtake(simulator: Simulator, caller: Caller) -> None:
    """A write comes between a read's look and its answer."""
    simulator.faults.add("gate", gate="overtaken", methods=["client.get"], point="after_commit", times=1)
    read = ahead(caller, "GET", "/clients/13")
    simulator.gates.wait("overtaken")
    caller.patch("/clients/13", json={"notes": "new"}, headers=MINIMAL)
    simulator.gates.open("overtaken")
    assert read.result(SAFETY_S).status_code == 200


def _collapse(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """Two read what neither finds."""
    simulator.faults.add("gate", gate="shared", methods=["client.get"], times=1)
    reads: list[Any] = [ahead(caller, "GET", "/clients/14")]
    simulator.gates.wait("shared")
    ground.cache.watch_anew()
    reads.append(ahead(caller, "GET", "/clients/14"))
    ground.cache.wait_for(b"landed:", 1)
    simulator.gates.open("shared")
    assert [read.result(SAFETY_S).status_code for read in reads] == [200, 200]


def test_the_time_to_fetch_ahead_is_a_share_of_the_whole() -> None:
    """A copy is not fetched anew while it is new, whatever its jitter."""
    assert EARLY_SHARE < 1 - JITTER
