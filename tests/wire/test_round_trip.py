"""Text survives the real wire, byte for byte: TCP, HTTP, an XML writer and a reader that are not ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from gateway.upstream.transport import HttpTransport
from simulator.server import Simulator
from tests.support.values import TEXTS
from tests.support.wire import Outbound

HARD_TEXTS = {
    "end of CDATA": "a]]>b",
    "half an end of CDATA": "]]]>",
    "ampersand": "a & b &amp; &#38; &lt;",
    "angle brackets": "<notes>x</notes>",
    "quotes": "\"'`",
    "CR": "a\rb",
    "CRLF": "a\r\nb\r\n",
    "LF": "\na\nb\n",
    "tabs": "\ta\t\tb\t",
    "emoji": "\U0001f600\U0001f468‍\U0001f469‍\U0001f467",
    "NEL": "a\u0085b\u0085",
    "line and paragraph separators": "\u2028a\u2029",
    "no-break and zero-width blanks": "\u00a0a\ufeffb\u200b",
    "byte order mark first": "\ufeffa",
    "leading and trailing blanks": "  a  ",
    "only blanks": "   ",
    "only a line end": "\n",
    "leading zeros": "007",
    "looks like a float": "0E42",
    "looks like nothing": "null",
    "comment": "<!-- a -->",
    "CDATA": "<![CDATA[a]]>",
    "processing instruction": "<?xml version='1.0'?>",
    "entity": "&nbsp;",
    "both ends of XML": "\u0009\ud7ff\ue000\ufffd\U00010000\U0010ffff",
    "combining and right to left": "e\u0301 \u05d0\u05d1 \u202e",
    "percent and braces": "%s {0} ${x} %(y)s",
    "long": "abc & " * 10_000,
}
FORMS = {
    "plain": {},
    "CDATA": {"text_form": "cdata"},
    "comments inside": {"comments": True},
    "CDATA and comments": {"text_form": "cdata", "comments": True},
    "a prefix": {"namespace": "prefix"},
}


@pytest.fixture
def outbound(simulator: Simulator) -> Iterator[Outbound]:
    transport = HttpTransport(simulator.url, answer_bytes_max=16 * 1024 * 1024, idle_connections_max=4)
    yield Outbound(transport)
    transport.close()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("text", HARD_TEXTS.values(), ids=HARD_TEXTS.keys())
def test_a_text_comes_back_as_it_was_sent(
    outbound: Outbound, simulator: Simulator, text: str, form: dict[str, str | bool]
) -> None:
    """In a field, in a group and in a list, by create and by update; and the upstream stores just that."""
    simulator.switches.set(**form)
    body = {"email": "a@example.com", "notes": text, "primary_address": {"street1": text}}
    key = outbound.run("create", {**body, "contacts": [{"email": "c@example.com", "first_name": text}]})["id"]
    outbound.run("patch", {"organization": text}, key=key)
    record = outbound.run("get", None, key=key)
    assert record["notes"] == record["organization"] == text
    assert record["primary_address"]["street1"] == record["contacts"][0]["first_name"] == text
    stored = next(client for client in simulator.store.dump() if client["client_id"] == key)
    assert stored["notes"] == stored["organization"] == text


@given(text=TEXTS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_text_comes_back_as_it_was_sent(outbound: Outbound, simulator: Simulator, text: str) -> None:
    """Whatever XML 1.0 can carry. The client is the same one each time; nothing else of it changes."""
    key = simulator.store.dump()[0]["client_id"]
    outbound.run("patch", {"notes": text}, key=key)
    record = outbound.run("get", None, key=key)
    assert record["notes"] == text


@pytest.mark.parametrize("text", ["a&b <c>", " x ", "é\u2028\U0001f600"])
def test_a_filter_reaches_the_upstream_as_it_was_asked(outbound: Outbound, text: str) -> None:
    """The list holds exactly the client whose notes hold the text."""
    key = outbound.run("create", {"email": "a@example.com", "notes": f"before{text}after"})["id"]
    page = outbound.run("list", None, query={"notes": text})
    assert [record["id"] for record in page["items"]] == [key]


def test_every_demo_client_is_read(outbound: Outbound, simulator: Simulator) -> None:
    """The whole list, page by page, each record as a get gives it."""
    per_page = {"per_page": "20"}
    pages_total = outbound.run("list", None, query=per_page)["pages"]
    listed = [
        record
        for number in range(1, pages_total + 1)
        for record in outbound.run("list", None, query={**per_page, "page": str(number)})["items"]
    ]
    assert pages_total > 2
    shown = [client for client in simulator.store.dump() if client["folder"] != "deleted"]
    assert sorted(record["id"] for record in listed) == sorted(client["client_id"] for client in shown)
    assert all(outbound.run("get", None, key=record["id"]) == record for record in listed[::7])
