"""The states of a key's record, against a model: whatever happens in whatever order. Over the embedded store."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gateway.deadline import Deadline
from gateway.errors import KeyInFlight, KeyReused
from gateway.policy.idempotency import Answer, Idempotency, Reservation
from gateway.secret import Secret
from gateway.telemetry import Metrics, open_log
from tests.keys.ground import DAY_S, OWNER_LIFE_S
from tests.support.ground import DEADLINE_S, FolderGround

ANSWER = Answer(201, b"{}", {"Location": "/clients/1"})
ENDS = ("done", "made", "unknown", "free")


class KeyRecord(RuleBasedStateMachine):
    """Requests begin, send, end, die, and are overtaken; time passes."""

    @initialize()
    def nothing_is_known(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="key-record-")
        self.ground = FolderGround(Path(self.folder.name))
        log = open_log("error", io.BytesIO())
        self.book = Idempotency(self.ground.stores.records, b"a", Metrics(multiprocess=False), log, self.ground.clock)
        self.state: str | None = None
        self.payload: str | None = None
        self.owner: Reservation | None = None
        """The last to whom the key was given, until it ends."""
        self.owner_lives = False
        """As far as others can tell."""
        self.was_sent = False
        """By this owner."""
        self.overtaken: list[Reservation] = []

    @rule(payload=st.sampled_from(["one", "one", "one", "two"]))
    def somebody_comes(self, payload: str) -> None:
        if self.payload not in (None, payload):
            with pytest.raises(KeyReused):
                self.begin(payload)
        elif self.state in ("done", "made"):
            assert self.begin(payload) == (ANSWER if self.state == "done" else 1)
        elif self.owner is not None and self.owner_lives:
            with pytest.raises(KeyInFlight):
                self.begin(payload)
        else:
            self.is_given_the_key(self.begin(payload), payload)

    @precondition(lambda self: self.owner is not None)
    @rule()
    def the_owner_sends(self) -> None:
        assert self.owner is not None
        self.owner.sent([7], 3)
        assert (self.owner.entry.before, self.owner.entry.oldest) == ((7,), 3)
        self.state, self.was_sent = "sent", True

    @precondition(lambda self: self.owner is not None)
    @rule(how=st.sampled_from(ENDS))
    def the_owner_ends(self, how: str) -> None:
        assert self.owner is not None
        if how != "free" and not self.was_sent and not self.owner.in_doubt:
            return
        end(self.owner, how)
        if how != "free":
            self.state = how
        elif self.owner.in_doubt:
            self.state = "unknown"
        else:
            self.state = self.payload = None
        self.owner = None

    @precondition(lambda self: self.overtaken)
    @rule(how=st.sampled_from(ENDS))
    def one_that_was_overtaken_goes_on(self, how: str) -> None:
        """It may send nothing, and what it records is lost."""
        late = self.overtaken.pop()
        with pytest.raises(KeyInFlight):
            late.sent([], 0)
        end(late, how)

    @rule()
    def the_owner_is_taken_for_dead(self) -> None:
        self.ground.pass_time(OWNER_LIFE_S)
        self.owner_lives = False

    @precondition(lambda self: self.state in ("done", "made"))
    @rule()
    def a_day_passes(self) -> None:
        self.ground.pass_time(DAY_S + 1)
        self.state = self.payload = None

    def begin(self, payload: str) -> Reservation | Answer | int:
        scope = self.book.scope(Secret("t"), "POST /clients", "k")
        return self.book.begin(scope, payload, Deadline.after(DEADLINE_S))

    def is_given_the_key(self, taken: Reservation | Answer | int, payload: str) -> None:
        assert isinstance(taken, Reservation)
        assert taken.found == (self.state or "reserved")
        assert taken.in_doubt == (self.state in ("sent", "unknown"))
        if self.owner is not None:
            self.overtaken.append(self.owner)
        self.owner, self.owner_lives, self.was_sent = taken, True, False
        self.payload, self.state = payload, self.state or "reserved"

    def teardown(self) -> None:
        if hasattr(self, "ground"):
            self.ground.close()
            self.folder.cleanup()


def end(holder: Reservation, how: str) -> None:
    if how == "done":
        holder.done(ANSWER)
    elif how == "made":
        holder.made(1)
    elif how == "unknown":
        holder.unknown()
    else:
        holder.free()


TestKeyRecord = KeyRecord.TestCase
TestKeyRecord.settings = settings(max_examples=50, stateful_step_count=30)
