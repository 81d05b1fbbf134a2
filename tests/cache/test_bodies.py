"""Large bodies, which lie beside their copies: what is shown when one of the two is gone or newer than the other."""

from __future__ import annotations

import pytest

from gateway.policy.bodies import Bodies
from gateway.policy.copies import BODY_WITHIN_BYTES_MAX, Content, content_of
from gateway.policy.shelf import Place, Shelf
from gateway.secret import Secret
from gateway.store.interface import Delete
from simulator.server import Simulator
from tests.cache.ground import STALE_S, asked, body, stamps_of
from tests.support.gateway import Caller
from tests.support.ground import ON_BOTH_STORES, Ground, gateway_on

PAGE = "/clients?per_page=100"


def shelf_of(ground: Ground, simulator: Simulator) -> tuple[Shelf, Place]:
    """A shelf as a process of its own would have it, and a place for a page."""
    stamps = stamps_of(ground, simulator)
    shelf = Shelf(ground.stores.cache, b"account", stamps, b"sick:account")
    return shelf, shelf.place(Secret("demo-admin"), "client", b"{}", stamps.epoch_key("client"))


def page_of(size_bytes: int, letter: str = "x") -> Content:
    """A page whose JSON is that long."""
    return content_of(letter * (size_bytes - 2), pages=7)


def keep(shelf: Shelf, place: Place, content: Content, ground: Ground) -> None:
    seen = shelf.ready(shelf.look(place))
    batch = shelf.batch(place, seen, content, ground.clock(), 30, STALE_S)
    assert batch
    assert shelf.apply(batch)


def shown(shelf: Shelf, place: Place) -> Content | None:
    copy = shelf.look(place).copy
    return copy.content if copy else None


@ON_BOTH_STORES
@pytest.mark.parametrize("size_bytes", [BODY_WITHIN_BYTES_MAX, BODY_WITHIN_BYTES_MAX + 1, 90_000])
def test_a_body_of_any_size_is_shown_as_it_was_kept(ground: Ground, simulator: Simulator, size_bytes: int) -> None:
    """By the process that kept it and by others, the first time and from their memories."""
    keeper, place = shelf_of(ground, simulator)
    other, _ = shelf_of(ground, simulator)
    content = page_of(size_bytes)
    keep(keeper, place, content, ground)
    assert [shown(shelf, place) for shelf in (keeper, other, other)] == [content] * 3


@ON_BOTH_STORES
def test_a_copy_whose_body_is_gone_is_no_copy(ground: Ground, simulator: Simulator) -> None:
    """Whoever has not read the body before fetches it anew."""
    keeper, place = shelf_of(ground, simulator)
    keep(keeper, place, page_of(90_000), ground)
    ground.stores.cache.apply([], [Delete(place.body_key)])
    seen = keeper.look(place)
    assert (seen.found, seen.copy) == (True, None)


@ON_BOTH_STORES
def test_a_body_that_another_has_replaced_is_not_shown_under_the_old_tag(ground: Ground, simulator: Simulator) -> None:
    """Nor is a body that this process remembers shown under the new one."""
    keeper, place = shelf_of(ground, simulator)
    other, _ = shelf_of(ground, simulator)
    old, new = page_of(90_000, "o"), page_of(90_000, "n")
    keep(keeper, place, old, ground)
    head = ground.stores.cache.get(place.key)
    assert shown(other, place) == old
    keep(keeper, place, new, ground)
    assert shown(other, place) == new
    stranger, _ = shelf_of(ground, simulator)
    torn = [head, *ground.stores.cache.get_many([place.stamp_key, place.epoch_key]), None]
    assert stranger.read(place, torn).copy is None
    assert shown(stranger, place) == new


def test_an_old_copy_leaves_no_body_behind_for_long(ground: Ground, simulator: Simulator) -> None:
    """Every body of a place lies under the same key, so what changes often fills nothing."""
    keeper, place = shelf_of(ground, simulator)
    for letter in "abc":
        keep(keeper, place, page_of(90_000, letter), ground)
    assert (ground.stores.cache.get(place.body_key) or b"").endswith(b'c"')


@ON_BOTH_STORES
def test_a_page_whose_body_was_lost_is_fetched_again(simulator: Simulator, ground: Ground, caller: Caller) -> None:
    """Its caller notices nothing, and from then on it is a hit again."""
    first = body(caller.get(PAGE))
    kept = [key for key in ground.cache.keys_asked() if key.startswith(b"body:")]
    ground.stores.cache.apply([], [Delete(key) for key in kept])
    fresh = gateway_on(ground, simulator)
    assert kept
    assert asked(simulator, lambda: body(fresh.get(PAGE))) == ["client.list"]
    assert asked(simulator, lambda: body(fresh.get(PAGE))) == []
    assert body(fresh.get(PAGE)) == first


def test_the_bodies_that_came_first_make_room() -> None:
    """So many bytes and no more; a body that is larger than all the room is not kept, and takes nobody's."""
    bodies = Bodies(100)
    for number in range(4):
        bodies.put(str(number), b"x" * 40)
    bodies.put("3", b"x" * 40)
    bodies.put("giant", b"x" * 101)
    assert [bodies.get(str(number)) is not None for number in range(4)] == [False, False, True, True]
    assert bodies.get("giant") is None
