"""The methods of the client record: fields, then resource, then action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree.ElementTree import Element

from simulator.answers import (
    Answer,
    Fault,
    action_failed,
    client_answer,
    created_answer,
    deleted,
    empty_answer,
    not_found,
)
from simulator.fields import Draft, as_id, read_draft, required_id
from simulator.listing import list_clients
from simulator.record import CONTACT_TEXTS, TEXTS, Client, Contact, digest
from simulator.record_xml import BASE_CURRENCY, RecordWriter
from simulator.store import Store
from simulator.switches import Switches

ADMIN = "admin"
DEFAULTS = {"language": "en", "currency_code": BASE_CURRENCY}


class Methods:
    """What one credential may do. `who` is `admin` or a staff name; `deny` refuses every change at the last step."""

    def __init__(self, store: Store, records: RecordWriter, form: Switches, who: str, deny: bool = False) -> None:
        self._store = store
        self._records = records
        self._form = form
        self._who = who
        self._deny = deny

    def table(self) -> dict[str, Callable[[Element], Answer]]:
        methods: dict[str, Callable[[Element], Answer]] = {
            "client.create": self.create,
            "client.get": self.get,
            "client.list": self.list_page,
            "client.update": self.update,
            "client.delete": self.delete,
        }
        return {**methods, "client.undelete": self.undelete} if self._form.undelete else methods

    def create(self, root: Element) -> Answer:
        draft = read_draft(root, self._form, is_update=False)
        with self._store.changing():
            self._refuse_if_full()
            texts = self._with_defaults(draft.texts)
            self._refuse_taken_username(texts["username"], None)
            self._act("create")
            client = self._new_client(draft, texts)
            self._store.put(client)
        return created_answer(self._form, client.client_id)

    def get(self, root: Element) -> Answer:
        client = self._visible(required_id(root, self._form))
        if client.is_deleted:
            raise deleted()
        return client_answer(self._form, self._records.lines(client, self._form, "  "), client.client_id)

    def list_page(self, root: Element) -> Answer:
        visible = [client for client in self._store.newest_first() if self._sees(client)]
        return list_clients(root, visible, self._form, self._records)

    def update(self, root: Element) -> Answer:
        draft = read_draft(root, self._form, is_update=True)
        with self._store.changing():
            client = self._visible(draft.client_id)
            self._refuse_deleted(client, self._form.update_deleted)
            contacts = self._updated_contacts(client, draft.contacts)
            self._refuse_taken_username(draft.texts.get("username", ""), client)
            self._act("update")
            texts = {**client.texts, **self._cleared_to_default(draft.texts)}
            self._store.put(self._touched(replace(client, texts=texts, contacts=contacts), draft.password))
        return empty_answer(self._form, client.client_id)

    def delete(self, root: Element) -> Answer:
        client_id = required_id(root, self._form)
        with self._store.changing():
            client = self._visible(client_id)
            self._refuse_deleted(client, self._form.delete_deleted)
            self._act("delete")
            if not client.is_deleted:
                self._store.put(self._touched(replace(client, folder="deleted")))
        return empty_answer(self._form, client.client_id, applied=not client.is_deleted)

    def undelete(self, root: Element) -> Answer:
        """One weak hint only: a vendor connector knows this method, no documentation does."""
        client_id = required_id(root, self._form)
        with self._store.changing():
            client = self._visible(client_id)
            self._act("undelete")
            self._store.put(self._touched(replace(client, folder="active")))
        return empty_answer(self._form, client.client_id)

    def _sees(self, client: Client) -> bool:
        return self._who == ADMIN or self._who in client.assigned_to

    def _visible(self, client_id: str) -> Client:
        """Staff are told that a client of others is not there. Source: documentation: staff see assigned clients."""
        number = as_id(client_id)
        client = self._store.find(number) if number is not None else None
        if client is None or not self._sees(client):
            raise not_found()
        return client

    def _refuse_deleted(self, client: Client, form: str) -> None:
        if client.is_deleted and form != "ok":
            raise deleted() if form == "deleted" else not_found()

    def _act(self, action: str) -> None:
        if self._deny:
            raise action_failed(action)

    def _refuse_if_full(self) -> None:
        limit = self._form.client_limit
        if limit is None:
            return
        if sum(not client.is_deleted for client in self._store.newest_first()) >= limit:
            raise Fault(self._form.client_limit_code, "Failed to create client. Client limit reached.")

    def _refuse_taken_username(self, username: str, own: Client | None) -> None:
        if not self._form.username_unique or not username:
            return
        for client in self._store.newest_first():
            if client.texts.get("username") == username and (own is None or client.client_id != own.client_id):
                raise Fault(self._form.taken_username_code, f"Username '{username}' is taken.", field="username")

    def _with_defaults(self, given: dict[str, str]) -> dict[str, str]:
        texts = {**dict.fromkeys(TEXTS, ""), **self._cleared_to_default({**dict.fromkeys(DEFAULTS, ""), **given})}
        name = f"{texts['first_name']} {texts['last_name']}".strip()
        if not texts["username"]:
            texts["username"] = texts["email"] if self._form.username_default == "email" else name or texts["email"]
        if self._form.organization_from_email and not name and not texts["organization"]:
            texts["organization"] = texts["email"]
        return texts

    def _cleared_to_default(self, texts: dict[str, str]) -> dict[str, str]:
        return {name: text or DEFAULTS.get(name, "") for name, text in texts.items()}

    def _new_client(self, draft: Draft, texts: dict[str, str]) -> Client:
        contacts = tuple(self._new_contact(contact) for contact in draft.contacts or ())
        owners = {self._who} if self._who != ADMIN and self._form.staff_owns_created else set()
        blank = Client(self._store.next_client_id(), texts, contacts, assigned_to=frozenset(owners))
        return self._touched(replace(blank, credits=((BASE_CURRENCY, "0"),)), draft.password)

    def _new_contact(self, sent: dict[str, str]) -> Contact:
        return Contact(self._store.next_contact_id(), {name: sent.get(name, "") for name in CONTACT_TEXTS})

    def _updated_contacts(self, client: Client, sent: list[dict[str, str]] | None) -> tuple[Contact, ...]:
        """Left out: unchanged. Sent: the list replaces the old one, or is merged into it, by the switch."""
        if sent is None:
            return client.contacts
        old = {contact.contact_id: contact for contact in client.contacts}
        merges = self._form.contacts_on_update == "merge"
        contacts = dict(old) if merges else {}
        for given in sent:
            contact = self._updated_contact(old, given, merges)
            contacts[contact.contact_id] = contact
        return tuple(contacts.values())

    def _updated_contact(self, old: dict[int, Contact], given: dict[str, str], merges: bool) -> Contact:
        contact_id = as_id(given.get("contact_id", ""))
        texts = {name: given[name] for name in CONTACT_TEXTS if name in given}
        if contact_id in old and contact_id is not None:
            before = old[contact_id].texts if merges else dict.fromkeys(CONTACT_TEXTS, "")
            return Contact(contact_id, {**before, **texts})
        if given.get("contact_id") and self._form.unknown_contact_id == "refuse":
            raise not_found("contact")
        return self._new_contact(texts)

    def _touched(self, client: Client, password: str = "") -> Client:
        kept = digest(password) if password else client.password_sha256
        return replace(client, updated=self._store.now(), password_sha256=kept)
