"""Every switch changes what it says, in every form it has."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any

import pytest

from simulator.clock import now_eastern
from simulator.refusal import Refused
from simulator.server import Simulator
from simulator.switch_kinds import Flag, OneOf
from simulator.switches import ALLOWED, SwitchBoard, Switches
from tests.simulator.api_caller import ApiCaller, Reply, elements, request


def created(admin: ApiCaller, **texts: str) -> dict[str, str]:
    return admin.get(admin.created(**texts)).texts()


def merged_contacts(admin: ApiCaller) -> list[str]:
    admin.update(7, "<contacts><contact><email>n@e.example</email></contact></contacts>").ok()
    return [found.text or "" for found in admin.get(7).ok().findall(".//contact/email")]


def unknown_contact(admin: ApiCaller) -> Reply:
    contact = elements({"contact_id": 999999, "email": "n@e.example"})
    return admin.update(7, f"<contacts><contact>{contact}</contact></contacts>")


def same_username(admin: ApiCaller) -> Reply:
    return admin.create(email="a@b.example", username="janedoe")


def bounds(admin: ApiCaller) -> tuple[bool, bool]:
    second = "2009-08-12 09:00:00"
    return 13 in admin.list(updated_from=second, per_page=100).ids(), 13 in admin.list(updated_to=second).ids()


def folders(admin: ApiCaller) -> set[str]:
    return {found.text or "" for found in admin.list(per_page=100).ok().findall(".//folder")}


def names(admin: ApiCaller) -> list[str]:
    return [child.tag for child in admin.get(13).ok()[0]]


def deleted_again(admin: ApiCaller) -> Any:
    return fault_or_ok(admin.delete(47))


def fault_or_ok(reply: Reply) -> Any:
    return reply.fault if reply.root.get("status") == "fail" else "ok"


IS_DELETED = ("50010", "'client_id' not found. Client is deleted.")
IS_NOT_FOUND = ("50010", "'client_id' not found. Client not found.")

CASES: list[tuple[str, Any, Callable[[ApiCaller], Any], Any]] = [
    (
        "namespace",
        "default",
        lambda a: b'<response xmlns="http://www.freshbooks.com/api/" status' in a.get(13).body,
        True,
    ),
    ("namespace", "none", lambda a: b'<response status="ok">' in a.get(13).body, True),
    ("namespace", "prefix", lambda a: b"<fb:client_id>13</fb:client_id>" in a.get(13).body, True),
    ("charset_suffix", False, lambda a: a.get(13).headers["content-type"], "application/xml"),
    ("charset_suffix", True, lambda a: a.get(13).headers["content-type"], "application/xml; charset=utf-8"),
    ("comments", False, lambda a: b"<!--" in a.get(13).body, False),
    ("comments", True, lambda a: b"<last_name>D<!-- a remark -->oe</last_name>" in a.get(13).body, True),
    ("text_form", "escaped", lambda a: b"<notes>Uses &lt;b&gt;" in a.get(11).body, True),
    ("text_form", "cdata", lambda a: b"<notes><![CDATA[Uses <b>" in a.get(11).body, True),
    ("empty_text", "pair", lambda a: b"<mobile></mobile>" in a.get(13).body, True),
    ("empty_text", "self_closed", lambda a: b"<mobile/>" in a.get(13).body, True),
    ("empty_container", "self_closed", lambda a: b"<contacts/>" in a.get(2).body, True),
    ("empty_container", "pair", lambda a: b"<contacts></contacts>" in a.get(2).body, True),
    ("contacts_form", "wrapped", lambda a: len(a.get(7).ok().findall(".//contacts/contact/email")), 2),
    ("contacts_form", "flat", lambda a: len(a.get(7).ok().findall(".//contacts/email")), 2),
    ("element_order", "live", lambda a: names(a)[:5], ["client_id", "first_name", "last_name", "email", "username"]),
    ("element_order", "documentation", lambda a: names(a)[3:6], ["organization", "email", "username"]),
    ("credit_attributes", True, lambda a: a.get(13).ok().find(".//credits/credit").attrib, {"currency": "USD"}),  # type: ignore[union-attr]
    ("credit_attributes", False, lambda a: a.get(13).ok().find(".//credits/credit").attrib, {}),  # type: ignore[union-attr]
    ("drop_elements", ["fax", "links"], lambda a: {"fax", "links"} & set(names(a)), set()),
    ("extra_elements", ["vip"], lambda a: len(a.get(13).ok().findall(".//vip")), 3),
    ("fault_detail", "none", lambda a: [child.tag for child in a.get(12).root], ["error", "code"]),
    ("fault_detail", "field", lambda a: a.get(12).root.findtext("field"), "client_id"),
    ("fault_detail", "resource", lambda a: a.get(12).root.findtext("resource"), "client"),
    ("several_errors", False, lambda a: len(a.get(12).root.findall("error")), 1),
    ("several_errors", True, lambda a: len(a.get(12).root.findall("error")), 2),
    ("invalid_node_code", 40999, lambda a: a.list(oops=1).fault[0], "40999"),
    ("invalid_node_code", None, lambda a: a.list(oops=1).fault[0], None),
    ("unknown_method_code", 40001, lambda a: a.send(request("x.y")).fault[0], "40001"),
    ("bad_page", "first", lambda a: a.list(page="x").counts()["page"], "1"),
    ("bad_page", "fault", lambda a: a.list(per_page="x").fault, ("40060", "Invalid value for field 'per_page'.")),
    ("page_past_end", "empty", lambda a: a.list(page=9).ids(), []),
    ("page_past_end", "last", lambda a: a.list(page=9).counts()["page"], "3"),
    ("page_past_end", "fault", lambda a: a.list(page=9).fault[0], "40060"),
    ("per_page_echo", "capped", lambda a: a.list(per_page=500).counts()["per_page"], "100"),
    ("per_page_echo", "asked", lambda a: a.list(per_page=500).counts()["per_page"], "500"),
    ("empty_list_root", "clients", lambda a: a.list(email="x").ok()[0].tag, "clients"),
    ("empty_list_root", "invoices", lambda a: a.list(email="x").ok()[0].tag, "invoices"),
    ("unfiltered_list", "active", folders, {"active"}),
    ("unfiltered_list", "active_and_archived", folders, {"active", "archived"}),
    ("unfiltered_list", "all", folders, {"active", "archived", "deleted"}),
    ("deleted_listed", True, lambda a: a.list(folder="deleted").ids(), [49, 48, 47]),
    ("deleted_listed", False, lambda a: a.list(folder="deleted").ids(), []),
    ("updated_bounds", "both", bounds, (True, True)),
    ("updated_bounds", "from", bounds, (True, False)),
    ("updated_bounds", "to", bounds, (False, True)),
    ("updated_bounds", "neither", bounds, (False, False)),
    ("contacts_on_update", "replace", merged_contacts, ["n@e.example"]),
    (
        "contacts_on_update",
        "merge",
        merged_contacts,
        ["buchhaltung@mueller.example", "einkauf@mueller.example", "n@e.example"],
    ),
    ("unknown_contact_id", "create", lambda a: fault_or_ok(unknown_contact(a)), "ok"),
    ("unknown_contact_id", "refuse", lambda a: unknown_contact(a).fault[0], "50010"),
    ("email_required", True, lambda a: a.create(first_name="A").fault[0], "40040"),
    ("email_required", False, lambda a: fault_or_ok(a.create(first_name="A")), "ok"),
    ("email_checked", True, lambda a: a.create(email="none").fault[0], "40060"),
    ("email_checked", False, lambda a: fault_or_ok(a.create(email="none")), "ok"),
    ("organization_from_email", True, lambda a: created(a, email="a@b.c")["organization"], "a@b.c"),
    ("organization_from_email", False, lambda a: created(a, email="a@b.c")["organization"], ""),
    ("username_default", "name", lambda a: created(a, first_name="A", last_name="B")["username"], "A B"),
    ("username_default", "email", lambda a: created(a, first_name="A", email="a@b.c")["username"], "a@b.c"),
    ("username_unique", False, lambda a: fault_or_ok(same_username(a)), "ok"),
    ("username_unique", True, lambda a: same_username(a).fault[0], "40070"),
    ("client_limit", 57, lambda a: a.create(email="a@b.c").fault[0], "50020"),
    ("client_limit", None, lambda a: fault_or_ok(a.create(email="a@b.c")), "ok"),
    ("delete_deleted", "deleted", deleted_again, IS_DELETED),
    ("delete_deleted", "not_found", deleted_again, IS_NOT_FOUND),
    ("delete_deleted", "ok", deleted_again, "ok"),
    ("update_deleted", "deleted", lambda a: fault_or_ok(a.update(47, notes="x")), IS_DELETED),
    ("update_deleted", "not_found", lambda a: fault_or_ok(a.update(47, notes="x")), IS_NOT_FOUND),
    ("update_deleted", "ok", lambda a: fault_or_ok(a.update(47, notes="x")), "ok"),
    ("undelete", True, lambda a: fault_or_ok(a.send(request("client.undelete", "<client_id>47</client_id>"))), "ok"),
    ("undelete", False, lambda a: a.send(request("client.undelete", "<client_id>47</client_id>")).fault[0], "40020"),
    ("unknown_subdomain", "fault", lambda a: a.send(request("x"), Host="no.freshbooks.com").fault[0], "10030"),
    ("unknown_subdomain", "redirect", lambda a: a.send(request("x"), Host="no.freshbooks.com").status, 302),
]
ELSEWHERE = {
    "bad_page_code": {"bad_page": "fault"},
    "taken_username_code": {"username_unique": True},
    "client_limit_code": {"client_limit": 0},
}


def named(case: object) -> str:
    """The same in every process, which a set's own text is not."""
    if callable(case):
        return ""
    return str(sorted(case) if isinstance(case, set) else case)


@pytest.mark.parametrize("name, value, observe, seen", CASES, ids=named)
def test_a_switch(
    sim: Simulator, admin: ApiCaller, name: str, value: object, observe: Callable[[ApiCaller], Any], seen: object
) -> None:
    """Set over its default, it decides what is seen on the wire."""
    sim.switches.set(**{name: value})
    assert observe(admin) == seen


@pytest.mark.parametrize("name, other", list(ELSEWHERE.items()))
def test_a_code(sim: Simulator, admin: ApiCaller, name: str, other: dict[str, object]) -> None:
    """Codes that nobody knows are what the switch says."""
    sim.switches.set(**{name: 41234}, **other)
    replies = [admin.list(page="x"), same_username(admin), admin.create(email="a@b.c")]
    assert "41234" in [fault_or_ok(reply)[0] for reply in replies]


@pytest.mark.parametrize("form, status", [("http_429", 429), ("http_503", 503), ("fault", 200)])
def test_the_throttle_forms(sim: Simulator, admin: ApiCaller, form: str, status: int) -> None:
    """How the service refuses too many calls is unknown."""
    sim.switches.set(throttle_form=form, throttle_code=10999)
    sim.faults.add("throttle", retry_after="7")
    reply = admin.get(13)
    assert (reply.status, reply.headers["retry-after"]) == (status, "7")
    assert (b"<code>10999</code>" in reply.body) == (form == "fault")


def test_a_staff_that_does_not_own_what_it_creates(sim: Simulator, admin: ApiCaller, staff: ApiCaller) -> None:
    sim.switches.set(staff_owns_created=False)
    client_id = staff.created()
    assert staff.get(client_id).fault == IS_NOT_FOUND
    admin.get(client_id).ok()


def test_the_clock_runs_ahead(sim: Simulator, admin: ApiCaller) -> None:
    """`updated` is written by it."""
    sim.switches.set(clock_offset_s=2 * 86400)
    assert created(admin)["updated"] > now_eastern(86400)


def test_an_idle_connection_is_closed_without_notice(sim: Simulator, admin: ApiCaller) -> None:
    """The answer said nothing of it; the socket just ends."""
    admin.get(13).ok()
    sim.faults.add("gate", gate="g", point="after_commit", times=1)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(admin.get, 13)
        sim.gates.wait("g")
        sim.switches.set(keep_alive_idle_s=0.05)
        sim.gates.open("g")
        assert "connection" not in answer.result(30).headers
    sock = admin.connection.sock
    assert sock is not None
    assert sock.recv(1) == b""


def test_every_switch_is_tried() -> None:
    """In every form that can be listed."""
    tried = {(name, str(value)) for name, value, _, _ in CASES}
    others = {*ELSEWHERE, "throttle_form", "throttle_code", "staff_owns_created", "keep_alive_idle_s", "clock_offset_s"}
    assert {name for name, _ in tried} | others == {switch.name for switch in fields(Switches)}
    for name, allowed in ALLOWED.items():
        if name not in others and isinstance(allowed, OneOf):
            assert {(name, choice) for choice in allowed.choices} <= tried
        if name not in others and isinstance(allowed, Flag):
            assert {(name, "True"), (name, "False")} <= tried


@pytest.mark.parametrize(
    "changes",
    [
        {"namespace": "sometimes"},
        {"comments": 1},
        {"comments": "true"},
        {"invalid_node_code": 5},
        {"invalid_node_code": "40050"},
        {"keep_alive_idle_s": None},
        {"keep_alive_idle_s": True},
        {"extra_elements": ["not a name"]},
        {"extra_elements": "vip"},
        {"client_limit": 1.5},
        {"no_such_switch": True},
        {"self": 1},
        {"comments": True, "namespace": "sometimes"},
    ],
)
def test_a_bad_switch(changes: dict[str, object]) -> None:
    """Refused with what is allowed, and nothing is changed."""
    board = SwitchBoard()
    with pytest.raises(Refused, match="allowed"):
        board.set(**changes)
    assert board.now == Switches()
