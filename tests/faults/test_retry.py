"""When a failed call is sent again: by what the method does and by the outcome, within the deadline and a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.deadline import Deadline
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
    Written,
)
from gateway.secret import Secret
from gateway.telemetry import Metrics
from gateway.upstream import retry
from gateway.upstream.decoding import Node
from gateway.upstream.protocol import Answer, envelope, read_answer
from gateway.upstream.transport import Call, Repeat

ALWAYS = {Repeat.READ, Repeat.IDEMPOTENT, Repeat.IF_UNSENT}
HARMLESS = {Repeat.READ, Repeat.IDEMPOTENT}
NEVER: set[Repeat] = set()

DECISIONS: tuple[tuple[UpstreamError, set[Repeat]], ...] = (
    (NotSent("-"), ALWAYS),
    (DeadlinePassed("-", sent=False), ALWAYS),
    (AnswerLost("-"), HARMLESS),
    (DeadlinePassed("-", sent=True), HARMLESS),
    (UpstreamFailed("-"), HARMLESS),
    (UpstreamFailed("-", fault=Fault(99999, "Something unusual happened.")), HARMLESS),
    (UpstreamUnavailable("-"), HARMLESS),
    (CircuitOpen("-"), NEVER),
    (Overloaded("-"), NEVER),
    (GarbledAnswer("-"), NEVER),
    (Throttled("-"), NEVER),
    (CredentialsRejected("-"), NEVER),
    (FieldsRejected("-"), NEVER),
    (ActionRefused("-"), NEVER),
    (RecordNotFound("-"), NEVER),
)
"""Which kinds of call may be repeated after which error. A passed deadline leaves no time, whatever stands here."""
NAMES = [f"{error.code}-{number}" for number, (error, _) in enumerate(DECISIONS)]

OK = read_answer(Answer(200, {}, b'<response status="ok"/>'))


def call(repeat: Repeat = Repeat.READ, allowed_s: float = 60.0, method: str = "client.get") -> Call:
    body = envelope(method, "<client_id>13</client_id>")
    return Call(method, body, Secret("demo-admin"), Deadline.after(allowed_s), repeat)


class Script:
    """A fake remote procedure call that fails with the given errors one after the other, then succeeds."""

    def __init__(self, failures: Iterable[UpstreamError]) -> None:
        self._failures = iter(failures)
        self.calls_total = 0

    def fail_with(self, failures: Iterable[UpstreamError]) -> None:
        self._failures = iter(failures)

    def __call__(self, _call: Call) -> Node:
        self.calls_total += 1
        if (failure := next(self._failures, None)) is not None:
            raise failure
        return OK


class Tried:
    """A scripted call under the retry policy; `waits_s` are the pauses it asked for, none of which is waited."""

    def __init__(self, failures: Iterable[UpstreamError], budget: retry.Budget | None = None) -> None:
        self.script = Script(failures)
        self.waits_s: list[float] = []
        self._retrying = retry.retrying(
            self.script, budget or retry.Budget(), Metrics(multiprocess=False), self.waits_s.append
        )

    def __call__(self, one: Call) -> UpstreamError | None:
        """What it failed with in the end; None: it succeeded."""
        try:
            self._retrying(one)
        except UpstreamError as error:
            return error
        return None


# --- the decision ---------------------------------------------------------------------------------


@pytest.mark.parametrize("repeat", list(Repeat), ids=lambda repeat: repeat.value)
@pytest.mark.parametrize(
    "error, kinds", DECISIONS, ids=[f"{number}-{error.code}" for number, (error, _) in enumerate(DECISIONS)]
)
def test_an_error_and_a_kind_of_call(error: UpstreamError, kinds: set[Repeat], repeat: Repeat) -> None:
    """Only the kind of call and the outcome decide."""
    assert retry.may_repeat(call(repeat), error) is (repeat in kinds)


def test_every_upstream_error_is_decided() -> None:
    """A new error must take its place in the table."""
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UpstreamError)}
    assert {type(error) for error, _ in DECISIONS} == kinds - {UpstreamError}


@given(attempts=st.integers(1, 50))
def test_the_wait_has_full_jitter(attempts: int) -> None:
    """Anything from nothing to twice as much after each attempt, and never more than a second."""
    assert 0 <= retry.backoff_s(attempts) <= min(1.0, 0.05 * 2**attempts)


def test_callers_that_failed_together_do_not_come_back_together() -> None:
    """The waits are spread over the whole range, not around a middle."""
    shares = [retry.backoff_s(2) / 0.2 for _ in range(2000)]
    assert {int(share * 20) for share in shares} >= set(range(20))


# --- the loop -------------------------------------------------------------------------------------


def test_a_call_is_made_three_times_at_most() -> None:
    """The last error is told; in between there were two waits."""
    tried = Tried(NotSent("-") for _ in range(9))
    assert isinstance(tried(call()), NotSent)
    assert (tried.script.calls_total, len(tried.waits_s)) == (3, 2)


def test_a_success_ends_it() -> None:
    """A hiccup is not noticed by the caller."""
    tried = Tried([NotSent("-")])
    assert tried(call(Repeat.IF_UNSENT)) is None
    assert tried.script.calls_total == 2


def test_retry_after_is_waited_for_when_there_is_time() -> None:
    """No sooner than the upstream asks."""
    tried = Tried([UpstreamUnavailable("-", retry_after_s=7)])
    assert tried(call(allowed_s=60)) is None
    assert tried.waits_s == [7.0]


def test_retry_after_beyond_the_deadline_is_not_waited_for() -> None:
    """The caller is told at once, with the upstream's own wish."""
    tried = Tried([UpstreamUnavailable("-", retry_after_s=61)])
    error = tried(call(allowed_s=60))
    assert error is not None
    assert error.retry_after_s == 61
    assert (tried.script.calls_total, tried.waits_s) == (1, [])


def test_no_attempt_begins_after_the_deadline() -> None:
    """With no time left there is nothing to wait for."""
    tried = Tried([AnswerLost("-")])
    assert isinstance(tried(call(allowed_s=0)), AnswerLost)
    assert tried.script.calls_total == 1


def test_the_first_hiccup_of_a_quiet_process_is_repeated() -> None:
    """There is a reserve before any call has earned a repetition."""
    assert Tried([AnswerLost("-")])(call()) is None


@given(callers=st.integers(1, 300))
def test_a_lasting_outage_is_not_made_worse(callers: int) -> None:
    """At most a tenth more calls than callers' requests, and the reserve of three."""
    tried = Tried(NotSent("-") for _ in range(10_000))
    for _ in range(callers):
        assert isinstance(tried(call()), NotSent)
    assert tried.script.calls_total <= 1.1 * callers + 3


def test_good_times_do_not_save_up_for_a_storm() -> None:
    """However many calls went well, at most ten repetitions are saved up."""
    tried = Tried([])
    for _ in range(1000):
        assert tried(call()) is None
    tried.script.fail_with(NotSent("-") for _ in range(1000))
    before = tried.script.calls_total
    for _ in range(20):
        tried(call())
    assert tried.script.calls_total - before <= 20 + 10 + 2


LAST: tuple[tuple[Callable[[], UpstreamError], type[UpstreamError]], ...] = (
    (lambda: NotSent("-"), AnswerLost),
    (lambda: CircuitOpen("-", retry_after_s=1), AnswerLost),
    (lambda: Overloaded("-", retry_after_s=1), AnswerLost),
    (lambda: DeadlinePassed("-", sent=False), DeadlinePassed),
    (lambda: UpstreamUnavailable("-", retry_after_s=600), UpstreamUnavailable),
    (lambda: FieldsRejected("-"), FieldsRejected),
    (lambda: RecordNotFound("-"), RecordNotFound),
)


@pytest.mark.parametrize("last, told", LAST, ids=[told.code + str(number) for number, (_, told) in enumerate(LAST)])
def test_a_write_in_doubt_stays_in_doubt(last: Callable[[], UpstreamError], told: type[UpstreamError]) -> None:
    """Whatever the last attempt met, an earlier one may have been applied; and no error that says nothing was sent is
    told then."""
    failures = [AnswerLost("-"), *(last() for _ in range(2))]
    error = Tried(failures, retry.Budget(reserve=9))(call(Repeat.IDEMPOTENT, method="client.update"))
    assert error is not None
    assert (type(error), error.written) == (told, Written.UNKNOWN)


@pytest.mark.parametrize("last, _told", LAST, ids=[told.code + str(number) for number, (_, told) in enumerate(LAST)])
def test_a_read_tells_what_it_met_last(last: Callable[[], UpstreamError], _told: type[UpstreamError]) -> None:
    """It has nothing to be in doubt about, and the last error says best when to come back."""
    final = last()
    error = Tried([AnswerLost("-"), final, final], retry.Budget(reserve=9))(call())
    assert error is final


@pytest.mark.parametrize("harmless", [NotSent("-"), UpstreamUnavailable("-")], ids=lambda error: type(error).__name__)
def test_a_write_that_was_surely_not_applied_is_not_in_doubt(harmless: UpstreamError) -> None:
    """Then a later refusal means what it says."""
    error = Tried([harmless, RecordNotFound("-")])(call(Repeat.IDEMPOTENT, method="client.delete"))
    assert isinstance(error, RecordNotFound)
    assert (error.in_doubt, error.written) == (False, Written.NOT_APPLIED)
