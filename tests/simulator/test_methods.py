"""The five methods, as the documentation and live tests of client libraries have them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from simulator.clock import now_eastern
from simulator.record import TEXTS
from simulator.server import Simulator
from tests.simulator.api_caller import ApiCaller, elements, request

DOCUMENTED_CREATE = (Path(__file__).parent / "documented_create.xml").read_bytes()


def test_the_documented_create_request(admin: ApiCaller) -> None:
    """The vendor's own sample, comments and all, makes a client; the answer holds the id and nothing more."""
    reply = admin.send(DOCUMENTED_CREATE)
    client_id = reply.ok().findtext("client_id")
    assert reply.body.decode() == (
        '<?xml version="1.0" encoding="utf-8"?>\n<response xmlns="http://www.freshbooks.com/api/" status="ok">\n'
        f"  <client_id>{client_id}</client_id>\n</response>\n"
    )
    texts = admin.get(client_id).texts()
    sent = ElementTree.fromstring(DOCUMENTED_CREATE)[0]
    for child in sent:
        if child.tag not in ("contacts", "password"):
            assert texts[child.tag] == (child.text or "")


def test_a_created_client_has_an_id_above_all_others(sim: Simulator, admin: ApiCaller) -> None:
    """Ids ascend and are never used twice, not even after a delete."""
    first = admin.created()
    admin.delete(first)
    assert int(admin.created()) > int(first) > 4422


def test_create_with_an_email_alone(admin: ApiCaller) -> None:
    """The e-mail becomes organization and username; language and currency are the account's."""
    texts = admin.get(admin.created(email="solo@example.com")).texts()
    assert texts["organization"] == texts["username"] == "solo@example.com"
    assert (texts["language"], texts["currency_code"], texts["folder"]) == ("en", "USD", "active")


def test_the_default_username_is_the_name(admin: ApiCaller) -> None:
    """First and last name; the organization stays empty."""
    texts = admin.get(admin.created(first_name="Ann", last_name="Lee")).texts()
    assert (texts["username"], texts["organization"]) == ("Ann Lee", "")


def test_every_writable_text_comes_back(admin: ApiCaller) -> None:
    """What create sends, get answers, element by element; update likewise."""
    sent = {name: f"{name} one" for name in TEXTS} | {"email": "a@b.example", "language": "fr", "currency_code": "EUR"}
    client_id = admin.created(**sent)
    assert sent.items() <= admin.get(client_id).texts().items()
    changed = {name: f"{name} two" for name in TEXTS} | {
        "email": "c@d.example",
        "language": "de",
        "currency_code": "CAD",
    }
    admin.update(client_id, **changed).ok()
    assert changed.items() <= admin.get(client_id).texts().items()


def test_the_password_never_comes_back(sim: Simulator, admin: ApiCaller) -> None:
    """Neither in get, list, the raw dump nor the ledger; yet a change of it can be told."""
    client_id = admin.created(password="seCret!7")
    before = sim.store.dump()[-1]["password_sha256"]
    admin.update(client_id, password="another!8").ok()
    assert sim.store.dump()[-1]["password_sha256"] != before
    everything = admin.get(client_id).body + admin.list().body + repr((sim.store.dump(), sim.ledger.calls())).encode()
    assert b"seCret!7" not in everything
    assert b"another!8" not in everything
    assert b"<password>" not in everything


def test_update_leaves_out_what_it_does_not_change(admin: ApiCaller) -> None:
    """Elements left out stay, an empty one clears its field, and the answer is an empty response."""
    before = admin.get(13).texts()
    reply = admin.update(13, first_name="Joan", work_phone="")
    assert reply.body.decode() == (
        '<?xml version="1.0" encoding="utf-8"?>\n<response xmlns="http://www.freshbooks.com/api/" status="ok"/>\n'
    )
    after = admin.get(13).texts()
    assert after["updated"] > before["updated"]
    assert after == {**before, "first_name": "Joan", "work_phone": "", "updated": after["updated"]}


def test_updated_is_new_york_wall_time(admin: ApiCaller) -> None:
    """Written at the moment of the change, with no zone."""
    earliest = now_eastern()
    updated = admin.get(admin.created()).texts()["updated"]
    assert earliest <= updated <= now_eastern()


def test_contacts_left_out_of_an_update(admin: ApiCaller) -> None:
    """They stay as they are."""
    before = contacts(admin, 7)
    admin.update(7, notes="x").ok()
    assert contacts(admin, 7) == before
    assert len(before) == 2


def test_a_supplied_contact_list_replaces_the_old_one(admin: ApiCaller) -> None:
    """A contact with its id keeps it, one without gets a new one, those left out are gone."""
    first = contacts(admin, 7)[0]
    kept = elements({"contact_id": first["contact_id"], "email": "kept@example.com"})
    admin.update(7, f"<contacts><contact>{kept}</contact><contact><email>n@e.example</email></contact></contacts>").ok()
    now = contacts(admin, 7)
    assert [contact["email"] for contact in now] == ["kept@example.com", "n@e.example"]
    assert now[0]["contact_id"] == first["contact_id"]
    assert now[0]["first_name"] == ""
    assert int(now[1]["contact_id"]) > int(now[0]["contact_id"])


def test_an_empty_contact_list(admin: ApiCaller) -> None:
    """Replaces the old one by none."""
    admin.update(7, "<contacts/>").ok()
    assert contacts(admin, 7) == []
    assert b"<contacts/>" in admin.get(7).body


def test_delete_is_soft(sim: Simulator, admin: ApiCaller) -> None:
    """Get, update and a second delete say that the client is deleted; the record is still there."""
    assert admin.delete(13).body.endswith(b'status="ok"/>\n')
    for reply in (admin.get(13), admin.delete(13), admin.update(13, notes="x")):
        assert reply.fault == ("50010", "'client_id' not found. Client is deleted.")
    assert 13 in admin.list(folder="deleted").ids()
    assert 13 not in admin.list(per_page=100).ids()
    assert next(record for record in sim.store.dump() if record["client_id"] == 13)["first_name"] == "Jane"


def test_an_archived_client_is_there(admin: ApiCaller) -> None:
    """Get answers it, with its folder."""
    assert admin.get(44).texts()["folder"] == "archived"


@pytest.mark.parametrize("client_id", [12, 999999, "abc", "12.0", "-13", "1" * 40, "１３"])
def test_an_id_that_nobody_has(admin: ApiCaller, client_id: object) -> None:
    """The same fault for a number and for what is none."""
    fault = ("50010", "'client_id' not found. Client not found.")
    assert admin.get(client_id).fault == admin.delete(client_id).fault == admin.update(client_id).fault == fault


def test_staff_see_the_clients_assigned_to_them(sim: Simulator, admin: ApiCaller, staff: ApiCaller) -> None:
    """In lists and by id; what is not theirs is not found, and they cannot change it."""
    theirs = {record["client_id"] for record in sim.store.dump() if "staff" in record["assigned_to"]}
    listed = set(staff.list(per_page=100).ids())
    assert listed < theirs < set(admin.list(per_page=100).ids()) | theirs
    assert staff.get(13).texts()["email"] == "janedoe@freshbooks.com"
    for reply in (staff.get(3), staff.delete(3), staff.update(3, notes="x")):
        assert reply.fault == ("50010", "'client_id' not found. Client not found.")
    assert admin.get(3).texts()["notes"] != "x"


def test_staff_see_what_they_create(staff: ApiCaller) -> None:
    """A client made with a staff token is assigned to that staff."""
    assert staff.get(staff.created()).texts()["email"] == "new@example.com"


def test_several_credits(admin: ApiCaller) -> None:
    """One per currency; `credit` is the one in the account's currency."""
    client = admin.get(13).ok()[0]
    assert client.findtext("credit") == "123.45"
    assert [(credit.get("currency"), credit.text) for credit in client.findall("credits/credit")] == [
        ("USD", "123.45"),
        ("CAD", "43.45"),
        ("EUR", "12.00"),
    ]
    assert b"<credits/>" in admin.get(36).body


def test_undelete_is_unknown_unless_switched_on(sim: Simulator, admin: ApiCaller) -> None:
    """One weak hint is not enough to offer it by default."""
    body = request("client.undelete", "<client_id>47</client_id>")
    assert admin.send(body).fault == ("40020", "Unknown method.")
    sim.switches.set(undelete=True)
    admin.send(body).ok()
    assert admin.get(47).texts()["folder"] == "active"


def contacts(admin: ApiCaller, client_id: int) -> list[dict[str, str]]:
    found = admin.get(client_id).ok().findall(".//contact")
    return [{child.tag: child.text or "" for child in contact} for contact in found]
