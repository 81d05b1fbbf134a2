"""What the short cut remembers of those who ask: never more than it may, never for anybody else."""

from __future__ import annotations

import base64
import gc
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from gateway.edge.asking import REMEMBERED_MAX, Ask, Asking, Wanted
from gateway.edge.hot import Hot
from gateway.edge.shortcut import HOT_BYTES_MAX, Shortcut
from gateway.policy.shelf import Seen
from gateway.settings import Settings
from simulator.server import Simulator
from tests.edge.corpus import requests
from tests.edge.twins import settings
from tests.support.gateway import open_app

CANARY = "canary-5e8d"
MakeShortcut = Callable[[str], Shortcut]


@pytest.fixture
def apps() -> Iterator[list[Flask]]:
    """The gateways whose short cuts were made."""
    kept: list[Flask] = []
    yield kept
    kept.clear()
    gc.collect()


@pytest.fixture
def make(apps: list[Flask], simulator: Simulator, tmp_path: Path) -> MakeShortcut:
    """Makes the short cut of a gateway in a mode of authentication."""

    def made(mode: str) -> Shortcut:
        env = settings(simulator, mode, STORE_URL=str(tmp_path / mode), LOG_HITS_SHARE="0", LOG_LEVEL="error")
        apps.append(open_app(Settings.from_env(env)))
        shortcut: Shortcut = apps[-1].extensions["shortcut"]
        return shortcut

    return made


def read(target: str = "/clients/13", *lines: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def whole(asking: Asking, data: bytes) -> Ask:
    ask = asking.whole(data)
    assert ask is not None, data
    return ask


def at_hand(shortcut: Shortcut, ask: Ask) -> bytes:
    """The answer; nothing when there is none at hand."""
    (found,) = shortcut.at_hand([ask], time.monotonic())
    return b"" if found is None or isinstance(found, Seen) else b"".join(found)


def basic(token: str) -> str:
    return f"Authorization: Basic {base64.b64encode(f'{token}:X'.encode()).decode()}"


def alive(kind: type) -> list[object]:
    return [one for one in gc.get_objects() if isinstance(one, kind)]


@pytest.mark.parametrize("mode", ["open", "keys", "passthrough"])
def test_whatever_is_asked_nothing_is_raised(make: MakeShortcut, mode: str) -> None:
    """By the corpus, asked twice; much of it is understood."""
    asking = make(mode).asking
    asked = requests(mode, seed=5, total=3000) * 2
    understood = [one for one in asked if asking.whole(one.data) is not None]
    assert len(understood) > 150
    for one in asked:
        asking.first(b"xyz" + one.data, 3)


@pytest.mark.parametrize(
    "mode, one, other",
    [
        ("passthrough", basic("demo-admin"), basic("demo-staff")),
        ("keys", "Authorization: Bearer key-one", "Authorization: Bearer key-two"),
    ],
)
def test_callers_with_other_credentials_share_nothing(make: MakeShortcut, mode: str, one: str, other: str) -> None:
    """Though all else is the same, byte for byte, and in whatever order they ask."""
    asking = make(mode).asking
    for target in ("/clients/13", "/clients?page=1"):
        first, second = whole(asking, read(target, one)), whole(asking, read(target, other))
        assert first.wanted is not second.wanted
        assert whole(asking, read(target, one)).wanted is first.wanted
        assert whole(asking, read(target, other)).wanted is second.wanted
        if mode == "passthrough":
            assert first.wanted.heard.token.reveal() == "demo-admin"
            assert second.wanted.heard.token.reveal() == "demo-staff"
            assert first.wanted.keys != second.wanted.keys


def test_an_answer_is_for_the_token_that_it_was_got_with(make: MakeShortcut) -> None:
    """The staff sees other clients than the administrator; each has been asked for and is at hand."""
    shortcut = make("passthrough")
    asks = [
        whole(shortcut.asking, read("/clients?per_page=60", basic(token))) for token in ("demo-admin", "demo-staff")
    ]
    fresh = [b"".join(shortcut.answer(ask)) for ask in asks]
    for _ in range(3):
        bodies = [at_hand(shortcut, ask).partition(b"\r\n\r\n")[2] for ask in asks]
        assert bodies == [one.partition(b"\r\n\r\n")[2] for one in fresh]
        assert bodies[0] != bodies[1]
    assert shortcut.asking.whole(read("/clients?per_page=60")) is None


def test_what_is_heeded_sets_those_who_ask_apart(make: MakeShortcut) -> None:
    """One header more, less or different is another wish; what nobody heeds is not."""
    asking = make("keys").asking
    said = [
        ("Authorization: Bearer key-one", "Authorization: Bearer key-two"),
        ("", "Accept: */*", "Accept: application/json"),
        ("", 'If-None-Match: "a"', "If-None-Match: *"),
        ("", "Cookie: a=1", "Dnt: 1"),
    ]
    wanted: dict[tuple[str, ...], set[int]] = {}
    for lines in itertools.product(*said):
        ask = whole(asking, read("/clients/13", *[line for line in lines if line]))
        wanted.setdefault(lines[:3], set()).add(id(ask.wanted))
    assert {len(ids) for ids in wanted.values()} == {1}
    assert len(set.union(*wanted.values())) == len(wanted)


def test_ten_thousand_targets_are_not_all_remembered(make: MakeShortcut) -> None:
    """Nor as many callers with one each, nor as many ways to write the same."""
    asking = make("passthrough").asking
    ways: list[Callable[[int], bytes]] = [
        lambda n: read(f"/clients/{n + 1}", basic("demo-admin")),
        lambda n: read("/clients/13", basic(f"token-{n}")),
        lambda n: read("/clients/13", basic("demo-admin"), f'If-None-Match: "{n}"'),
        lambda n: read("/clients/13", basic("demo-admin"), f"User-Agent: {n}"),
    ]
    for way in ways:
        for number in range(10_000):
            whole(asking, way(number))
        assert len(alive(Wanted)) <= REMEMBERED_MAX
        assert len(alive(Ask)) <= REMEMBERED_MAX + 1


def test_answers_that_are_at_hand_have_a_bound_in_memory(make: MakeShortcut) -> None:
    """However many ask for large ones in their own way; and all are answered."""
    shortcut = make("open")
    page = whole(shortcut.asking, read("/clients?per_page=100"))
    shortcut.answer(page)
    for number in range(1000):
        ask = whole(shortcut.asking, read("/clients?per_page=100", f'If-None-Match: "{number}"'))
        assert at_hand(shortcut, ask)
        if number % 100 == 99:
            held = sum(one.bytes_total for one in alive(Hot) if isinstance(one, Hot))
            assert held < HOT_BYTES_MAX * 1.1
    assert at_hand(shortcut, whole(shortcut.asking, read("/clients?per_page=100")))


def test_what_the_loop_has_seen_is_not_believed_after_a_write(make: MakeShortcut, apps: list[Flask]) -> None:
    """It saw no copy; then a caller changes the record twice, and each time the read asks again and gets
    the change, as do those after it."""
    shortcut = make("open")
    ask = whole(shortcut.asking, read())
    (seen,) = shortcut.at_hand([ask], time.monotonic())
    assert isinstance(seen, Seen)
    for notes in ("once", "twice"):
        assert apps[-1].test_client().patch("/clients/13", json={"notes": notes}).status_code == 200
        answer = b"".join(shortcut.answer(ask, seen))
        assert f'"notes":"{notes}"'.encode() in answer
        assert f'"notes":"{notes}"'.encode() in at_hand(shortcut, ask)


@pytest.mark.parametrize("line", [f"Authorization: Bearer {CANARY}", f"Cookie: {CANARY}", f"COOKIE: {CANARY}"])
def test_no_secret_shows_in_what_is_remembered(make: MakeShortcut, line: str) -> None:
    """Nor in what is shown of it."""
    shortcut = make("open")
    ask = whole(shortcut.asking, read("/clients/13", line))
    whole(shortcut.asking, read("/clients/13", line))
    for shown in (ask, ask.wanted, ask.wanted.heard, vars(shortcut.asking), vars(shortcut)):
        assert CANARY not in repr(shown)


def test_no_token_shows_either(make: MakeShortcut) -> None:
    """The caller's own token, decoded or as it came."""
    shortcut = make("passthrough")
    ask = whole(shortcut.asking, read("/clients/13", basic(CANARY), "X-Request-Id: a"))
    for shown in (ask, ask.wanted, ask.wanted.heard, vars(shortcut.asking), vars(shortcut)):
        assert CANARY not in repr(shown)
        assert basic(CANARY).split()[-1] not in repr(shown)
