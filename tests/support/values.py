"""Hypothesis strategies: what callers may send, and what an upstream may answer."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.client import CLIENT
from schemas.types import NOT_XML

_NOT_XML = "".join(filter(NOT_XML.search, map(chr, range(0xD800)))) + "\ufffe\uffff"
_PLAIN_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters=_NOT_XML), min_size=1, max_size=20)
_HARD_TEXTS = st.text("&<>]\"'\r\n\t 0\u0085\u2028\U0001f600\ufffd", min_size=1, max_size=10)
TEXTS = _PLAIN_TEXTS | _HARD_TEXTS | st.tuples(_HARD_TEXTS, _PLAIN_TEXTS, _HARD_TEXTS).map("".join)
"""Whatever XML 1.0 can carry, with much of what it escapes. Whole texts are drawn: drawing each character by itself
takes ten times as long."""

EMAILS = st.from_regex(r"[a-z0-9.+-]{1,8}[a-z0-9]@[a-z0-9]{1,8}\.(com|org|example)", fullmatch=True).filter(
    lambda text: not text.startswith(".") and ".." not in text
)
LANGUAGES = st.sampled_from(["en", "fr", "es-419", "pt-BR"])
CURRENCIES = st.sampled_from(["USD", "CAD", "EUR"])
IDENTIFIERS = st.integers(1, 10**18 - 1)


def _optional(**values: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    """An object with any of these keys, each with a value or null."""
    return st.fixed_dictionaries({}, optional={name: value | st.none() for name, value in values.items()})


ADDRESSES = _optional(street1=TEXTS, street2=TEXTS, city=TEXTS, state=TEXTS, country=TEXTS, postal_code=TEXTS)
CONTACTS = st.builds(
    lambda email, key, rest: {"email": email, **({"id": key} if key else {}), **rest},
    EMAILS,
    IDENTIFIERS | st.none(),
    _optional(username=TEXTS, first_name=TEXTS, last_name=TEXTS, phone1=TEXTS, phone2=TEXTS),
)
_PLAIN_NAMES = (
    *("first_name", "last_name", "organization", "username", "work_phone", "home_phone", "mobile", "fax"),
    *("notes", "vat_name", "vat_number"),
)
_PLAIN = dict.fromkeys(_PLAIN_NAMES, TEXTS)
_SPECIAL: dict[str, SearchStrategy[Any]] = {
    "language": LANGUAGES,
    "currency_code": CURRENCIES,
    "primary_address": ADDRESSES,
    "secondary_address": ADDRESSES,
    "contacts": st.lists(CONTACTS, max_size=3),
}
BODIES = st.builds(
    lambda email, password, rest: {"email": email, **({"password": password} if password else {}), **rest},
    EMAILS,
    TEXTS | st.none(),
    _optional(**_PLAIN, **_SPECIAL),
)
"""Bodies that create a client."""

_NAMES = sorted(
    {
        *CLIENT.pointers,
        *CLIENT.schema.fields,
        *("client_id", "contact", "contact_id", "credit", "url", "auth_url", "client_view", "view", "statement"),
        *("folder", "updated", "notifications", "shoe_size"),
    }
)
NAMES = st.sampled_from([name for name in _NAMES if "/" not in name])
_ODD_TEXTS = st.sampled_from(
    (
        *("", " ", "0", "13", "-1", "9" * 30, "1.5", "1e9", "\u0661\u0663"),
        *("0000-00-00 00:00:00", "2009-08-12 09:00:00", "2009-02-30 00:00:00"),
        *("0001-01-01 00:00:00", "9999-12-31 23:59:59"),
        *("<![CDATA[ x ]]>", "<!-- c -->", "<?p i?>"),
    )
)


def _element(name: str, attributes: dict[str, str], inner: list[str]) -> str:
    written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<{name}{written}>{''.join(inner)}</{name}>"


_ATTRIBUTES = st.dictionaries(st.sampled_from(["currency", "deprecated", "total", "page"]), TEXTS, max_size=2)
ELEMENTS = st.recursive(
    _ODD_TEXTS | TEXTS.map(escape),
    lambda below: st.builds(_element, NAMES, _ATTRIBUTES, st.lists(below, max_size=4)),
    max_leaves=25,
)
"""XML of a record's elements, in any order, number and nesting."""
