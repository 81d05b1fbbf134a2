"""The memory of a failure."""

import pytest

from gateway.store.errors import StoreCorrupted, StoreDown, StoreError, StoreFull
from gateway.store.outage import Outage
from tests.store.places import Hands


def fail(outage: Outage, error: Exception) -> None:
    with outage.guard():
        raise error


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def outage(hands: Hands) -> Outage:
    return Outage(1.0, hands)


@pytest.mark.parametrize("kind", [StoreDown, StoreCorrupted])
def test_within_its_time(outage: Outage, kind: type[StoreError]) -> None:
    """Refuses with the same error, without running anything."""
    with pytest.raises(kind):
        fail(outage, kind("why"))
    with pytest.raises(kind, match="why"):
        fail(outage, AssertionError("must not run"))


@pytest.mark.parametrize("error", [StoreFull("no room"), ValueError("a bad batch")])
def test_an_answer_that_is_an_error(outage: Outage, error: Exception) -> None:
    """Is an answer: the next one runs."""
    with pytest.raises(type(error)):
        fail(outage, error)
    with outage.guard():
        pass


def test_after_its_time(outage: Outage, hands: Hands) -> None:
    """Lets one run, refuses others meanwhile, and everybody runs once that one has succeeded."""
    with pytest.raises(StoreDown):
        fail(outage, StoreDown("why"))
    hands.now_s += 2
    with outage.guard(), pytest.raises(StoreDown, match="why"):
        fail(outage, AssertionError("must not run"))
    with outage.guard(), outage.guard():
        pass


def test_a_try_that_fails(outage: Outage, hands: Hands) -> None:
    """Begins the time anew, and the next try after it is possible."""
    with pytest.raises(StoreDown):
        fail(outage, StoreDown("first"))
    for _ in range(3):
        hands.now_s += 2
        with pytest.raises(StoreDown, match="again"):
            fail(outage, StoreDown("again"))
        with pytest.raises(StoreDown, match="again"):
            fail(outage, AssertionError("must not run"))


def test_a_try_that_is_interrupted(outage: Outage, hands: Hands) -> None:
    """Leaves the way free for the next try."""
    with pytest.raises(StoreDown):
        fail(outage, StoreDown("why"))
    hands.now_s += 2
    with pytest.raises(KeyboardInterrupt), outage.guard():
        raise KeyboardInterrupt
    with outage.guard():
        pass
