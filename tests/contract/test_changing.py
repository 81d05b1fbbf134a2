"""PATCH, PUT and DELETE."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.server import Simulator
from tests.contract.expectations import (
    JANE,
    NO_ADDRESS,
    body_for,
    jane,
    json_of,
    methods_called,
    problem,
    refused,
    without_time,
)
from tests.support.gateway import Caller, warm

MERGE_PATCH = "application/merge-patch+json"


@pytest.mark.parametrize("content_type", [MERGE_PATCH, "application/json"])
def test_a_patch_changes_what_it_names_and_nothing_else(
    caller: Caller, simulator: Simulator, content_type: str
) -> None:
    """RFC 7396, by either media type; the record comes back as it is now."""
    response = caller.patch("/clients/13", data=b'{"first_name": "Joan"}', content_type=content_type)
    assert response.status_code == 200
    assert without_time(json_of(response)) == jane(first_name="Joan")
    assert methods_called(simulator) == ["client.update", "client.get"]
    assert simulator.ledger.calls("client.update")[0].elements == ("client_id", "first_name")
    again = caller.get("/clients/13")
    assert (json_of(again), again.headers["ETag"]) == (json_of(response), response.headers["ETag"])


CLEARED = [name for name, value in JANE.items() if isinstance(value, str)]
CLEARED = [name for name in CLEARED if name not in ("email", "folder", "updated_at", "language", "currency_code")]


@pytest.mark.parametrize("name", CLEARED)
@pytest.mark.parametrize("empty", [None, ""])
def test_null_clears_a_field(caller: Caller, name: str, empty: str | None) -> None:
    """And only that one; empty text is the same."""
    assert without_time(json_of(caller.patch("/clients/13", json={name: empty}))) == jane(**{name: None})


def test_a_part_of_an_address_is_merged_into_it(caller: Caller, simulator: Simulator) -> None:
    """Members that are not named stay, null clears the one it stands for."""
    patch = {"primary_address": {"city": "Albany", "street2": None}}
    changed = JANE["primary_address"] | {"city": "Albany", "street2": None}
    assert without_time(json_of(caller.patch("/clients/13", json=patch))) == jane(primary_address=changed)
    assert set(simulator.ledger.calls("client.update")[0].elements) == {"client_id", "p_city", "p_street2"}


def test_null_clears_a_whole_address(caller: Caller) -> None:
    """All six members."""
    response = caller.patch("/clients/13", json={"primary_address": None})
    assert without_time(json_of(response)) == jane(primary_address=NO_ADDRESS)


def test_contacts_in_a_patch_replace_the_list(caller: Caller) -> None:
    """One with an id keeps its identity, one without is new, one left out is gone."""
    wanted = [{"id": 105, "email": "kept@dubois.example"}, {"email": "new@dubois.example", "first_name": "N"}]
    contacts = json_of(caller.patch("/clients/39", json={"contacts": wanted}))["contacts"]
    blank = dict.fromkeys(("username", "first_name", "last_name", "phone1", "phone2"))
    assert contacts[0] == blank | {"id": 105, "email": "kept@dubois.example"}
    assert contacts[1] == blank | {"id": contacts[1]["id"], "email": "new@dubois.example", "first_name": "N"}
    assert contacts[1]["id"] not in (105, 106, 107, 108)
    assert len(contacts) == 2


@pytest.mark.parametrize("nothing", [None, []])
def test_an_empty_list_removes_all_contacts(caller: Caller, nothing: list[Any] | None) -> None:
    """null and the empty list say the same."""
    assert without_time(json_of(caller.patch("/clients/13", json={"contacts": nothing}))) == jane(contacts=[])


def test_a_patch_without_contacts_leaves_them(caller: Caller) -> None:
    """Absent is untouched, lists included."""
    assert json_of(caller.patch("/clients/13", json={"notes": "n"}))["contacts"] == JANE["contacts"]


def test_the_records_own_contacts_can_be_sent_back(caller: Caller) -> None:
    """What was read may be written: nothing changes but the time."""
    contacts = json_of(caller.get("/clients/39"))["contacts"]
    assert json_of(caller.patch("/clients/39", json={"contacts": contacts}))["contacts"] == contacts


def test_a_patch_that_names_nothing_changes_nothing(caller: Caller, simulator: Simulator) -> None:
    """It reads the record, so it knows whether there is one."""
    response = caller.patch("/clients/13", json={})
    assert (response.status_code, json_of(response)) == (200, JANE)
    assert methods_called(simulator) == ["client.get"]
    problem(caller.patch("/clients/9", json={}), 404, "not_found")


def test_a_minimal_answer_to_a_patch_that_names_nothing_is_empty(caller: Caller) -> None:
    """The caller's preference holds here too."""
    response = caller.patch("/clients/13", json={}, headers={"Prefer": "return=minimal"})
    assert (response.status_code, response.get_data()) == (204, b"")
    assert response.headers["Preference-Applied"] == "return=minimal"


def test_put_clears_what_it_leaves_out(caller: Caller) -> None:
    """All writable fields but `username` and `password`; language and currency go back to the upstream's default."""
    response = caller.put("/clients/13", json={"email": "jane@new.example"})
    assert response.status_code == 200
    assert without_time(json_of(response)) == jane(
        email="jane@new.example",
        first_name=None,
        last_name=None,
        organization=None,
        work_phone=None,
        home_phone=None,
        primary_address=NO_ADDRESS,
        contacts=[],
    )


def test_put_leaves_out_username_and_password(caller: Caller, simulator: Simulator) -> None:
    """Clearing them was not asked for."""
    caller.put("/clients/13", json={"email": "jane@new.example"})
    sent = simulator.ledger.calls("client.update")[0].elements
    assert {"username", "password"}.isdisjoint(sent)
    assert {"client_id", "email", "first_name", "p_code", "s_street1", "contacts", "notes", "vat_number"} <= set(sent)


def test_put_replaces_an_address_whole(caller: Caller) -> None:
    """No merging here: the members left out are cleared."""
    record = json_of(caller.put("/clients/13", json={"email": "j@new.example", "primary_address": {"city": "Albany"}}))
    assert record["primary_address"] == NO_ADDRESS | {"city": "Albany"}


def test_put_of_the_same_body_twice_is_the_same(caller: Caller) -> None:
    """Idempotent."""
    body = {"email": "j@new.example", "first_name": "J", "contacts": [{"id": 15, "email": "c@new.example"}]}
    one, two = (without_time(json_of(caller.put("/clients/13", json=body))) for _ in "ab")
    assert one == two


def test_the_writable_part_of_a_record_can_be_sent_back(caller: Caller) -> None:
    """GET, then PUT what may be written: nothing changes but the time."""
    record = json_of(caller.get("/clients/7"))
    read_only = ("id", "credits", "links", "folder", "updated_at")
    body = {name: value for name, value in record.items() if name not in read_only}
    assert without_time(json_of(caller.put("/clients/7", json=body))) == without_time(record)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_minimal_answer_to_a_change_is_204(caller: Caller, simulator: Simulator, method: str) -> None:
    """No body, no second call; the preference is said to be applied."""
    response = caller.request(
        method, "/clients/13", json={"email": "j@new.example"}, headers={"Prefer": "return=minimal"}
    )
    assert (response.status_code, response.get_data()) == (204, b"")
    assert response.headers["Preference-Applied"] == "return=minimal"
    assert "Content-Type" not in response.headers
    assert methods_called(simulator) == ["client.update"]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("fault", ["server_error", "commit_then_drop", "maintenance", "not_xml", "blackhole"])
def test_a_read_back_that_fails_leaves_the_change_a_success(
    make_gateway: Any, simulator: Simulator, method: str, fault: str
) -> None:
    """200 with the minimal body."""
    caller = warm(make_gateway(upstream_deadline_s=2))
    simulator.faults.add(fault, methods=["client.get"])
    response = caller.request(method, "/clients/13", json={"email": "done@new.example"})
    assert (response.status_code, json_of(response)) == (200, {"id": 13})
    simulator.faults.clear()
    assert json_of(caller.get("/clients/13"))["email"] == "done@new.example"


def test_delete_is_204_and_the_second_time_404(caller: Caller, simulator: Simulator) -> None:
    """Gone for reading and for changing, and found among the deleted."""
    response = caller.delete("/clients/13")
    assert (response.status_code, response.get_data()) == (204, b"")
    assert "Content-Type" not in response.headers
    assert methods_called(simulator) == ["client.delete"]
    again = problem(caller.delete("/clients/13"), 404, "not_found")
    assert again["outcome"] == "not_applied"
    problem(caller.get("/clients/13"), 404, "not_found")
    problem(caller.patch("/clients/13", json={"notes": "n"}), 404, "not_found")
    assert 13 in [item["id"] for item in json_of(caller.get("/clients?folder=deleted"))["items"]]


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
def test_changing_what_is_not_there_is_404(caller: Caller, method: str) -> None:
    """And nothing was applied."""
    answer = problem(caller.request(method, "/clients/9", **body_for(method)), 404, "not_found")
    assert (answer["outcome"], answer["retryable"]) == ("not_applied", False)


def test_delete_ignores_a_body(caller: Caller) -> None:
    """It has no meaning there (RFC 9110 §9.3.5)."""
    assert caller.delete("/clients/13", data=b"whatever", content_type="text/plain").status_code == 204


def test_put_needs_an_email(caller: Caller, simulator: Simulator) -> None:
    """It is a whole record."""
    place = {"pointer": "/email", "code": "required"}
    refused(caller.put("/clients/13", json={"first_name": "J"}), 422, "invalid_fields", simulator, place)


@pytest.mark.parametrize("empty", [None, ""])
def test_an_email_cannot_be_cleared(caller: Caller, simulator: Simulator, empty: str | None) -> None:
    """Every record needs one."""
    refused(caller.patch("/clients/13", json={"email": empty}), 422, "invalid_fields", simulator, {"pointer": "/email"})


def test_a_change_made_in_the_vendors_pages_is_seen_at_once(caller: Caller, simulator: Simulator) -> None:
    """Nothing here remembers records."""
    assert json_of(caller.get("/clients/13"))["first_name"] == "Jane"
    caller.patch("/clients/13", json={"first_name": "Joan"})
    assert json_of(caller.get("/clients/13"))["first_name"] == "Joan"
