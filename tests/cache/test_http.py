"""What HTTP says about caching: entity tags, conditional reads, and `Cache-Control` both ways."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.policy.copies import etag_of
from simulator.server import Simulator
from tests.cache.ground import asked, body, cache_status
from tests.support.gateway import Caller
from tests.support.ground import ON_BOTH_STORES, FolderGround, Ground, RedisGround, refusal
from tests.support.ground import gateway_on as gateway
from tests.support.redis_server import RedisServer
from tests.support.server import GatewayProcess

RECORD, PAGE = "/clients/13", "/clients?per_page=5&page=2"
both_kinds = pytest.mark.parametrize("path", [RECORD, PAGE], ids=["record", "list"])


def with_cache_control(directives: str) -> dict[str, str]:
    """Request headers."""
    return {"Cache-Control": directives}


@both_kinds
def test_tags_are_strong_and_of_the_very_bytes(caller: Caller, path: str) -> None:
    """From the upstream and from the cache."""
    for response in (caller.get(path), caller.get(path)):
        assert response.headers["ETag"] == etag_of(response.get_data())
        assert response.headers["ETag"].startswith('"')


def test_a_row_of_a_list_has_the_bytes_of_its_record(caller: Caller) -> None:
    """So the tag of a record can be told from a list, and used in `If-Match`."""
    page = caller.get("/clients?per_page=100")
    rows = msgspec.json.decode(page.get_data(), type=dict[str, Any])["items"]
    raw_rows = msgspec.json.decode(page.get_data(), type=_RawPage).items
    assert len(rows) > 20
    for row, raw in list(zip(rows, raw_rows, strict=True))[:20]:
        record = caller.get(f"/clients/{row['id']}")
        assert record.get_data() == bytes(raw)
        assert record.headers["ETag"] == etag_of(bytes(raw))
    chosen = bytes(raw_rows[0])
    changed = caller.patch(
        f"/clients/{rows[0]['id']}", json={"notes": "by its row"}, headers={"If-Match": etag_of(chosen)}
    )
    assert body(changed)["notes"] == "by its row"


class _RawPage(msgspec.Struct):
    items: list[msgspec.Raw]


@both_kinds
def test_tags_are_the_same_everywhere(
    simulator: Simulator, tmp_path: Path, redis_server: RedisServer, path: str
) -> None:
    """From two gateways, after a restart, for two credentials that see the same, on both stores, without a cache."""
    tags = []
    for ground in (FolderGround(tmp_path / "a"), RedisGround(redis_server.url)):
        gateways = [gateway(ground, simulator, cache_ttl_s=ttl_s) for ttl_s in (30, 30, 0)]
        tags += [one.get(path).headers["ETag"] for one in gateways]
        ground.close()
    reopened = FolderGround(tmp_path / "a")
    tags.append(gateway(reopened, simulator).get(path).headers["ETag"])
    for one in simulator.store.dump():
        simulator.store.edit({"client_id": one["client_id"], "assigned_to": ["staff"], "updated": one["updated"]})
    reopened.pass_time(31)
    open_to_all = gateway(reopened, simulator, gateway_auth="passthrough", upstream_token=None)
    for token in ("demo-admin", "demo-staff"):
        credentials = base64.b64encode(f"{token}:X".encode()).decode()
        tags.append(open_to_all.get(path, headers={"Authorization": f"Basic {credentials}"}).headers["ETag"])
    reopened.close()
    assert len(set(tags)) == 1
    assert len(tags) == 9


def test_tags_survive_the_restart_of_the_processes(simulator: Simulator, tmp_path: Path) -> None:
    """A tag from before is still good for 304, with no call upstream, and for If-Match."""
    env = {
        "UPSTREAM_URL": simulator.url,
        "UPSTREAM_TOKEN": "demo-admin",
        "GATEWAY_AUTH": "open",
        "STORE_URL": str(tmp_path),
        "GATEWAY_WORKERS": "1",
        "CACHE_TTL_S": "3600",
    }

    def ask(running: GatewayProcess, method: str, content: bytes | None = None, **headers: str) -> tuple[int, str]:
        connection = running.connect()
        try:
            connection.request(
                method, RECORD, content, {name.replace("_", "-"): text for name, text in headers.items()}
            )
            response = connection.getresponse()
            response.read()
            return response.status, response.headers["ETag"]
        finally:
            connection.close()

    with GatewayProcess(env) as running:
        status, tag = ask(running, "GET")
        assert status == 200
    with GatewayProcess(env) as running:
        simulator.ledger.clear()
        assert ask(running, "GET", If_None_Match=tag) == (304, tag)
        assert simulator.ledger.calls() == []
        patch = json.dumps({"notes": "n"}).encode()
        assert ask(running, "PATCH", patch, If_Match=tag, Content_Type="application/json")[0] == 200


@ON_BOTH_STORES
@both_kinds
def test_what_the_caller_has_is_not_sent_again(simulator: Simulator, caller: Caller, path: str) -> None:
    """304 from a fresh copy costs no call, and has the headers of the 200 but no body."""
    full = caller.get(path)
    tag = full.headers["ETag"]
    short: list[Any] = []
    forms = (tag, f"W/{tag}", f'"other", {tag}', "*")
    known = [{"If-None-Match": form} for form in forms]
    assert asked(simulator, lambda: short.extend(caller.get(path, headers=headers) for headers in known)) == []
    assert [(one.status_code, one.get_data()) for one in short] == [(304, b"")] * 4
    for name in ("ETag", "Cache-Control", "Vary", "Link"):
        assert {one.headers.get(name) for one in short} == {full.headers.get(name)}
    assert all("hit" in cache_status(one) for one in short)
    assert caller.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@both_kinds
def test_a_change_is_sent_whole(simulator: Simulator, caller: Caller, path: str) -> None:
    """With the new tag."""
    tag = caller.get(path).headers["ETag"]
    key = 13 if path == RECORD else body(caller.get(path))["items"][0]["id"]
    caller.patch(f"/clients/{key}", json={"notes": "new"})
    changed = caller.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] not in (tag, "")


@both_kinds
def test_every_answer_says_that_it_is_private_and_to_be_asked_about(caller: Caller, path: str) -> None:
    """And on which request headers it depends."""
    for response in (caller.get(path), caller.get(path), caller.request("HEAD", path)):
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert {"Accept", "Authorization"} <= set(response.vary)
        assert "Age" in response.headers


@both_kinds
def test_head_comes_from_the_cache_as_get_does(simulator: Simulator, caller: Caller, path: str) -> None:
    """It fills it, too."""
    heads: list[Any] = []
    assert len(asked(simulator, lambda: heads.append(caller.request("HEAD", path)))) == 1
    assert asked(simulator, lambda: heads.extend([caller.request("HEAD", path), caller.get(path)])) == []
    assert len({one.headers["ETag"] for one in heads}) == 1
    assert [len(one.get_data()) > 0 for one in heads] == [False, False, True]
    tag = {"If-None-Match": heads[0].headers["ETag"]}
    assert caller.request("HEAD", path, headers=tag).status_code == 304


def test_the_age_is_that_of_the_copy(ground: Ground, caller: Caller) -> None:
    """In whole seconds; what comes from the upstream has none. `ttl` is what is left."""
    assert caller.get(RECORD).headers["Age"] == "0"
    ground.pass_time(7)
    response = caller.get(RECORD)
    assert response.headers["Age"] == "7"
    assert 30 * 0.85 - 8 <= int(cache_status(response)["ttl"]) <= 30 - 7


@both_kinds
@pytest.mark.parametrize("directives", ["no-cache", "No-Cache", "max-age=0, no-cache", 'private="x", no-cache'])
def test_no_cache_asks_anew_and_keeps_the_answer(
    simulator: Simulator, caller: Caller, path: str, directives: str
) -> None:
    """An edit past the gateway is seen, and by the others from then on."""
    caller.get(path)
    key = 13 if path == RECORD else body(caller.get(path))["items"][0]["id"]
    simulator.store.edit({"client_id": key, "notes": "edited"})
    response = caller.get(path, headers=with_cache_control(directives))
    assert b'"notes":"edited"' in response.get_data()
    assert cache_status(response) == {"fwd": "request", "stored": True}
    assert b'"notes":"edited"' in caller.get(path).get_data()


@both_kinds
def test_no_store_neither_takes_nor_keeps(simulator: Simulator, ground: Ground, caller: Caller, path: str) -> None:
    """Before and after there is a copy."""
    no_store = with_cache_control("no-store")
    assert cache_status(caller.get(path, headers=no_store)) == {"fwd": "request", "detail": "no-store"}
    assert cache_status(caller.get(path)) == {"fwd": "uri-miss", "stored": True}
    assert len(asked(simulator, lambda: caller.get(path, headers=no_store))) == 1


@both_kinds
@pytest.mark.parametrize("directives", ["max-age=10", 'max-age="10"', "no-transform , max-age = 10"])
def test_max_age_takes_a_copy_up_to_that_age(
    simulator: Simulator, ground: Ground, caller: Caller, path: str, directives: str
) -> None:
    """And asks when it is older."""
    headers = with_cache_control(directives)
    caller.get(path)
    ground.pass_time(10)
    assert asked(simulator, lambda: caller.get(path, headers=headers)) == []
    ground.pass_time(1)
    answers: list[Any] = []
    assert len(asked(simulator, lambda: answers.append(caller.get(path, headers=headers)))) == 1
    assert cache_status(answers[0]) == {"fwd": "request", "stored": True}
    assert asked(simulator, lambda: caller.get(path, headers=headers)) == []


@both_kinds
@pytest.mark.parametrize("directives", ["max-age=-1", "max-age=x", "max-age", "min-fresh=100", "shoe=1", ",,", "="])
def test_directives_that_make_no_sense_or_are_not_known_are_ignored(
    simulator: Simulator, caller: Caller, path: str, directives: str
) -> None:
    """As RFC 9111 asks."""
    caller.get(path)
    assert asked(simulator, lambda: caller.get(path, headers=with_cache_control(directives))) == []


@both_kinds
def test_only_if_cached_asks_nobody(simulator: Simulator, ground: Ground, caller: Caller, path: str) -> None:
    """504 `not_cached` before there is a copy and when it is too old; the copy in between."""
    only = with_cache_control("only-if-cached")
    assert asked(simulator, lambda: refusal(caller.get(path, headers=only), 504, "not_cached")) == []
    caller.get(path)
    assert asked(simulator, lambda: body(caller.get(path, headers=only))) == []
    short = with_cache_control("only-if-cached, max-age=5")
    ground.pass_time(6)
    assert asked(simulator, lambda: refusal(caller.get(path, headers=short), 504, "not_cached")) == []
    ground.pass_time(25)
    assert asked(simulator, lambda: refusal(caller.get(path, headers=only), 504, "not_cached")) == []


@pytest.mark.parametrize("directives", ["only-if-cached, no-cache", "only-if-cached, no-store"])
def test_only_if_cached_asks_nobody_whatever_else_is_said(
    simulator: Simulator, ground: Ground, caller: Caller, directives: str
) -> None:
    """Nor when the store cannot be asked."""
    caller.get(RECORD)
    headers = with_cache_control(directives)
    assert asked(simulator, lambda: refusal(caller.get(RECORD, headers=headers), 504, "not_cached")) == []
    ground.cache.is_down = True
    assert asked(simulator, lambda: refusal(caller.get(RECORD, headers=headers), 504, "not_cached")) == []


def test_a_bad_condition_is_refused_before_anything_is_asked(simulator: Simulator, caller: Caller) -> None:
    """400, naming the header."""
    for given in ("33a64df5", '"unclosed', '""x', '*, "a"', "W/*"):
        problem = {"If-None-Match": given}
        assert asked(simulator, lambda: refusal(caller.get(RECORD, headers=problem), 400, "invalid_header")) == []  # noqa: B023


def test_browsers_may_read_what_is_said_about_the_cache(simulator: Simulator, make: Callable[..., Caller]) -> None:
    """CORS lets pages see the headers, and send theirs."""
    caller = make(gateway_cors_origins="https://app.example.com")
    response = caller.get(RECORD, headers={"Origin": "https://app.example.com"})
    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"ETag", "Cache-Status", "Age"} <= set(exposed)
