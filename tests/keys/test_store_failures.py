"""The gateway when its store is away, hangs, is full or damaged: keys fail closed, everything else goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from werkzeug.test import TestResponse

from gateway.store.errors import StoreFull
from gateway.store.interface import Put, Store
from gateway.store.open import open_store
from simulator.server import Simulator
from tests.keys.ground import another, count, ids_of, json_of, take, with_key
from tests.support.gateway import Caller, warm
from tests.support.ground import FolderGround, ahead, gateway_on, refusal
from tests.support.redis_server import RedisServer

ADA = {"email": "ada@engines.example", "first_name": "Ada"}
JANE = "/clients/13"
WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/clients", {"json": ADA}),
    ("PATCH", JANE, {"json": {"notes": "n"}}),
    ("PUT", JANE, {"json": ADA}),
    ("DELETE", JANE, {}),
]
DONE = {"POST": 201, "PATCH": 200, "PUT": 200, "DELETE": 204}
STORES = ("coordination", "records", "cache")
PATIENCE_S = 30
BOUND_S = 15.0
"""No answer takes longer, with a deadline of 60 s: the store has long been given up by then."""

Ending = Callable[[], None]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server that the test may do anything to. Not started yet."""
    made = RedisServer(tmp_path)
    yield made
    made.kill()


def down(server: RedisServer, folder: Path) -> tuple[str, Ending]:
    """Nothing is there at the start; later there is."""
    return server.url, lambda: void(server.start())


def lost(server: RedisServer, folder: Path) -> tuple[str, Ending]:
    """A server that was there and is killed. The gateway has used it by then."""
    server.start()
    return server.url, lambda: void(server.start())


def hanging(server: RedisServer, folder: Path) -> tuple[str, Ending]:
    """A server that takes everything and answers nothing."""
    server.start()
    return server.url, server.go_on


def full(server: RedisServer, folder: Path) -> tuple[str, Ending]:
    """A server that has no room."""
    server.start()
    return server.url, lambda: set_room(server, 0)


def no_folder(server: RedisServer, folder: Path) -> tuple[str, Ending]:
    """A file where the folder should be."""
    place = folder / "store"
    place.write_bytes(b"")
    return str(place), place.unlink


def void(_: object) -> None:
    """What was returned does not matter."""


def set_room(server: RedisServer, room_bytes: int) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", room_bytes)


BREAK: dict[Callable[..., tuple[str, Ending]], Callable[[RedisServer], None]] = {
    down: void,
    lost: lambda server: server.kill(),
    hanging: lambda server: server.hang(),
    full: lambda server: set_room(server, 1),
    no_folder: void,
}


class Broken:
    """A gateway that has worked, if its store was there, and whose store has then failed."""

    def __init__(
        self,
        make_gateway: Callable[..., Caller],
        server: RedisServer,
        folder: Path,
        failure: Callable[..., tuple[str, Ending]],
    ) -> None:
        url, self.repair = failure(server, folder)
        self.is_full = failure is full
        self.caller = make_gateway(store_url=url, upstream_deadline_s=60)
        if failure not in (down, no_folder):
            assert self.caller.delete("/clients/14", headers=with_key("before")).status_code == 204
        BREAK[failure](server)


@pytest.fixture
def broken(
    make_gateway: Callable[..., Caller], server: RedisServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Broken]:
    made = Broken(make_gateway, server, tmp_path, request.param)
    yield made
    made.repair()


each_broken = pytest.mark.parametrize("broken", BREAK, ids=lambda failure: failure.__name__, indirect=True)


def send(caller: Caller, write: tuple[str, str, dict[str, Any]], **headers: str) -> TestResponse:
    """The answer to a write, in bounded time."""
    method, path, options = write
    began = time.monotonic()
    response = caller.request(method, path, headers=headers, **options)
    assert time.monotonic() - began < BOUND_S
    return response


@each_broken
def test_writes_with_a_key(broken: Broken, simulator: Simulator) -> None:
    """Are refused and say that nothing was applied; nothing is sent."""
    simulator.ledger.clear()
    for write in WRITES * 2:
        response = send(broken.caller, write, **with_key("k"))
        body = refusal(response, 503, "store_unavailable")
        assert (body["outcome"], body["retryable"]) == ("not_applied", True)
        assert int(response.headers["Retry-After"]) >= 1
    assert simulator.ledger.summary()["total"] == 0


@each_broken
def test_requests_without_a_key(broken: Broken) -> None:
    """Are done as ever."""
    for path in ("/clients", JANE):
        assert broken.caller.get(path).status_code == 200
    for write in WRITES:
        assert send(broken.caller, write).status_code == DONE[write[0]]


@each_broken
def test_probes(broken: Broken) -> None:
    """Say that the process lives, and that requests should go elsewhere, unless the store only lacks room; and that
    this is over when it is."""
    for path in ("/livez", "/metrics"):
        assert broken.caller.get(path).status_code == 200
    ready = send(broken.caller, ("GET", "/readyz", {}))
    if ready.status_code != 200:
        parts = refusal(ready, 503, "not_ready")["readiness"]
        assert parts == {"draining": False, "store": dict.fromkeys(STORES, "down"), "upstream": "closed"}
    broken.repair()
    broken.repair = lambda: None
    give_up_at = time.monotonic() + PATIENCE_S
    while broken.caller.get("/readyz").status_code != 200:
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
    assert (ready.status_code == 200) == broken.is_full


@each_broken
def test_the_store_comes_back(broken: Broken, simulator: Simulator) -> None:
    """Keys are kept again, without a restart."""
    refusal(send(broken.caller, WRITES[0], **with_key("k")), 503, "store_unavailable")
    broken.repair()
    broken.repair = lambda: None
    made = insist(broken.caller)
    assert ids_of(simulator, ADA["email"]) == [json_of(made)["id"]]
    again = send(broken.caller, WRITES[0], **with_key("k"))
    assert again.headers["Idempotency-Replayed"] == "true"


def insist(caller: Caller, key: str = "k") -> TestResponse:
    """Sends the create until the store is noticed to be back, or to have room."""
    give_up_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up_at:
        response = send(caller, WRITES[0], **with_key(key))
        if response.status_code == 201:
            return response
        refusal(response, 503, "store_unavailable")
        time.sleep(0.05)
    raise AssertionError("the store was never noticed to be back")


@each_broken
def test_a_patch_whose_answer_was_lost(broken: Broken, simulator: Simulator) -> None:
    """Is not repeated: without its lease somebody else's change could have come between."""
    simulator.faults.add("commit_then_drop", methods=["client.update"], times=1)
    body = refusal(send(broken.caller, WRITES[1]), 502, "upstream_answer_lost")
    assert body["outcome"] == "unknown"
    assert count(simulator, "client.update") == 1


def test_the_same_patch_with_its_lease(make_gateway: Callable[..., Caller], simulator: Simulator) -> None:
    """Is repeated and succeeds: it is the lease that makes the difference."""
    simulator.faults.add("commit_then_drop", methods=["client.update"], times=1)
    assert send(make_gateway(), WRITES[1]).status_code == 200
    assert count(simulator, "client.update") == 2


@each_broken
def test_a_create_whose_answer_was_lost(broken: Broken, simulator: Simulator) -> None:
    """Is in doubt: a record that cannot be marked as ours is not adopted."""
    simulator.faults.add("commit_then_drop", methods=["client.create"])
    body = refusal(send(broken.caller, WRITES[0]), 504, "write_in_doubt")
    assert (body["outcome"], body["see"]) == ("unknown", "/clients?email=ada%40engines.example")
    assert count(simulator, "client.create") == 1


@pytest.mark.parametrize("step", ["client.list", "client.create", "client.get"])
@pytest.mark.parametrize("how", ["kill", "hang"])
def test_the_store_fails_in_the_middle_of_a_create(
    make_gateway: Callable[..., Caller], server: RedisServer, simulator: Simulator, step: str, how: str
) -> None:
    """Before it is sent, it never is, and says so; afterwards what happened is reported as it happened."""
    server.start()
    caller = make_gateway(store_url=server.url)
    simulator.faults.add("gate", gate="g", methods=[step])
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send, another(caller), WRITES[0], **with_key("k"))
        simulator.gates.wait("g")
        getattr(server, how)()
        simulator.gates.open("g")
        response = answer.result(PATIENCE_S)
    if step == "client.list":
        assert refusal(response, 503, "store_unavailable")["outcome"] == "not_applied"
        assert count(simulator, "client.create") == 0
    else:
        assert response.status_code == 201
        assert ids_of(simulator, ADA["email"]) == [json_of(response)["id"]]
    if how == "hang":
        server.go_on()


def test_the_store_was_full_when_the_answer_was_to_be_recorded(
    make_gateway: Callable[..., Caller], server: RedisServer, simulator: Simulator
) -> None:
    """The same request later finds the record: one client, although nobody could note that it was made."""
    server.start()
    caller = warm(make_gateway(store_url=server.url, upstream_deadline_s=2))
    simulator.faults.add("gate", gate="g", methods=["client.create"])
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(send, another(caller), WRITES[0], **with_key("k"))
        simulator.gates.wait("g")
        set_room(server, 1)
        simulator.gates.open("g")
        made = json_of(answer.result(PATIENCE_S))["id"]
    set_room(server, 0)
    give_up_at = time.monotonic() + PATIENCE_S
    while (response := send(caller, WRITES[0], **with_key("k"))).status_code != 201:
        assert json_of(response)["code"] == "key_in_flight"
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
    assert json_of(response)["id"] == made
    assert ids_of(simulator, ADA["email"]) == [made]


def fill(store: Store) -> None:
    """Until not even something small finds room."""
    for size in (10_000, 100):
        with suppress(StoreFull):
            for number in range(100_000):
                store.apply([], [Put(b"filling %d %d" % (size, number), b"x" * size, 3600)])


def test_a_full_folder(folder_ground: FolderGround, simulator: Simulator) -> None:
    """Takes no new key, and what was begun before is brought to its end; with time there is room again."""
    caller = gateway_on(folder_ground, simulator, upstream_deadline_s=60)
    simulator.faults.add("gate", gate="g", methods=["client.create"], times=1)
    begun = ahead(caller, "POST", "/clients", json=ADA, headers=with_key("begun"))
    simulator.gates.wait("g")
    fill(folder_ground.stores.records)
    simulator.gates.open("g")
    assert begun.result(PATIENCE_S).status_code == 201
    refused = refusal(send(caller, WRITES[0], **with_key("new")), 503, "store_unavailable")
    assert refused["outcome"] == "not_applied"
    assert send(caller, WRITES[0], **with_key("begun")).headers["Idempotency-Replayed"] == "true"
    assert send(caller, WRITES[1]).status_code == 200
    assert count(simulator, "client.create") == 1
    folder_ground.pass_time(3700)
    assert insist(caller, "new").status_code == 201


def test_a_full_server_and_what_was_done(make_gateway: Callable[..., Caller], server: RedisServer) -> None:
    """A key whose answer is known is replayed although nothing can be written."""
    caller = make_gateway(store_url=server.start().url)
    assert send(caller, WRITES[0], **with_key("k")).status_code == 201
    set_room(server, 1)
    assert send(caller, WRITES[0], **with_key("k")).headers["Idempotency-Replayed"] == "true"
    refusal(send(caller, WRITES[0], **with_key("new")), 503, "store_unavailable")


def overwrite(file: Path) -> None:
    file.write_bytes(random.Random(1).randbytes(file.stat().st_size))


def cut(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size // 1000)


DAMAGE = {
    "overwritten": overwrite,
    "truncated": cut,
    "emptied": lambda file: file.write_bytes(b""),
    "gone": Path.unlink,
}


def used(folder: Path) -> str:
    """A folder in which stores have been, in this process too, and are no more."""
    for name in ("coordination", "records"):
        store = open_store(str(folder), name, 4 << 20, durable=name == "records", evict=False)
        for number in range(100):
            store.apply([], [Put(b"entry %d" % number, b"x" * 1000, 3600)])
        store.close()
    return str(folder)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_of_records(
    make_gateway: Callable[..., Caller], simulator: Simulator, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    """Refuses every key until somebody has moved it away, then starts anew without a restart; the rest goes on."""
    caller = make_gateway(store_url=used(tmp_path))
    damage(tmp_path / "records" / "data" / "data.mdb")
    for key in ("k", "other", "k"):
        assert refusal(send(caller, WRITES[0], **with_key(key)), 503, "store_unavailable")["outcome"] == "not_applied"
    assert simulator.ledger.summary()["total"] == 0
    assert send(caller, WRITES[1]).status_code == 200
    assert send(caller, WRITES[0]).status_code == 201
    assert caller.get("/livez").status_code == 200
    (tmp_path / "records" / "data").rename(tmp_path / "records" / "put aside")
    simulator.reset()
    assert [json_of(insist(caller))["id"]] == ids_of(simulator, ADA["email"])


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_of_what_may_be_lost(
    make_gateway: Callable[..., Caller], tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    """Is put aside and told to the log once; nobody else notices."""
    caller = make_gateway(store_url=used(tmp_path))
    damage(tmp_path / "coordination" / "data" / "data.mdb")
    for number in range(3):
        assert send(caller, WRITES[0], **with_key(f"k{number}")).status_code == 201
        assert send(caller, WRITES[1], **with_key(f"k{number}")).status_code == 200
    assert [line["store"] for line in caller.log() if line["event"] == "store_damaged"] == ["coordination"]


def test_a_record_that_nobody_can_read(folder_ground: FolderGround, simulator: Simulator) -> None:
    """As another version of the gateway may leave it: refused like a store that cannot be asked."""
    name = take(folder_ground, simulator, "POST", "/clients", "k", ADA).name
    folder_ground.stores.records.apply([], [Put(name, b'{"state": 1}', 60)])
    refusal(send(gateway_on(folder_ground, simulator), WRITES[0], **with_key("k")), 503, "store_unavailable")
