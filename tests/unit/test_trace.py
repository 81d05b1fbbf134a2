"""W3C Trace Context."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import trace

ID = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
GIVEN = f"00-{ID}-{SPAN}-01"


def test_a_valid_traceparent_is_taken_up() -> None:
    """The same trace, a span of our own within the caller's, and its flags."""
    taken = trace.take_up(GIVEN, None)
    assert (taken.trace_id, taken.parent_id, taken.flags) == (ID, SPAN, 1)
    assert taken.is_sampled
    assert taken.span_id != SPAN
    assert taken.traceparent == f"00-{ID}-{taken.span_id}-01"


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "00",
        f"00-{ID}-{SPAN}",
        f"00-{ID}-{SPAN}-1",
        f"00-{ID}-{SPAN}-01-more",
        f"00-{ID}-{SPAN}-01-",
        f"ff-{ID}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{ID}-{'0' * 16}-01",
        f"00-{ID.upper()}-{SPAN}-01",
        f"00-{ID[:-1]}-{SPAN}-01",
        f"00-{ID}-{SPAN}-0g",
        f" {GIVEN}",
        f"{GIVEN}\n",
        f"{GIVEN},{GIVEN}",
        f"01-{ID}-{SPAN}-01.more",
        f"0１-{ID}-{SPAN}-01",
    ],
)
def test_an_invalid_traceparent_is_ignored(given: str | None) -> None:
    """A trace of our own begins, and the caller's state does not go with it."""
    begun = trace.take_up(given, "vendor=1")
    assert begun.trace_id != ID
    assert (begun.parent_id, begun.state) == (None, None)
    assert re.fullmatch("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-02", begun.traceparent)


@pytest.mark.parametrize("given", [f"01-{ID}-{SPAN}-01", f"cc-{ID}-{SPAN}-01-what-ever", f"fe-{ID}-{SPAN}-01-"])
def test_a_later_version_is_read_as_far_as_it_is_known(given: str) -> None:
    """And goes on as the version that we write."""
    taken = trace.take_up(given, None)
    assert (taken.trace_id, taken.parent_id, taken.traceparent[:3]) == (ID, SPAN, "00-")


@pytest.mark.parametrize("given, kept", [("00", 0), ("01", 1), ("02", 2), ("03", 3), ("ff", 3), ("fc", 0)])
def test_flags_that_nobody_knows_do_not_go_on(given: str, kept: int) -> None:
    """Sampled and random are known."""
    assert trace.take_up(f"00-{ID}-{SPAN}-{given}", None).flags == kept


@pytest.mark.parametrize("sampled, flags", [(True, 3), (False, 2)])
def test_a_trace_that_begins_here_says_whether_it_is_recorded(sampled: bool, flags: int) -> None:
    """A caller's own decision stands."""
    assert trace.take_up(None, None, sampled=sampled).flags == flags
    assert trace.take_up(f"00-{ID}-{SPAN}-00", None, sampled=sampled).flags == 0


@pytest.mark.parametrize(
    "given, passed_on",
    [
        ("rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7"),
        ("a=1 , b=2,\tc=3", "a=1,b=2,c=3"),
        ("a=1,,b=2", "a=1,b=2"),
        ("fw529a3039@dt=FfD0,4tenant@x=y", "fw529a3039@dt=FfD0,4tenant@x=y"),
        ("a=" + "x" * 256, "a=" + "x" * 256),
        (",".join(f"k{number}=1" for number in range(32)), ",".join(f"k{number}=1" for number in range(32))),
        (None, None),
        ("", None),
        (",", None),
        ("a", None),
        ("a=", None),
        ("A=1", None),
        ("a=1,a=2", None),
        ("a=b=c", None),
        ("a=\u00e9", None),
        ("a=" + "x" * 257, None),
        (",".join(f"k{number}=1" for number in range(33)), None),
        (",".join(f"k{number}={'x' * 100}" for number in range(6)), None),
    ],
)
def test_a_state_goes_on_when_it_is_valid_and_short(given: str | None, passed_on: str | None) -> None:
    """Otherwise it is dropped, and the trace is kept."""
    taken = trace.take_up(GIVEN, given)
    assert (taken.trace_id, taken.state) == (ID, passed_on)
    named = {} if passed_on is None else {"tracestate": passed_on}
    assert taken.headers() == {"traceparent": taken.traceparent, **named}


def test_a_call_is_a_span_within_the_request() -> None:
    """Each has an id of its own; flags and state are the request's."""
    request = trace.take_up(GIVEN, "a=1")
    calls = [request.child(), request.child()]
    assert {call.parent_id for call in calls} == {request.span_id}
    assert {(call.trace_id, call.flags, call.state) for call in calls} == {(ID, 1, "a=1")}
    assert len({request.span_id, *(call.span_id for call in calls)}) == 3


@given(parent=st.text(max_size=80), state=st.text(max_size=600))
def test_whatever_is_sent_gives_headers_that_can_be_sent(parent: str, state: str) -> None:
    """Visible ASCII, one line each."""
    for named in (trace.take_up(parent, state).headers(), trace.take_up(GIVEN, state).headers()):
        assert all(re.fullmatch("[\x20-\x7e]{1,600}", value) for value in named.values())
