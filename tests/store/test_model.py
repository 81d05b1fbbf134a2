"""Any sequence of batches leaves a store exactly as it would leave a dict."""

from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gateway.store.interface import Add, Applied, Check, Delete, Put, Store, Write
from tests.store.inspection import index_matches_data
from tests.store.places import FolderPlace, Place

KEYS = [b"a", b"b", b"\0", b"k" * 446, b"k" * 447, b"k" * 600, b"k" * 600 + b"2"]


def key_of(number: int) -> bytes:
    return KEYS[number]


def value_of(length: int) -> bytes:
    return b"v" * length


VALUES = st.sampled_from([b"", b"0", b"7", b"-3", b"x"]) | st.sampled_from([4_068, 4_069, 20_000]).map(value_of)
KEY = st.integers(0, len(KEYS) - 1).map(key_of)
LIFETIME_S = st.sampled_from([10_000, 20_000, 30_000])
WRITE: st.SearchStrategy[Write] = st.one_of(
    st.builds(Put, KEY, VALUES, LIFETIME_S),
    st.builds(Add, KEY, st.integers(-5, 5), LIFETIME_S),
    st.builds(Delete, KEY),
)
WRITES = st.lists(WRITE, max_size=4, unique_by=lambda write: write.key)


class Model:
    """Every batch applied to a copy, the copy kept if nothing failed."""

    def __init__(self) -> None:
        self.entries: dict[bytes, tuple[bytes, float]] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.entries[key][0] if key in self.entries else None

    def apply(self, checks: list[Check], writes: list[Write]) -> Applied | None:
        if any(self.get(check.key) != check.expected for check in checks):
            return None
        after, counters = dict(self.entries), []
        for write in writes:
            if isinstance(write, Add):
                before = self.get(write.key)
                counters.append((0 if before is None else int(before)) + write.amount)
                after[write.key] = (b"%d" % counters[-1], write.ttl_s)
            elif isinstance(write, Put):
                after[write.key] = (write.value, write.ttl_s)
            else:
                after.pop(write.key, None)
        self.entries = after
        return Applied(tuple(counters))

    def pass_time(self, duration_s: float) -> None:
        self.entries = {
            key: (value, left_s - duration_s) for key, (value, left_s) in self.entries.items() if left_s > duration_s
        }


class Comparison(RuleBasedStateMachine):
    """Does the same to a store and to the model."""

    place: Place

    def __init__(self) -> None:
        super().__init__()
        self.store: Store = self.place.fresh()
        self.model = Model()

    @rule(writes=WRITES, data=st.data())
    def apply(self, writes: list[Write], data: st.DataObject) -> None:
        checks = [
            Check(key, self.model.get(key) if data.draw(st.booleans()) else data.draw(st.none() | VALUES))
            for key in data.draw(st.lists(KEY, max_size=2))
        ]
        assert _outcome(lambda: self.store.apply(checks, writes)) == _outcome(lambda: self.model.apply(checks, writes))

    @rule(duration_s=st.sampled_from([5_000, 10_000, 20_000]))
    def pass_time(self, duration_s: float) -> None:
        self.place.pass_time(duration_s)
        self.model.pass_time(duration_s)

    @invariant()
    def reads_the_same(self) -> None:
        expected = [self.model.get(key) for key in KEYS]
        assert self.store.get_many(KEYS) == expected
        assert [self.store.get(key) for key in KEYS] == expected

    def teardown(self) -> None:
        self.store.close()
        if isinstance(self.place, FolderPlace):
            assert index_matches_data(f"{self.place.at.url}/{self.place.at.name}")


def _outcome(call: Callable[[], Applied | None]) -> Applied | str | None:
    try:
        return call()
    except ValueError:
        return "refused"


def test_any_sequence_of_batches(place: Place) -> None:
    """Has the results, and leaves the entries, that the model has."""
    machine = type("Machine", (Comparison,), {"place": place})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
        ),
    )
