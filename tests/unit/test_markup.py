"""Answers in known markup: whatever is read without a parser is what the parser reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.record import page_xml, record_xml, response_xml
from gateway.errors import UpstreamError
from gateway.upstream import markup
from gateway.upstream.codec import Codec
from gateway.upstream.decoding import Node
from gateway.upstream.markup import Markups
from gateway.upstream.protocol import Answer, read_answer
from schemas.client import CLIENT
from tests.support.values import ELEMENTS, TEXTS
from tests.support.wire import ZONE, Case, cases


class Reading:
    """A memory of markups, and what its codec reports."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.codec = Codec(CLIENT, ZONE, lambda name: self._tell("unknown", name), lambda name: self._tell("no", name))
        self.markups = Markups([CLIENT], {"client": self.codec})

    def _tell(self, what: str, name: str) -> None:
        self.told.append((what, name))

    def known(self, body: bytes) -> Node | None:
        return self.markups.read(body)

    def shown(self, response: Node) -> Any:
        """All that is read of an answer, and what is told about it; for a list with its attributes."""
        self.told.clear()
        content: list[Any] = []
        for child in response:
            if str(child.tag).endswith("clients"):
                numbers = {name: child.get(name) for name in ("page", "per_page", "pages", "total")}
                content.append((numbers, [self.codec.decode(row) for row in child]))
            else:
                content.append(self.codec.decode(child))
        return content, sorted(self.told)


def parsed(body: bytes) -> Node | None:
    """None: the parser finds no successful answer."""
    try:
        return read_answer(Answer(200, {}, body))
    except UpstreamError:
        return None


def assert_same(reading: Reading, body: bytes) -> bool:
    """What is read as known is what the parser reads. Tells whether it was."""
    known = reading.known(body)
    if known is None:
        return False
    root = parsed(body)
    assert root is not None
    assert reading.shown(known) == reading.shown(root)
    return True


def row(fields: str) -> str:
    return f"<client>{fields}</client>"


def record(fields: str) -> bytes:
    return response_xml(row(fields))


def page(rows: Sequence[str], attributes: str = ' page="1" per_page="25" pages="1" total="2"') -> bytes:
    return response_xml(f"\n<clients{attributes}>\n{''.join(map(row, rows))}</clients>\n")


PLAIN = "<client_id>13</client_id><first_name>Jane</first_name><fax></fax><mobile/><notes>a b</notes>"


@pytest.mark.parametrize(
    "body", [record(PLAIN), page([PLAIN, PLAIN]), response_xml(record_xml(5)), response_xml(page_xml(1))]
)
def test_what_the_service_sends_is_known_from_the_first_time_on(body: bytes) -> None:
    """Records and pages: no parser reads the answer, now or later, and nothing of it is lost."""
    reading = Reading()
    assert assert_same(reading, body)
    assert assert_same(reading, body)


@pytest.mark.parametrize("case", [one for one in cases("answer") if one.status == 200], ids=lambda case: case.name)
def test_every_sample_is_read_the_same(case: Case) -> None:
    """Or left to the parser."""
    reading = Reading()
    assert_same(reading, case.xml)
    assert_same(reading, case.xml)


FIELDS = st.lists(ELEMENTS, max_size=6).map("".join)


@given(fields=FIELDS)
@settings(max_examples=300)
def test_any_elements_are_read_the_same(fields: str) -> None:
    """Whatever their order, number, nesting, attributes and texts; what is told about them, too."""
    reading = Reading()
    assert assert_same(reading, record(fields)) == assert_same(reading, record(fields))


@given(rows=st.lists(st.sampled_from([PLAIN, "<client_id>1</client_id>", record_xml(7)[8:-9]]) | FIELDS, max_size=4))
@settings(max_examples=150)
def test_any_rows_are_read_the_same(rows: list[str]) -> None:
    """In any mixture."""
    reading = Reading()
    assert_same(reading, page(rows))
    assert_same(reading, page(rows))


@given(texts=st.lists(TEXTS.map(escape) | st.just(""), min_size=6, max_size=6))
@settings(max_examples=300)
def test_any_texts_in_known_markup_are_read_the_same(texts: list[str]) -> None:
    """Characters, references, blanks and none, in every kind of place."""
    reading = Reading()
    name, number, amount, link, old_link, after = texts
    body = record(
        f"<first_name>{name}</first_name>{after}<client_id>{number}</client_id><p_city>{name}</p_city>"
        f'<credit currency="USD">{amount}</credit><credits>{after}</credits><url>{old_link}</url>'
        f"<links>{after}<client_view>{link}</client_view></links><updated>{number}</updated>"
        f"<contacts><contact><contact_id>{number}</contact_id><email>{name}</email></contact></contacts>"
    )
    if "\r" not in body.decode():
        assert assert_same(reading, body)


@pytest.mark.parametrize(
    "text",
    ["&#39;", "&#039;", "&#x27;", "&#xfd;", "&#13;", "&#32;", "&#128512;", "&#x10FFFF;", "a&#65;&amp;&#66;&lt;b"],
)
def test_references_to_characters_are_read_the_same(text: str) -> None:
    """As systems write quotes and what they cannot encode."""
    assert assert_same(Reading(), record(PLAIN.replace("a b", text)))


@pytest.mark.parametrize("number", ["7", " 7 ", "x", "", "0", "9" * 19])
def test_numbers_and_amounts_are_read_the_same(number: str) -> None:
    """Also those that are none, in a record of which the markup is known from another."""
    reading = Reading()
    fields = '<client_id>{0}</client_id><credits><credit currency="USD">{0}</credit></credits><updated>{1}</updated>'
    assert assert_same(reading, record(fields.format("13", "2009-08-12 09:00:00")))
    assert assert_same(reading, record(fields.format(number, "2009-02-30 09:00:00")))


@pytest.mark.parametrize("last", ["", "x", "7"])
def test_of_two_elements_of_a_name_the_last_that_says_something_counts(last: str) -> None:
    """In known markup as before the parser."""
    reading = Reading()
    fields = "<client_id>13</client_id><fax>1</fax><client_id>{0}</client_id><fax>{0}</fax>"
    assert assert_same(reading, record(fields.format("5")))
    assert assert_same(reading, record(fields.format(last)))
    known = reading.known(record(fields.format("")))
    assert known is not None
    [shown], _ = reading.shown(known)
    assert (shown["id"], shown["fax"]) == (13, "1")


@pytest.mark.parametrize("link, credit", [("", ""), ("new", ""), ("", "2.50"), ("new", "2.50")])
def test_an_older_element_stands_in_only_for_what_is_empty(link: str, credit: str) -> None:
    """Which of two texts counts depends on the texts, not on the markup alone."""
    reading = Reading()
    fields = (
        '<url>old</url><credit currency="CAD">1.00</credit><links><client_view>{0}</client_view></links>'
        '<credits>{1}</credits><credit currency="EUR">{2}</credit>'
    )
    items = '<credit currency="USD">7.00</credit>'
    for inner in ("", items):
        assert assert_same(reading, record(fields.format("first", inner, "3.00")))
        assert assert_same(reading, record(fields.format(link, inner, credit)))


GOOD = page([PLAIN, record_xml(7)[8:-9], PLAIN])
BITS = [
    *(
        "<",
        ">",
        "&",
        "&amp;",
        "&lt",
        "&nbsp;",
        "&#65;",
        "&#x41;",
        "&#0;",
        "#",
        ";",
        "]]>",
        "<![CDATA[x]]>",
        "<!-- c -->",
        "<?p i?>",
    ),
    *("\r", "\0", "\x0b", "\ufffe", "\uffff", "\ufffd", "\u00a0", "\u0085", "\u2028", "\U0001f600", "\t", "\n", " "),
    *("<client>", "</client>", "<client/>", "</clients>", "<clients>", "</response>", "<x>", "</x>", "<x/>", "'", '"'),
    *("<fax>", "</fax>", "<fax/>", "/", "client", "x", "13", ' a="b"', "<!DOCTYPE response>"),
]


@given(
    body=st.sampled_from([GOOD, record(PLAIN)]),
    edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 12), st.sampled_from(BITS)), min_size=1, max_size=4),
)
@settings(max_examples=1500)
def test_a_damaged_answer_is_never_taken_for_a_good_one(body: bytes, edits: list[tuple[int, int, str]]) -> None:
    """With the undamaged one known: what the parser refuses is not known, what it reads otherwise is not read."""
    reading = Reading()
    assert assert_same(reading, body)
    text = body.decode()
    for place, length, bit in edits:
        at = place % (len(text) + 1)
        text = text[:at] + bit + text[at + length :]
    assert_same(reading, text.encode())
    assert_same(reading, text.encode())


@given(body=st.binary(max_size=40), at=st.integers(0, 10**6))
@settings(max_examples=300)
@example(b"\xc3", 300)
@example(b"\xed\xa0\x80", 300)
@example(b"\xef\xbf\xbf", 300)
def test_damaged_bytes_are_never_taken_for_good_ones(body: bytes, at: int) -> None:
    """What is no UTF-8, or no character of XML, is left to the parser."""
    reading = Reading()
    assert assert_same(reading, GOOD)
    at %= len(GOOD)
    assert_same(reading, GOOD[:at] + body + GOOD[at:])


def swapped(body: bytes) -> bytes:
    return body.replace(b"a b</notes>", b"a b>/notes<")


def with_control(code: int, body: bytes) -> bytes:
    return body.replace(b"a b", b"a%cb" % code)


def with_text(text: bytes, body: bytes) -> bytes:
    return body.replace(b"a b", text)


MEANINGLESS = (
    *("&#0;", "&#1;", "&#x0;", "&#xB;", "&#55296;", "&#xD800;", "&#xFFFE;", "&#x110000;", "&#9999999;"),
    *("&#X41;", "&#;", "&#x;", "&#x4G;", "&#6 5;", "&#-65;", "&AMP;", "&amp&lt;", "&&amp;", "&amp;&"),
)
"""References that mean no character of XML, or none at all."""

TRICKS: dict[str, Callable[[bytes], bytes]] = {
    "brackets the wrong way round": swapped,
    "a row that ends twice": lambda body: body.replace(b"</client>", b"</client></client>", 1),
    "a row in a row": lambda body: body.replace(b"<fax></fax>", b"<fax></fax>" + row(PLAIN).encode(), 1),
    "rows that end and begin again between two": lambda body: body.replace(
        b"</client>", b"</client></rows><rows>" + row(PLAIN).encode(), 1
    ),
    "an end without a beginning": lambda body: body.replace(b"<fax></fax>", b"</fax>", 1),
    "a text behind the end": lambda body: body + b"x",
    "a space that is none to XML behind the end": lambda body: body + "\u00a0".encode(),
    "another answer behind it": lambda body: body + body,
    "no end": lambda body: body.removesuffix(b"</response>"),
    "a list that ends as a record": lambda body: body.replace(b"</clients>", b"") if b"<clients" in body else body[:-1],
    "a reference to nothing": lambda body: body.replace(b"a b", b"a&nbsp;b"),
    **{f"the reference {text}": partial(with_text, text.encode()) for text in MEANINGLESS},
    "a reference without an end": lambda body: body.replace(b"a b", b"&amp"),
    "an ampersand between elements": lambda body: body.replace(b"<fax>", b"& <fax>"),
    "the end of a CDATA section": lambda body: body.replace(b"a b", b"]]>"),
    "a failure": lambda body: body.replace(b'status="ok"', b'status="fail"'),
    "another space of names": lambda body: body.replace(b"www.freshbooks.com", b"www_freshbooks.com"),
    "another root": lambda body: body.replace(b"<response ", b"<answer ").replace(b"</response>", b"</answer>"),
    "another encoding": lambda body: body.replace(b'encoding="utf-8"', b'encoding="latin-1"'),
    "an attribute twice": lambda body: body.replace(b"<fax>", b'<fax a="1" a="1">'),
    "an attribute of the list twice": lambda body: body.replace(b'page="1"', b'page="1" page="2"'),
    "a DOCTYPE": lambda body: body.replace(b"<response ", b"<!DOCTYPE response><response ", 1),
    "the last noncharacter": lambda body: body.replace(b"a b", "a\uffffb".encode()),
    "something over-long": lambda body: body.replace(b"a b", b"\xc0\x80"),
    **{f"the control {code}": partial(with_control, code) for code in [*range(9), 11, 12, *range(14, 32)]},
    "a number of pages that is none": lambda body: body.replace(b'pages="1"', b'pages="1""'),
}


@pytest.mark.parametrize("body", [record(PLAIN), page([PLAIN, PLAIN])], ids=["record", "page"])
@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS.keys())
def test_a_trick_is_left_to_the_parser(trick: Callable[[bytes], bytes], body: bytes) -> None:
    """Though its elements are known, before and after it was met."""
    reading = Reading()
    assert assert_same(reading, body)
    for _ in range(2):
        assert not assert_same(reading, trick(body)) or trick(body) == body
    assert assert_same(reading, body)


UNFIT = {
    "a comment": "<fax>1<!-- c -->2</fax>",
    "a CDATA section": "<fax><![CDATA[1]]></fax>",
    "an instruction": "<fax>1<?p i?>2</fax>",
    "an element in a text": "<fax>1<x/>2</fax>",
    "an element among blanks": "<fax> <x/></fax>",
    "a prefix": '<a:fax xmlns:a="x">1</a:fax>',
    "an attribute with a reference": '<credits><credit currency="&#85;SD">1.00</credit></credits>',
    "single quotes": "<credit currency='USD'>1.00</credit>",
}


@pytest.mark.parametrize("fields", UNFIT.values(), ids=UNFIT.keys())
def test_markup_that_tells_too_little_is_left_to_the_parser(fields: str) -> None:
    """Each time: there is nothing to remember of it that would do."""
    reading = Reading()
    assert parsed(record(PLAIN + fields)) is not None
    assert [reading.known(record(PLAIN + fields)) for _ in range(2)] == [None, None]


def test_more_new_markup_than_an_answer_may_teach() -> None:
    """The first rows are learnt and the answer left to the parser; the next gets further, and then it is known."""
    reading = Reading()
    rows = ["<x/>" * number + PLAIN for number in range(60)]
    reads = [assert_same(reading, page(rows)) for _ in range(4)]
    assert reads == [False, False, True, True]


def test_more_markups_than_are_remembered() -> None:
    """All are forgotten at once, and those that come again are known again."""
    reading = Reading()
    for number in range(3 * markup.MARKUPS_MAX):
        assert assert_same(reading, record(PLAIN + f"<x{number}/>"))
        assert len(reading.markups) <= markup.MARKUPS_MAX
    assert assert_same(reading, record(PLAIN))


def test_longer_markups_than_are_remembered() -> None:
    """Few long ones are as bad as many: what a form takes follows its markup's length."""
    reading = Reading()
    long = "<x></x>" * (markup.TAG_CHARACTERS_MAX // 4)
    for number in range(3 * markup.ALL_CHARACTERS_MAX // markup.TAG_CHARACTERS_MAX):
        assert assert_same(reading, record(f"<x{number}/>{long}"))
        assert len(reading.markups) <= 1 + markup.ALL_CHARACTERS_MAX // (markup.TAG_CHARACTERS_MAX // 2)
    for number in range(5):
        assert assert_same(reading, record(PLAIN + f"<x{number}/>"))
    assert len(reading.markups) >= 5


@pytest.mark.parametrize("fields", ["<fax></fax>" * 10_000, "<" + "x" * 30_000 + "/>"], ids=["many", "long"])
def test_markup_that_is_too_long_to_be_remembered(fields: str) -> None:
    """It is left to the parser, and nothing of it is kept."""
    reading = Reading()
    assert reading.known(record(fields)) is None
    assert len(reading.markups) == 0


def test_an_answer_that_is_too_long() -> None:
    """Its texts may be short or long: it is left to the parser."""
    reading = Reading()
    assert assert_same(reading, record(PLAIN))
    assert reading.known(record(PLAIN.replace("a b", "a" * (1 << 20)))) is None


def test_what_is_unknown_or_missing_is_told_each_time() -> None:
    """Once for each element and record, as when the parser reads."""
    reading = Reading()
    body = page(["<client_id>1</client_id><shoe_size>44</shoe_size>"] * 3)
    known = reading.known(body)
    assert known is not None
    _, told = reading.shown(known)
    assert told.count(("unknown", "shoe_size")) == 3
    assert told.count(("no", "email")) == 3


def test_depth_has_the_parsers_limit() -> None:
    """What is deeper than it reads is not known either."""
    reading = Reading()
    depths = [depth for depth in range(240, 260) if parsed(record("<a>" * depth + "</a>" * depth)) is not None]
    known = [depth for depth in depths if assert_same(reading, record("<a>" * depth + "</a>" * depth))]
    assert depths[-1] < 259
    assert set(range(240, depths[-1])) <= set(known)
