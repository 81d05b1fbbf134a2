"""The circuit breaker's decisions. Pure: where the state is kept and how it is shared is not known here.

A circuit counts the failures that were not made up for by successes. At `SCORE_MAX` it opens: for a while nothing is
sent. Then one call at a time may try, and its success closes the circuit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from gateway.errors import DeadlinePassed, RpcOutcome, UpstreamError

SCORE_MAX = 5
OPEN_FIRST_S = 1.0
OPEN_MAX_S = 30.0
_SICK = frozenset(
    {
        RpcOutcome.NOT_SENT,
        RpcOutcome.UNKNOWN,
        RpcOutcome.UPSTREAM_ERROR,
        RpcOutcome.GARBLED,
        RpcOutcome.THROTTLED,
    }
)
_FAIR_CHANCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Circuit:
    """The state. Instants are seconds of a clock that all who share it read.

    `opened_at_s` is None while closed; `open_s` is for how long it is open; `trial_until_s` is until when the one trial
    call may take, None when nobody tries.
    """

    score: int = 0
    opened_at_s: float | None = None
    open_s: float = OPEN_FIRST_S
    trial_until_s: float | None = None


CLOSED = Circuit()


class Sign(Enum):
    """What the end of a call shows about the upstream."""

    WELL = "well"
    SICK = "sick"
    NOTHING = "nothing"


class Admission(Enum):
    """What a call may do."""

    SEND = "send"
    TRY = "try"
    REFUSE = "refuse"


def admit(circuit: Circuit, now_s: float) -> Admission:
    """`TRY` asks the caller to become the one trial: to store `trying` before it sends."""
    if circuit.opened_at_s is None:
        return Admission.SEND
    if now_s < circuit.opened_at_s + circuit.open_s:
        return Admission.REFUSE
    if circuit.trial_until_s is not None and now_s < circuit.trial_until_s:
        return Admission.REFUSE
    return Admission.TRY


def phase(circuit: Circuit, now_s: float) -> str:
    """`closed`, `open`, or `half_open` when a call tries or may try."""
    if circuit.opened_at_s is None:
        return "closed"
    return "open" if now_s < circuit.opened_at_s + circuit.open_s else "half_open"


def wait_s(circuit: Circuit, now_s: float) -> float:
    """How long a refused call would have to wait, in seconds."""
    until_s = (circuit.opened_at_s or now_s) + circuit.open_s
    return max(0.0, until_s - now_s, (circuit.trial_until_s or now_s) - now_s)


def trying(circuit: Circuit, until_s: float) -> Circuit:
    """The circuit while one call tries, which it may until `until_s`; afterwards it counts as dead."""
    return replace(circuit, trial_until_s=until_s)


def after(circuit: Circuit, sign: Sign, *, trial_until_s: float | None, now_s: float) -> Circuit:
    """The circuit after a call. While it is open, only the end of the trial counts.

    `trial_until_s` is until when the call was the trial; None when it was none. One that took longer has been replaced.
    """
    if circuit.opened_at_s is not None:
        is_trial = trial_until_s is not None and trial_until_s == circuit.trial_until_s
        return _after_trial(circuit, sign, now_s) if is_trial else circuit
    if sign is Sign.NOTHING:
        return circuit
    if sign is Sign.WELL:
        return replace(circuit, score=max(0, circuit.score - 1))
    score = circuit.score + 1
    return Circuit(score, now_s) if score >= SCORE_MAX else replace(circuit, score=score)


def _after_trial(circuit: Circuit, sign: Sign, now_s: float) -> Circuit:
    """A trial that showed nothing leaves its place to the next."""
    match sign:
        case Sign.WELL:
            return CLOSED
        case Sign.SICK:
            return Circuit(circuit.score, now_s, min(circuit.open_s * 2, OPEN_MAX_S))
    return replace(circuit, trial_until_s=None)


def sign_of(error: UpstreamError, allowed_s: float) -> Sign:
    """What a failed call, which had `allowed_s` seconds, shows.

    A fault in the upstream's own words shows that it is well, unless it is about too many calls. A call that was kept
    back here shows nothing, nor does a deadline that gave the upstream no fair chance.
    """
    if error.final or (isinstance(error, DeadlinePassed) and allowed_s < _FAIR_CHANCE_S):
        return Sign.NOTHING
    has_own_words = error.fault is not None and error.outcome is not RpcOutcome.THROTTLED
    return Sign.SICK if error.outcome in _SICK and not has_own_words else Sign.WELL
