"""Envelopes and faults: any bytes in, an element or an upstream error out."""

from __future__ import annotations

import contextlib
import json
import threading

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import Fault, FieldsRejected, RecordNotFound, UpstreamError, Written
from gateway.upstream.protocol import Answer, envelope, read_answer
from tests.support.values import ELEMENTS
from tests.support.wire import CASES, Outbound, answering, call

COUNTED = {
    operation: {"method": f"client.{verb}"}
    for operation, verb in zip(
        ("create", "get", "list", "patch", "delete"), ("create", "get", "list", "update", "delete"), strict=True
    )
}
SAMPLES = [path.read_bytes() for path in sorted(CASES.glob("*.xml"))]
HEADERS = st.dictionaries(st.sampled_from(["location", "retry-after", "content-type"]), st.text(max_size=20))
STATUSES = st.sampled_from([200, 201, 204, 301, 302, 400, 401, 403, 404, 413, 429, 500, 502, 503, 999])
MANGLED = st.builds(
    lambda sample, at, length, put: sample[:at] + put + sample[at + length :],
    st.sampled_from(SAMPLES),
    st.integers(0, 400),
    st.integers(0, 60),
    st.binary(max_size=12),
)
ENVELOPES = st.builds(
    lambda status, inner: f'<response status="{status}">{"".join(inner)}</response>'.encode(),
    st.sampled_from(["ok", "fail", "OK", ""]),
    st.lists(ELEMENTS, max_size=4),
)


@given(body=st.binary(max_size=300) | MANGLED | ENVELOPES, status=STATUSES, headers=HEADERS, framed=st.booleans())
@example(body=b"", status=200, headers={}, framed=True)
@example(body=b"\xef\xbb\xbf", status=200, headers={}, framed=False)
@settings(max_examples=600)
def test_any_bytes_are_a_response_or_an_upstream_error(
    body: bytes, status: int, headers: dict[str, str], framed: bool
) -> None:
    """And nothing else, whatever the HTTP status and headers."""
    try:
        end: object = read_answer(Answer(status, headers, body, framed)).get("status")
    except UpstreamError as error:
        end = error.written
    assert end == "ok" or isinstance(end, Written)


@given(body=MANGLED | ENVELOPES, operation=st.sampled_from(["create", "get", "list", "patch", "delete"]))
@settings(max_examples=400)
def test_any_bytes_are_a_result_or_an_upstream_error_of_an_operation(body: bytes, operation: str) -> None:
    """The same one room further up, where records, pages and ids are read."""
    outbound = Outbound(answering([Answer(200, {}, body)])[0])
    with contextlib.suppress(UpstreamError):
        json.dumps(outbound.run(operation, {"email": "a@example.com"}))
    assert outbound.metrics.registry.get_sample_value(
        "gateway_upstream_call_duration_seconds_count", COUNTED[operation]
    )


def test_every_thread_has_a_parser_of_its_own() -> None:
    """Answers read side by side do not disturb each other."""
    started = threading.Barrier(8)
    wrong: list[object] = []

    def read(number: int) -> None:
        started.wait(10)
        for _ in range(200):
            comment = "<!-- c -->" if number % 2 else ""
            body = f'<response status="ok"><client_id>{comment}{number}</client_id></response>'
            root = read_answer(Answer(200, {}, body.encode()))
            if root[0].text != str(number):
                wrong.append(root[0].text)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


def test_a_request_is_utf_8_and_says_so() -> None:
    """No namespace on the root; the length counts bytes, which is the transport's matter."""
    assert envelope("client.get", "<x>é</x>") == (
        '<?xml version="1.0" encoding="utf-8"?>\n<request method="client.get"><x>é</x></request>'.encode()
    )


def failing(words: str) -> Answer:
    return Answer(200, {}, f'<response status="fail"><error>{words}</error><code>40060</code></response>'.encode())


SECRETS = {
    "plain": "seCret!7",
    "with blanks that a single line would lose": "a  b\tc",
    "with a line end": "a\nb",
    "long": "x" * 250,
    "longer than a message": "y" * 400,
}


@pytest.mark.parametrize("password", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize("before", ["", "z" * 290, "Invalid value: "])
def test_a_fault_that_repeats_the_password_is_told_without_it(before: str, password: str) -> None:
    """Not a part of it either, where the message was to be cut."""
    outbound = Outbound(answering([failing(f"{before}{password} {password}")])[0])
    with pytest.raises(FieldsRejected) as raised:
        outbound.run("create", {"email": "a@example.com", "password": password})
    fault = raised.value.fault
    assert fault is not None
    told = fault.message + str(raised.value.errors) + repr(raised.value) + repr(fault) + str(raised.value.args)
    assert " ".join(password.split())[:8] not in told


def test_a_fault_that_repeats_the_token_is_told_without_it() -> None:
    """On reads as on writes."""
    outbound = Outbound(answering([failing("bad token demo-admin")])[0])
    with pytest.raises(FieldsRejected) as raised:
        outbound.run("get", None)
    assert raised.value.fault == Fault(40060, "bad token [secret]")
    assert "demo-admin" not in repr(call()) + repr(raised.value)


def test_a_message_is_one_line_of_at_most_300_characters() -> None:
    """Whatever the upstream writes, a log or a terminal may show it."""
    with pytest.raises(FieldsRejected) as raised:
        read_answer(failing("a\n\n b\t\u2028c" + "d" * 400))
    assert raised.value.fault is not None
    assert raised.value.fault.message == "a b c" + "d" * 295


@pytest.mark.parametrize("code, written", [("50010", RecordNotFound), ("050010", RecordNotFound)])
def test_leading_zeros_of_a_code_are_no_part_of_it(code: str, written: type[UpstreamError]) -> None:
    """A code is a number."""
    with pytest.raises(written):
        read_answer(Answer(200, {}, f'<response status="fail"><code>{code}</code></response>'.encode()))


def test_a_repr_of_a_call_or_an_answer_shows_no_body() -> None:
    """Bodies hold passwords."""
    assert "canary" not in repr(call(b"canary", token="canary")) + repr(Answer(200, {}, b"canary"))
