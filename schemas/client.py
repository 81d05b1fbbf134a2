"""The client: the record that FreshBooks Classic keeps about somebody who is invoiced.

Source: the vendor's pages on client.create, client.get and client.list, API version 2.1. Observed: `<contact>` inside
`<contacts>`, `notifications`, and the order of elements differ from those pages in live answers.
"""

from __future__ import annotations

from typing import ClassVar

from schemas.resource import Filters, Record, Resource, Strict
from schemas.types import (
    Choice,
    Currency,
    Email,
    Group,
    Identifier,
    Instant,
    Language,
    Many,
    Money,
    Password,
    Text,
    WallTime,
)


class Address(Strict):
    street1 = Text(example="123 Fake St.")
    street2 = Text(example="Unit 555")
    city = Text(example="New York")
    state = Text(example="New York")
    country = Text(example="United States")
    postal_code = Text(element="code", example="553132")


class Contact(Strict):
    id = Identifier(element="contact_id", description="Keeps the identity of a stored contact.", example=15)
    username = Text(example="alex")
    first_name = Text(example="Alex")
    last_name = Text(example="Smith")
    email = Email(required=True, example="alex@example.com")
    phone1 = Text(example="(555) 345-6789")
    phone2 = Text()


class Credit(Strict):
    amount = Money(own_text=True, example="123.45")
    currency = Text(xml_attribute="currency", example="USD", description="ISO 4217; null where the upstream has none.")


class Links(Strict):
    client_view = Text(fallback="url", example="https://sample.freshbooks.com/view/Vbbfs324trTkxer")
    view = Text(fallback="auth_url", example="https://sample.freshbooks.com/clients/13")
    statement = Text(example="https://sample.freshbooks.com/view/3EbEwAkJGJkuJHSN")


class Client(Record):
    known_elements: ClassVar[frozenset[str]] = frozenset({"notifications"})

    id = Identifier(element="client_id", dump_only=True, allow_none=False, example=13)
    first_name = Text(example="Jane")
    last_name = Text(example="Doe")
    organization = Text(example="ABC Corp", description="The upstream may fill in the e-mail address.")
    email = Email(required=True, example="janedoe@freshbooks.com", description="Need not be unique.")
    username = Text(kept_when_absent=True, example="janedoe", description="The upstream makes one up when left out.")
    password = Password(description="Never comes back. The upstream makes one up when left out.", example="seCret!7")
    work_phone = Text(example="(555) 123-4567")
    home_phone = Text(example="(555) 234-5678")
    mobile = Text()
    fax = Text()
    language = Language(example="en", description="A language code of the upstream.")
    currency_code = Currency(example="USD", description="ISO 4217.")
    notes = Text(example="Prefers email over phone calls")
    primary_address = Group(Address, prefix="p_")
    secondary_address = Group(Address, prefix="s_")
    vat_name = Text(example="VAT Number")
    vat_number = Text(example="GB123456789", description="Shown under the address together with `vat_name`.")
    contacts = Many(Contact, element="contacts", item="contact", description="A list in a body replaces the stored.")
    credits = Many(Credit, element="credits", item="credit", fallback="credit", dump_only=True)
    links = Group(Links, element="links", dump_only=True)
    folder = Text(dump_only=True, example="active", description="`active`, `archived` or `deleted`.")
    updated_at = WallTime(element="updated", dump_only=True, example="2009-08-12T09:00:00-04:00")


class ClientFilters(Filters):
    email = Text(allow_none=False, description="Exactly this e-mail address.", example="janedoe@freshbooks.com")
    username = Text(allow_none=False, description="Exactly this user name.", example="janedoe")
    notes = Text(allow_none=False, description="This text occurs in the notes.", example="email")
    folder = Choice("active", "archived", "deleted", allow_none=False, description="The folder.", example="active")
    updated_from = Instant(allow_none=False, description="Changed since.", example="2009-01-01")
    updated_to = Instant(allow_none=False, description="Changed before.", example="2009-12-01T00:00:00-05:00")


CLIENT = Resource(
    name="client",
    plural="clients",
    record=Client,
    filters=ClientFilters,
    example={"first_name": "Jane", "last_name": "Doe", "organization": "ABC Corp", "email": "janedoe@freshbooks.com"},
    found_by="email",
)
