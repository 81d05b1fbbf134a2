"""Tasks of a loop: code that waits as if it were in a thread, and leaves the thread to the others meanwhile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial

import pytest

from gateway import waiting
from tests.support.loop import Loop

SAFETY_S = 30.0


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.poller.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


def test_while_one_waits_another_goes_on(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    """The second sends what the first waits for: were the thread held, nobody could."""
    ours, theirs = pair
    told: list[object] = []

    def first() -> None:
        told.append(waiting.ready(ours, waiting.READ, SAFETY_S))
        told.append(ours.recv(9))

    def second() -> None:
        told.append(theirs.send(b"x"))

    loop.run(first, second)
    assert told == [1, True, b"x"]


def test_a_socket_can_be_waited_for_again_and_again(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    """To be read and to be written, in turn, and after a wait that was in vain."""
    ours, theirs = pair
    told: list[bool] = []

    def task() -> None:
        told.append(waiting.ready(ours, waiting.READ, 0.001))
        for _ in range(3):
            told.append(waiting.ready(ours, waiting.WRITE, SAFETY_S))
            theirs.send(b"x")
            told.append(waiting.ready(ours, waiting.READ, SAFETY_S))
            ours.recv(1)
        told.append(waiting.ready(ours, waiting.READ, 0.001))

    loop.run(task)
    assert told == [False, True, True, True, True, True, True, False]


def test_whoever_waits_shortest_goes_on_first(loop: Loop) -> None:
    """Whatever the order in which they began."""
    order: list[str] = []

    def sleeper(name: str, duration_s: float) -> None:
        waiting.sleep(duration_s)
        order.append(name)

    loop.run(partial(sleeper, "long", 0.6), partial(sleeper, "short", 0.001), partial(sleeper, "middle", 0.3))
    assert order == ["short", "middle", "long"]


def test_who_gives_way_goes_on_after_all_who_can(loop: Loop) -> None:
    """In the same round: those that were there before, and those that began meanwhile; in the order they gave way."""
    order: list[str] = []

    def polite(name: str) -> None:
        waiting.give_way()
        order.append(name)
        waiting.give_way()
        order.append(f"{name} again")

    def hasty() -> None:
        order.append("hasty")

    loop.run(partial(polite, "first"), partial(polite, "second"), hasty)
    assert order == ["hasty", "first", "second", "first again", "second again"]


def test_a_round_ends_when_nobody_gives_way_any_more(loop: Loop) -> None:
    """The loop waits afterwards, and nothing would wake it for somebody who can go on. A thread gives way to nobody."""
    ended: list[bool] = []

    def task() -> None:
        for _ in range(3):
            waiting.give_way()
        ended.append(True)

    loop.tasks.start(task)
    loop.tasks.go_on()
    waiting.give_way()
    assert ended == [True]
    assert loop.tasks.wait_s(None) is None


def test_a_place_is_waited_for_without_holding_the_loop(loop: Loop) -> None:
    """The task that has it is in the same thread: to block would be for ever."""
    places = threading.Semaphore(1)
    told: list[str] = []

    def holder() -> None:
        assert waiting.acquired(places, SAFETY_S)
        waiting.sleep(0.01)
        told.append("first")
        places.release()

    def next_one() -> None:
        assert waiting.acquired(places, SAFETY_S)
        told.append("second")
        assert not waiting.acquired(places, 0.005)

    loop.run(holder, next_one)
    assert told == ["first", "second"]


def test_what_another_thread_does_is_waited_for(loop: Loop) -> None:
    """Such as looking a name up; and not for ever."""
    future: Future[int] = Future()
    told: list[bool] = []

    def task() -> None:
        told.append(waiting.done(future, 0.005))
        thread = threading.Thread(target=future.set_result, args=(7,))
        thread.start()
        told.append(waiting.done(future, SAFETY_S))
        thread.join()

    loop.run(task)
    assert told == [False, True]


def test_a_task_may_begin_others(loop: Loop) -> None:
    """Each runs when the one that began it waits or ends, on a stack that another has left."""
    begun: list[int] = []

    def begin(number: int) -> None:
        begun.append(number)
        if number < 100:
            loop.tasks.start(lambda: begin(number + 1))
            waiting.sleep(0)

    loop.run(lambda: begin(0))
    loop.run_until(lambda: len(begun) == 101)
    assert begun == list(range(101))


def test_waits_that_are_over_are_not_kept(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    """Ten thousand waits with a long time limit, each over at once."""
    ours, _ = pair
    total = 0

    def task() -> None:
        nonlocal total
        for _ in range(10_000):
            total += waiting.ready(ours, waiting.WRITE, SAFETY_S)

    loop.tasks.start(task)
    for _ in range(50_000):
        loop.tasks.go_on()
        if total == 10_000:
            break
        for call, file in loop.poller.ready(loop.tasks.wait_s(1.0)):
            call(file)
    assert total == 10_000
    assert len(loop.tasks._timers) < 2_000


def test_in_a_thread_the_same_words_just_wait(pair: tuple[socket.socket, socket.socket]) -> None:
    """Nobody need know where the code runs."""
    ours, theirs = pair
    assert not waiting.ready(ours, waiting.READ, 0.001)
    theirs.send(b"x")
    assert waiting.ready(ours, waiting.READ, SAFETY_S)
    assert waiting.ready(ours, waiting.WRITE, SAFETY_S)
    assert waiting.acquired(threading.Semaphore(1), 0)
    assert not waiting.acquired(threading.Semaphore(0), 0.001)
    assert not waiting.done(Future(), 0.001)
