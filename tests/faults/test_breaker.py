"""The circuit breaker's decisions, which know no store and no clock."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.errors import (
    ActionRefused,
    AnswerLost,
    CircuitOpen,
    CredentialsRejected,
    DeadlinePassed,
    Fault,
    FieldsRejected,
    GarbledAnswer,
    NotSent,
    Overloaded,
    RecordNotFound,
    Throttled,
    UpstreamError,
    UpstreamFailed,
    UpstreamUnavailable,
)
from gateway.upstream import breaker
from gateway.upstream.breaker import CLOSED, OPEN_FIRST_S, OPEN_MAX_S, SCORE_MAX, Admission, Circuit, Sign

FAULT = Fault(99999, "Something unusual happened.")
SIGNS: tuple[tuple[UpstreamError, float, Sign], ...] = (
    (NotSent("-"), 10, Sign.SICK),
    (AnswerLost("-"), 10, Sign.SICK),
    (UpstreamFailed("-"), 10, Sign.SICK),
    (UpstreamUnavailable("-"), 10, Sign.SICK),
    (GarbledAnswer("-"), 10, Sign.SICK),
    (Throttled("-"), 10, Sign.SICK),
    (Throttled("-", fault=FAULT), 10, Sign.SICK),
    (DeadlinePassed("-", sent=True), 10, Sign.SICK),
    (DeadlinePassed("-", sent=False), 10, Sign.SICK),
    (DeadlinePassed("-", sent=True), 0.9, Sign.NOTHING),
    (DeadlinePassed("-", sent=False), 0.9, Sign.NOTHING),
    (Overloaded("-"), 10, Sign.NOTHING),
    (CircuitOpen("-"), 10, Sign.NOTHING),
    (UpstreamFailed("-", fault=FAULT), 10, Sign.WELL),
    (UpstreamUnavailable("-", fault=FAULT), 10, Sign.WELL),
    (FieldsRejected("-", fault=FAULT), 10, Sign.WELL),
    (ActionRefused("-", fault=FAULT), 10, Sign.WELL),
    (RecordNotFound("-", fault=FAULT), 10, Sign.WELL),
    (CredentialsRejected("-"), 10, Sign.WELL),
)
NAMES = [f"{error.code}-{number}" for number, (error, _, _) in enumerate(SIGNS)]


@pytest.mark.parametrize("error, allowed_s, sign", SIGNS, ids=NAMES)
def test_what_an_error_shows(error: UpstreamError, allowed_s: float, sign: Sign) -> None:
    """Its own words show that it is well, being kept back here shows nothing, silence shows that it is sick."""
    assert breaker.sign_of(error, allowed_s) is sign


def closed(*signs: Sign) -> Circuit:
    circuit = CLOSED
    for sign in signs:
        circuit = breaker.after(circuit, sign, trial_until_s=None, now_s=100.0)
    return circuit


def opened(*, open_s: float = OPEN_FIRST_S) -> Circuit:
    """Open since second 100."""
    return Circuit(SCORE_MAX, 100.0, open_s)


def test_failures_that_were_not_made_up_for_open_it() -> None:
    """The fifth, not the fourth."""
    assert breaker.admit(closed(*[Sign.SICK] * 4), 100.0) is Admission.SEND
    assert breaker.admit(closed(*[Sign.SICK] * 5), 100.0) is Admission.REFUSE


def test_a_success_makes_up_for_a_failure() -> None:
    """As long as half of the calls succeed, it stays closed."""
    assert closed(*[Sign.SICK, Sign.WELL] * 500) == CLOSED


def test_many_successes_do_not_count_for_later() -> None:
    """A good morning does not delay the verdict in the afternoon."""
    assert breaker.admit(closed(*[Sign.WELL] * 500, *[Sign.SICK] * 5), 100.0) is Admission.REFUSE


def test_what_shows_nothing_changes_nothing() -> None:
    """Neither for the better nor for the worse."""
    four = closed(*[Sign.SICK] * 4)
    assert breaker.after(four, Sign.NOTHING, trial_until_s=None, now_s=100.0) == four


def test_an_open_circuit_lets_one_call_try_when_its_time_is_over() -> None:
    """Before that nobody; and nobody else while that one tries."""
    assert breaker.admit(opened(), 100.99) is Admission.REFUSE
    assert breaker.admit(opened(), 101.0) is Admission.TRY
    trying = breaker.trying(opened(), 111.0)
    assert breaker.admit(trying, 110.99) is Admission.REFUSE


def test_a_trial_that_never_ends_is_replaced() -> None:
    """Its holder was killed: after its time the next call tries."""
    assert breaker.admit(breaker.trying(opened(), 111.0), 111.0) is Admission.TRY


def test_a_successful_trial_closes_it() -> None:
    """At once, and with a clean slate."""
    assert breaker.after(breaker.trying(opened(), 111.0), Sign.WELL, trial_until_s=111.0, now_s=105.0) == CLOSED


def test_a_failed_trial_doubles_the_wait_up_to_the_maximum() -> None:
    """1, 2, 4, 8, 16, 30, 30 seconds."""
    circuit, waits_s = opened(), []
    for _ in range(7):
        waits_s.append(circuit.open_s)
        circuit = breaker.after(breaker.trying(circuit, 111.0), Sign.SICK, trial_until_s=111.0, now_s=105.0)
    assert waits_s == [1, 2, 4, 8, 16, 30, 30]
    assert OPEN_MAX_S == 30


def test_a_trial_that_showed_nothing_leaves_its_place() -> None:
    """The circuit is neither closed nor open for longer: the next call tries."""
    after = breaker.after(breaker.trying(opened(), 111.0), Sign.NOTHING, trial_until_s=111.0, now_s=105.0)
    assert after == opened()
    assert breaker.admit(after, 105.0) is Admission.TRY


@pytest.mark.parametrize("sign", Sign)
@pytest.mark.parametrize("until_s", [None, 103.0], ids=["no trial", "a trial that was replaced"])
def test_only_the_trial_counts_while_it_is_open(sign: Sign, until_s: float | None) -> None:
    """Calls that were under way when it opened end without effect, and so does a trial that took too long."""
    trying = breaker.trying(opened(), 111.0)
    assert breaker.after(trying, sign, trial_until_s=until_s, now_s=105.0) == trying


def test_a_refused_call_is_told_how_long_to_wait() -> None:
    """Until the circuit's time is over, or the trial's."""
    assert breaker.wait_s(opened(open_s=8.0), 101.0) == 7.0
    assert breaker.wait_s(breaker.trying(opened(), 111.0), 105.0) == 6.0
    assert breaker.wait_s(opened(), 105.0) == 0.0


@dataclass
class Under:
    """A call under way; `trial_until_s` as it was admitted."""

    trial_until_s: float | None


class CircuitMachine(RuleBasedStateMachine):
    """Calls begin and end in any order while time passes, some never end; compared with plain bookkeeping."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.circuit = CLOSED
        self.under_way: list[Under] = []
        self.unmade = 0
        self.refuse_until_s: float | None = None

    @rule(passed_s=st.floats(0, 40))
    def time_passes(self, passed_s: float) -> None:
        self.now_s += passed_s

    @rule(allowed_s=st.floats(0.1, 10))
    def a_call_comes(self, allowed_s: float) -> None:
        admission = breaker.admit(self.circuit, self.now_s)
        tries = self._live_trials()
        if self.refuse_until_s is None:
            assert admission is Admission.SEND
            self.under_way.append(Under(None))
        elif self.now_s < self.refuse_until_s or tries:
            assert admission is Admission.REFUSE
            assert breaker.wait_s(self.circuit, self.now_s) > 0
        else:
            assert admission is Admission.TRY
            until_s = self.now_s + allowed_s
            self.circuit = breaker.trying(self.circuit, until_s)
            self.under_way.append(Under(until_s))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), sign=st.sampled_from(Sign))
    def a_call_ends(self, data: st.DataObject, sign: Sign) -> None:
        one = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        before = self.circuit
        self.circuit = breaker.after(before, sign, trial_until_s=one.trial_until_s, now_s=self.now_s)
        if self.refuse_until_s is not None:
            self._ended_while_open(one, sign, before)
        elif sign is not Sign.NOTHING:
            self.unmade = max(0, self.unmade + (1 if sign is Sign.SICK else -1))
            if self.unmade == SCORE_MAX:
                self.refuse_until_s = self.now_s + OPEN_FIRST_S

    def _ended_while_open(self, one: Under, sign: Sign, before: Circuit) -> None:
        if one.trial_until_s is None or one.trial_until_s != before.trial_until_s:
            assert self.circuit == before
        elif sign is Sign.WELL:
            self.unmade, self.refuse_until_s = 0, None
        elif sign is Sign.SICK:
            self.refuse_until_s = self.now_s + min(OPEN_MAX_S, before.open_s * 2)

    @precondition(lambda self: self.under_way)
    @rule()
    def a_process_is_killed(self) -> None:
        """Everything under way is forgotten, and the circuit is not told."""
        self.under_way.clear()

    def _live_trials(self) -> int:
        until_s = self.circuit.trial_until_s
        return int(until_s is not None and self.now_s < until_s)

    @invariant()
    def the_open_time_is_bounded(self) -> None:
        assert OPEN_FIRST_S <= self.circuit.open_s <= OPEN_MAX_S

    @invariant()
    def it_is_open_when_the_books_say_so(self) -> None:
        assert (self.circuit.opened_at_s is not None) == (self.refuse_until_s is not None)
        assert self.circuit.score == min(self.unmade, SCORE_MAX)

    @invariant()
    def at_most_one_call_holds_the_trial(self) -> None:
        live = [one for one in self.under_way if one.trial_until_s is not None and self.now_s < one.trial_until_s]
        holders = [one for one in live if one.trial_until_s == self.circuit.trial_until_s]
        assert len(holders) <= 1


CircuitMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestCircuitMachine = CircuitMachine.TestCase
