"""What is stored comes back character for character, through any form of answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from simulator.server import Simulator
from simulator.xml_io import is_text
from tests.simulator.api_caller import ApiCaller, request

TRICKY = [
    "a & b < c > d",
    "]]>",
    "]]]]>>]]",
    "<![CDATA[x]]>",
    "&amp; &lt; &#13;",
    "CR\rCRLF\r\nLF\nend\r",
    "\r",
    "  leading and trailing  ",
    "\t\n",
    "☘️ 👨‍👩‍👧 𝒻𝒶𝓃𝒸𝓎",
    "e\u0301 \u00a0 \u200b \ufeff \u202e",
    "007",
    "0E42",
    "true",
    "'\"",
    "\x7f\x85\u2028\ufffd\U0010ffff",
]
FORMS: list[dict[str, object]] = [
    {},
    {"text_form": "cdata"},
    {"comments": True},
    {"text_form": "cdata", "comments": True, "namespace": "prefix"},
    {"namespace": "none", "empty_text": "self_closed"},
]
XML_TEXT = st.text(st.characters(exclude_categories=["Cs"]).filter(is_text), max_size=60)


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with Simulator(clients=[]) as running:
        yield running


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("text", TRICKY)
def test_tricky_texts(sim: Simulator, admin: ApiCaller, form: dict[str, object], text: str) -> None:
    """Sent escaped and read back by another parser than the one that wrote it."""
    sim.switches.set(**form)
    assert read_notes(admin.get(admin.created(notes=text)).body) == text


@given(text=XML_TEXT, form=st.sampled_from(FORMS))
@settings(max_examples=150)
def test_any_text(server: Simulator, text: str, form: dict[str, object]) -> None:
    """Every text that XML can carry, in every form."""
    server.switches.reset()
    server.switches.set(**form)
    with ApiCaller(server.url) as admin:
        assert read_notes(admin.get(admin.created(notes=text)).body) == text


@pytest.mark.parametrize(
    "written",
    ["<![CDATA[a & b]]>", "a &amp; <!-- a remark -->b", "a <?pi x?>&#38; b", "a &#x26; b"],
)
def test_however_the_request_writes_it(admin: ApiCaller, written: str) -> None:
    """CDATA, comments, processing instructions and character references read alike."""
    body = f"<client><email>a@b.example</email><notes>{written}</notes></client>"
    client_id = admin.send(request("client.create", body)).ok().findtext("client_id")
    assert read_notes(admin.get(client_id).body) == "a & b"


def test_a_request_in_blanks_and_a_byte_order_mark(admin: ApiCaller) -> None:
    """Blanks before the declaration are tolerated, as client libraries send them."""
    for before in (b"\n", b"  \r\n\t", b"\xef\xbb\xbf"):
        admin.send(before + request("client.list").encode()).ok()


def test_the_demo_clients_come_back_as_they_are_stored(sim: Simulator, admin: ApiCaller) -> None:
    """All texts of all records, in every form."""
    for form in FORMS:
        sim.switches.reset()
        sim.switches.set(**form)
        found = parsed(admin.list(per_page=100).body).findall(".//{*}client")
        assert len(found) == 57
        for client in found:
            client_id = client.findtext("{*}client_id")
            stored = next(record for record in sim.store.dump() if str(record["client_id"]) == client_id)
            assert (client.findtext("{*}notes"), client.findtext("{*}p_street1")) == (
                stored["notes"],
                stored["p_street1"],
            )


def parsed(body: bytes) -> etree._Element:
    return etree.fromstring(body, etree.XMLParser(remove_comments=True, remove_pis=True, resolve_entities=False))


def read_notes(body: bytes) -> str | None:
    return parsed(body).findtext(".//{*}notes")
