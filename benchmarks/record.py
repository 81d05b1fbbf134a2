"""The one client that everybody translates, as the upstream writes it and as the contract shows it."""

from __future__ import annotations

import json
from typing import Any

PAGE_SIZE = 100
PAGES_TOTAL = 10_000_000

ETAG = '"one"'

RECORD: dict[str, Any] = {
    "id": 13,
    "first_name": "Jane",
    "last_name": "Doe",
    "organization": "Müller & Søn",
    "email": "janedoe@example.com",
    "username": "janedoe",
    "work_phone": "(555) 123-4567",
    "home_phone": "(555) 234-5678",
    "mobile": None,
    "fax": None,
    "language": "en",
    "currency_code": "USD",
    "notes": "Prefers email over phone calls",
    "primary_address": {
        "street1": "123 Fake St.",
        "street2": "Unit 555",
        "city": "New York",
        "state": "New York",
        "country": "United States",
        "postal_code": "05531",
    },
    "secondary_address": {
        "street1": None,
        "street2": None,
        "city": None,
        "state": None,
        "country": None,
        "postal_code": None,
    },
    "vat_name": None,
    "vat_number": None,
    "contacts": [
        {
            "id": 15,
            "username": "alex",
            "first_name": None,
            "last_name": None,
            "email": "alex@example.com",
            "phone1": None,
            "phone2": None,
        }
    ],
    "credits": [{"amount": "123.45", "currency": "USD"}],
    "links": {
        "client_view": "https://sample.freshbooks.com/view/Vbbfs324trTkxer",
        "view": "https://sample.freshbooks.com/clients/13",
        "statement": "https://sample.freshbooks.com/view/3EbEwAkJGJkuJHSN",
    },
    "folder": "active",
    "updated_at": "2009-08-12T09:00:00-04:00",
}

CREATED: dict[str, Any] = {
    name: RECORD[name]
    for name in ("first_name", "last_name", "organization", "email", "work_phone", "notes", "primary_address")
}
"""What callers send to create a client."""

CHANGED: dict[str, Any] = {"notes": "Prefers phone calls over email", "primary_address": {"city": "Boston"}}
"""What callers send to change one. The upstream of the benchmarks forgets it at once."""

# The order and the white space are those of live answers.
_XML = """<client>
    <client_id>{id}</client_id>
    <first_name>Jane</first_name>
    <last_name>Doe</last_name>
    <email>janedoe@example.com</email>
    <username>janedoe</username>
    <home_phone>(555) 234-5678</home_phone>
    <mobile></mobile>
    <contacts>
      <contact>
        <contact_id>15</contact_id>
        <username>alex</username>
        <first_name></first_name>
        <last_name></last_name>
        <email>alex@example.com</email>
        <phone1></phone1>
        <phone2></phone2>
      </contact>
    </contacts>
    <organization>Müller &amp; Søn</organization>
    <work_phone>(555) 123-4567</work_phone>
    <fax></fax>
    <vat_name></vat_name>
    <vat_number></vat_number>
    <p_street1>123 Fake St.</p_street1>
    <p_street2>Unit 555</p_street2>
    <p_city>New York</p_city>
    <p_state>New York</p_state>
    <p_country>United States</p_country>
    <p_code>05531</p_code>
    <s_street1></s_street1>
    <s_street2></s_street2>
    <s_city></s_city>
    <s_state></s_state>
    <s_country></s_country>
    <s_code></s_code>
    <notes>Prefers email over phone calls</notes>
    <language>en</language>
    <currency_code>USD</currency_code>
    <credit currency="USD" deprecated="true">123.45</credit>
    <url deprecated="true">https://sample.freshbooks.com/view/Vbbfs324trTkxer</url>
    <auth_url deprecated="true">https://sample.freshbooks.com/clients/13</auth_url>
    <folder>active</folder>
    <updated>2009-08-12 09:00:00</updated>
    <credits>
      <credit currency="USD">123.45</credit>
    </credits>
    <links>
      <client_view>https://sample.freshbooks.com/view/Vbbfs324trTkxer</client_view>
      <view>https://sample.freshbooks.com/clients/13</view>
      <statement>https://sample.freshbooks.com/view/3EbEwAkJGJkuJHSN</statement>
    </links>
    <notifications>
      <late_payment_reminders>1</late_payment_reminders>
    </notifications>
  </client>"""

_RESPONSE = (
    '<?xml version="1.0" encoding="utf-8"?>\n<response xmlns="http://www.freshbooks.com/api/" status="ok">{}</response>'
)


def response_xml(content: str) -> bytes:
    return _RESPONSE.format(content).encode()


def record_xml(key: int) -> str:
    return _XML.format(id=key)


def page_xml(page: int) -> str:
    """A page of `PAGE_SIZE` clients, whose ids count from 1."""
    head = f'\n  <clients page="{page}" per_page="{PAGE_SIZE}" pages="{PAGES_TOTAL}" total="{PAGES_TOTAL * PAGE_SIZE}">'
    rows = "".join(f"\n  {record_xml(key)}" for key in range(1, PAGE_SIZE + 1))
    return f"{head}{rows}\n  </clients>\n"


def record(key: int) -> dict[str, Any]:
    return {**RECORD, "id": key}


def page(number: int) -> dict[str, Any]:
    """The JSON of a page; its clients are those of `page_xml`."""
    items = [record(key) for key in range(1, PAGE_SIZE + 1)]
    total = PAGES_TOTAL * PAGE_SIZE
    return {"items": items, "page": number, "per_page": PAGE_SIZE, "pages": PAGES_TOTAL, "total": total}


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
