"""The elements of a request: which may be sent, which must be, and what they may hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from simulator.answers import Fault, invalid_value, missing
from simulator.clock import is_wall_time
from simulator.record import CONTACT_TEXTS, FOLDERS, TEXTS
from simulator.switches import Switches

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")
"""Source: documentation names a dozen codes (en, es-419, sv) and says there are more: so any code of that form."""

FILTERS = ("email", "username", "updated_from", "updated_to", "folder", "notes", "page", "per_page")
PER_PAGE = 25
PER_PAGE_CEILING = 100

_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\Z")
_COUNT = re.compile(r"[0-9]{1,9}\Z")
_ID = re.compile(r"[0-9]{1,18}\Z")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a create or an update sent. Only what was sent is in `texts`; `contacts` None: not sent."""

    client_id: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    contacts: list[dict[str, str]] | None = None
    password: str = ""


def as_id(text: str) -> int | None:
    """The number, or None where no client can have such an id."""
    return int(text) if _ID.match(text) else None


def required_id(root: Element, form: Switches) -> str:
    """The client_id of get and delete."""
    return _required(_leaves(root, ("client_id",), form), "client_id")


def read_filters(root: Element, form: Switches) -> dict[str, str]:
    """The filters that are not empty."""
    filters = {name: text for name, text in _leaves(root, FILTERS, form).items() if text}
    for name in ("updated_from", "updated_to"):
        if name in filters and not is_wall_time(filters[name]):
            raise invalid_value(name)
    if filters.get("folder", "active") not in FOLDERS:
        raise invalid_value("folder")
    return filters


def read_count(filters: dict[str, str], name: str, default: int, form: Switches) -> int:
    """`page` or `per_page`: a number from 1 on, or what the switch `bad_page` says."""
    text = filters.get(name, str(default))
    if _COUNT.match(text) and int(text) > 0:
        return int(text)
    if form.bad_page == "fault":
        raise Fault(form.bad_page_code, f"Invalid value for field '{name}'.", field=name)
    return default


def read_draft(root: Element, form: Switches, *, is_update: bool) -> Draft:
    """The `<client>` of create and update, checked in the order: nodes, required fields, values."""
    element = _only_client(root, form)
    ids = ("client_id",) if is_update else ()
    leaves = _leaves(element, (*ids, *TEXTS, "password"), form, containers=("contacts",))
    contacts = _read_contacts(element, form, is_update=is_update)
    if is_update:
        _required(leaves, "client_id")
    texts = {name: text for name, text in leaves.items() if name in TEXTS}
    _check_email(texts, form, is_update=is_update)
    for contact in contacts or ():
        _required(contact, "email")
    _check_values(texts, contacts or (), form)
    return Draft(leaves.get("client_id", ""), texts, contacts, leaves.get("password", ""))


def _only_client(root: Element, form: Switches) -> Element:
    found = None
    for child in _known(root, ("client",), form):
        found = child
    if found is None:
        raise missing("client")
    return found


def _read_contacts(client: Element, form: Switches, *, is_update: bool) -> list[dict[str, str]] | None:
    """The last list that was sent, None without one; the contacts' ids belong to updates only."""
    allowed = ("contact_id", *CONTACT_TEXTS) if is_update else CONTACT_TEXTS
    contacts = None
    for container in client.iterfind("contacts"):
        contacts = [_leaves(contact, allowed, form) for contact in _known(container, ("contact",), form)]
    return contacts


def _leaves(
    parent: Element, allowed: Iterable[str], form: Switches, containers: tuple[str, ...] = ()
) -> dict[str, str]:
    """The texts of the allowed children; of one sent twice the last."""
    texts = {}
    for child in _known(parent, (*allowed, *containers), form):
        if child.tag in containers:
            continue
        for inner in child:
            raise invalid_node(inner.tag, form)
        texts[child.tag] = child.text or ""
    return texts


def _known(parent: Element, allowed: Iterable[str], form: Switches) -> Iterator[Element]:
    for child in parent:
        if child.tag not in allowed:
            raise invalid_node(child.tag, form)
        yield child


def invalid_node(name: str, form: Switches) -> Fault:
    """Observed: the text. The code is unknown."""
    return Fault(form.invalid_node_code, f"Invalid node: {name}.", field=name)


def _required(leaves: dict[str, str], name: str) -> str:
    if not leaves.get(name):
        raise missing(name)
    return leaves[name]


def _check_email(texts: dict[str, str], form: Switches, *, is_update: bool) -> None:
    if form.email_required and not texts.get("email", "kept" if is_update else ""):
        raise missing("email")


def _check_values(texts: dict[str, str], contacts: Iterable[dict[str, str]], form: Switches) -> None:
    if texts.get("language") and not _LANGUAGE.match(texts["language"]):
        raise invalid_value("language")
    if texts.get("currency_code") and not _CURRENCY.match(texts["currency_code"]):
        raise invalid_value("currency_code")
    emails = [texts.get("email", ""), *(contact["email"] for contact in contacts)]
    if form.email_checked and any(email and not _EMAIL.match(email) for email in emails):
        raise invalid_value("email")
