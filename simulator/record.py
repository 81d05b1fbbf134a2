"""The client record as the simulator keeps it, and as plain JSON for the state file and the steering."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.clock import ZERO_DATE, is_wall_time
from simulator.refusal import Refused
from simulator.xml_io import is_text

PRIMARY = ("p_street1", "p_street2", "p_city", "p_state", "p_country", "p_code")
SECONDARY = ("s_street1", "s_street2", "s_city", "s_state", "s_country", "s_code")
TEXTS = (
    *("first_name", "last_name", "email", "username", "home_phone", "mobile", "organization", "work_phone", "fax"),
    *("vat_name", "vat_number", *PRIMARY, *SECONDARY, "notes", "language", "currency_code"),
)
CONTACT_TEXTS = ("username", "first_name", "last_name", "email", "phone1", "phone2")
FOLDERS = ("active", "archived", "deleted")


@dataclass(frozen=True, slots=True)
class Contact:
    contact_id: int
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Client:
    """One client; never changed in place, so a reader needs no lock.

    `texts` is keyed by element name. `credits` are (currency, amount). `updated` is US/Eastern wall time.
    `assigned_to` names the staff tokens that see it. Of a password only a digest is kept.
    """

    client_id: int
    texts: Mapping[str, str]
    contacts: tuple[Contact, ...] = ()
    credits: tuple[tuple[str, str], ...] = ()
    folder: str = "active"
    updated: str = ZERO_DATE
    assigned_to: frozenset[str] = field(default_factory=frozenset)
    password_sha256: str = ""

    @property
    def is_deleted(self) -> bool:
        return self.folder == "deleted"


def digest(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()


def to_json(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        **{name: client.texts.get(name, "") for name in TEXTS},
        "contacts": [{"contact_id": contact.contact_id, **contact.texts} for contact in client.contacts],
        "credits": [{"currency": currency, "amount": amount} for currency, amount in client.credits],
        "folder": client.folder,
        "updated": client.updated,
        "assigned_to": sorted(client.assigned_to),
        "password_sha256": client.password_sha256,
    }


def from_json(given: Mapping[str, Any]) -> Client:
    """Read a whole record; what is left out is empty. Raises Refused, naming the key, on anything else."""
    _only(given, ("client_id", *CHANGEABLE, "password_sha256"), "client")
    _require_id(given.get("client_id"), "client_id")
    blank = Client(given["client_id"], {}, password_sha256=given.get("password_sha256", ""))
    changes = {key: value for key, value in given.items() if key in CHANGEABLE}
    return changed(blank, changes)


CHANGEABLE = (*TEXTS, "contacts", "credits", "folder", "updated", "assigned_to", "password")


def changed(client: Client, changes: Mapping[str, Any]) -> Client:
    """The client with the given keys changed, as JSON has them; every contact needs its `contact_id`."""
    _only(changes, CHANGEABLE, "client")
    texts = {**client.texts, **{name: _text(changes[name], name) for name in TEXTS if name in changes}}
    password = changes.get("password")
    return Client(
        client.client_id,
        texts,
        contacts=_contacts(changes["contacts"]) if "contacts" in changes else client.contacts,
        credits=_credits(changes["credits"]) if "credits" in changes else client.credits,
        folder=_folder(changes.get("folder", client.folder)),
        updated=_updated(changes.get("updated", client.updated)),
        assigned_to=_names(changes["assigned_to"]) if "assigned_to" in changes else client.assigned_to,
        password_sha256=client.password_sha256 if password is None else digest(_text(password, "password")),
    )


def _only(given: Mapping[str, Any], allowed: tuple[str, ...], what: str) -> None:
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise Refused(f"a {what} has no key {unknown[0]!r}", allowed)


def _require_id(value: object, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refused(f"{key} is {value!r}", "a positive whole number")
    return value


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not is_text(value):
        raise Refused(f"{key} is {value!r}", "a text of characters that XML 1.0 can carry")
    return value


def _objects(value: object, key: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise Refused(f"{key} is {value!r}", "a list of objects")
    return value


def _contacts(value: object) -> tuple[Contact, ...]:
    return tuple(_contact(item) for item in _objects(value, "contacts"))


def _contact(given: Mapping[str, Any]) -> Contact:
    _only(given, ("contact_id", *CONTACT_TEXTS), "contact")
    texts = {name: _text(given.get(name, ""), name) for name in CONTACT_TEXTS}
    return Contact(_require_id(given.get("contact_id"), "contact_id"), texts)


def _credits(value: object) -> tuple[tuple[str, str], ...]:
    return tuple(_credit(item) for item in _objects(value, "credits"))


def _credit(given: Mapping[str, Any]) -> tuple[str, str]:
    _only(given, ("currency", "amount"), "credit")
    return _text(given.get("currency"), "currency"), _text(given.get("amount"), "amount")


def _folder(value: object) -> str:
    if not isinstance(value, str) or value not in FOLDERS:
        raise Refused(f"folder is {value!r}", FOLDERS)
    return value


def _updated(value: object) -> str:
    if not isinstance(value, str) or not is_wall_time(value):
        raise Refused(f"updated is {value!r}", "YYYY-MM-DD HH:MM:SS")
    return value


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise Refused(f"assigned_to is {value!r}", "a list of staff names")
    return frozenset(value)
