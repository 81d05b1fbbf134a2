"""A client as the service writes it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from simulator.record import CONTACT_TEXTS, PRIMARY, SECONDARY, TEXTS, Client, Contact
from simulator.switches import Switches
from simulator.xml_io import NAMESPACE, Writer

BASE_CURRENCY = "USD"
SITE = "https://demo.freshbooks.com"

LIVE_ORDER = (
    *("client_id", "first_name", "last_name", "email", "username", "home_phone", "mobile", "contacts"),
    *("organization", "work_phone", "fax", "vat_name", "vat_number", *PRIMARY, *SECONDARY, "notes", "language"),
    *("currency_code", "credit", "url", "auth_url", "folder", "updated", "credits", "links", "notifications"),
)
"""Observed: the one public live capture of a record."""

DOCUMENTED_ORDER = (
    *("client_id", "first_name", "last_name", "organization", "email", "username", "contacts", "work_phone"),
    *("home_phone", "mobile", "fax", "language", "currency_code", "credit", "credits", "notes", *PRIMARY),
    *(*SECONDARY, "url", "auth_url", "links", "vat_name", "vat_number", "folder", "updated"),
)
"""Source: the documentation's sample of client.get, which has no notifications."""


class RecordWriter:
    """Writes clients by the switches in force; a record's text is kept until it or a switch changes."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str], tuple[Client, Switches, str]] = {}

    def lines(self, client: Client, form: Switches, indent: str) -> str:
        key = (client.client_id, indent)
        kept = self._kept.get(key)
        if kept and kept[0] is client and kept[1] is form:
            return kept[2]
        writer = writer_for(form, indent)
        write_client(writer, client, form)
        text = writer.lines()
        self._kept[key] = (client, form, text)
        return text


def writer_for(form: Switches, indent: str = "") -> Writer:
    return Writer(
        prefix="fb:" if form.namespace == "prefix" else "",
        as_cdata=form.text_form == "cdata",
        comments=form.comments,
        close_empty_text=form.empty_text == "self_closed",
        close_empty_container=form.empty_container == "self_closed",
        indent=indent,
    )


def root_attributes(form: Switches, status: str) -> dict[str, str]:
    declaration = {"default": {"xmlns": NAMESPACE}, "prefix": {"xmlns:fb": NAMESPACE}, "none": {}}[form.namespace]
    return {**declaration, "status": status}


def write_client(writer: Writer, client: Client, form: Switches) -> None:
    order = LIVE_ORDER if form.element_order == "live" else DOCUMENTED_ORDER
    writer.open("client")
    for name in order:
        if name in form.drop_elements:
            continue
        if name in _TEXT_NAMES:
            writer.text(name, client.texts.get(name, ""))
        else:
            _SPECIAL[name](writer, client, form)
    write_extra(writer, form)
    writer.close("client")


def write_extra(writer: Writer, form: Switches) -> None:
    for name in form.extra_elements:
        writer.text(name, "1")


def _id(writer: Writer, client: Client, _form: Switches) -> None:
    writer.text("client_id", str(client.client_id))


def _folder(writer: Writer, client: Client, _form: Switches) -> None:
    writer.text("folder", client.folder)


def _updated(writer: Writer, client: Client, _form: Switches) -> None:
    writer.text("updated", client.updated)


def _contacts(writer: Writer, client: Client, form: Switches) -> None:
    if not client.contacts:
        writer.empty("contacts")
        return
    writer.open("contacts")
    for contact in client.contacts:
        _contact(writer, contact, form)
    writer.close("contacts")


def _contact(writer: Writer, contact: Contact, form: Switches) -> None:
    if form.contacts_form == "wrapped":
        writer.open("contact")
    writer.text("contact_id", str(contact.contact_id))
    writer.texts(CONTACT_TEXTS, contact.texts)
    write_extra(writer, form)
    if form.contacts_form == "wrapped":
        writer.close("contact")


def _credit(writer: Writer, client: Client, form: Switches) -> None:
    amount = dict(client.credits).get(BASE_CURRENCY, "0")
    writer.text("credit", amount, {"currency": BASE_CURRENCY, "deprecated": "true"} if form.credit_attributes else None)


def _credits(writer: Writer, client: Client, form: Switches) -> None:
    if not client.credits:
        writer.empty("credits")
        return
    writer.open("credits")
    for currency, amount in client.credits:
        writer.text("credit", amount, {"currency": currency} if form.credit_attributes else None)
    writer.close("credits")


def _url(writer: Writer, client: Client, _form: Switches) -> None:
    writer.text("url", _view_url(client, "view"), {"deprecated": "true"})


def _auth_url(writer: Writer, client: Client, _form: Switches) -> None:
    writer.text("auth_url", f"{SITE}/clients/{client.client_id}", {"deprecated": "true"})


def _links(writer: Writer, client: Client, _form: Switches) -> None:
    writer.open("links")
    writer.text("client_view", _view_url(client, "view"))
    writer.text("view", f"{SITE}/clients/{client.client_id}")
    writer.text("statement", _view_url(client, "statement"))
    writer.close("links")


def _notifications(writer: Writer, _client: Client, _form: Switches) -> None:
    writer.open("notifications")
    writer.text("late_payment_reminders", "1")
    writer.close("notifications")


def _view_url(client: Client, page: str) -> str:
    """A secret-looking address that is the same after every restart."""
    return f"{SITE}/view/{hashlib.sha256(f'{page} {client.client_id}'.encode()).hexdigest()[:16]}"


_TEXT_NAMES = frozenset(TEXTS)
_SPECIAL: dict[str, Callable[[Writer, Client, Switches], None]] = {
    "client_id": _id,
    "contacts": _contacts,
    "credit": _credit,
    "credits": _credits,
    "url": _url,
    "auth_url": _auth_url,
    "links": _links,
    "folder": _folder,
    "updated": _updated,
    "notifications": _notifications,
}
