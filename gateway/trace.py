"""W3C Trace Context: which trace a request belongs to, and how its calls are told of it. Pure but for random ids.

Source: https://www.w3.org/TR/trace-context/ (level 1), and level 2 for the flag of random trace ids.
"""

from __future__ import annotations

import random
import re

import msgspec

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KEY = r"[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
_MEMBER = re.compile(rf"(?:{_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_STATE_CHARACTERS_MAX = 512
_STATE_MEMBERS_MAX = 32
_SAMPLED = 0x01
_RANDOM = 0x02


class Trace(msgspec.Struct, frozen=True, gc=False):
    """One span of a trace. Ids are lower-case hexadecimal; `parent_id` is None where the trace begins.

    `state` is the `tracestate` that goes with it, None without one.
    """

    trace_id: str
    span_id: str
    parent_id: str | None = None
    flags: int = _RANDOM
    state: str | None = None

    @property
    def is_sampled(self) -> bool:
        """Whether whoever began the trace records it."""
        return bool(self.flags & _SAMPLED)

    @property
    def traceparent(self) -> str:
        """The header that makes the receiver's span a child of this one."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def child(self) -> Trace:
        """A new span within this one."""
        return Trace(self.trace_id, _new_id(8), self.span_id, self.flags, self.state)

    def headers(self) -> dict[str, str]:
        """What a call carries."""
        named = {"traceparent": self.traceparent}
        if self.state is not None:
            named["tracestate"] = self.state
        return named


def begin(*, sampled: bool = False) -> Trace:
    """A new trace. `sampled`: it is recorded here, and those called are asked to do so too."""
    return Trace(_new_id(16), _new_id(8), flags=_RANDOM | (_SAMPLED if sampled else 0))


def take_up(traceparent: str | None, tracestate: str | None, *, sampled: bool = False) -> Trace:
    """The span of a request with these headers: within the caller's, or the begin of a trace when that is not valid.

    Of the flags, those that this version of the standard knows go on.
    """
    given = _TRACEPARENT.fullmatch(traceparent or "")
    if given is None:
        return begin(sampled=sampled)
    version, trace_id, parent_id, flags, more = given.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not parent_id.strip("0"):
        return begin(sampled=sampled)
    known = int(flags, 16) & (_SAMPLED | _RANDOM)
    return Trace(trace_id, _new_id(8), parent_id, known, _state(tracestate))


def _state(given: str | None) -> str | None:
    """A `tracestate` that is valid and short enough to go on; None otherwise: then it is dropped, as one may."""
    if not given or len(given) > _STATE_CHARACTERS_MAX:
        return None
    members = [member.strip(" \t") for member in given.split(",")]
    members = [member for member in members if member]
    if not members or len(members) > _STATE_MEMBERS_MAX or not all(map(_MEMBER.fullmatch, members)):
        return None
    keys = [member.partition("=")[0] for member in members]
    return ",".join(members) if len(set(keys)) == len(keys) else None


def _new_id(length_bytes: int) -> str:
    """No secret, so `random` does, which a fork seeds anew. All zeros is no id."""
    return f"{random.getrandbits(8 * length_bytes) or 1:0{2 * length_bytes}x}"
