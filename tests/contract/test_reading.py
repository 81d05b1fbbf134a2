"""GET of one record and of lists: the exact JSON."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.server import Simulator
from tests.contract.expectations import CONTACT_KEYS, JANE, NO_ADDRESS, RECORD_KEYS, json_of, methods_called, problem
from tests.support.gateway import Caller


def test_a_record_is_shown_with_every_key_in_order(caller: Caller, simulator: Simulator) -> None:
    """All keys are there, empty text as null, lists as lists, money as text, the time with its offset."""
    response = caller.get("/clients/13")
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert json_of(response) == JANE
    assert list(json_of(response)) == RECORD_KEYS
    assert methods_called(simulator) == ["client.get"]


@pytest.mark.parametrize("count, key", [(0, 14), (1, 4421), (4, 39), (12, 70)])
def test_contacts_are_a_list_however_many_there_are(caller: Caller, count: int, key: int) -> None:
    """No collapsed one-element lists."""
    contacts = json_of(caller.get(f"/clients/{key}"))["contacts"]
    assert len(contacts) == count
    assert all(list(contact) == CONTACT_KEYS for contact in contacts)


@pytest.mark.parametrize("count, key", [(1, 2), (2, 38), (3, 13)])
def test_credits_are_a_list_however_many_there_are(caller: Caller, count: int, key: int) -> None:
    """One per currency."""
    assert len(json_of(caller.get(f"/clients/{key}"))["credits"]) == count


def test_texts_that_look_like_numbers_stay_texts(caller: Caller) -> None:
    """`007` and `0E42` are what somebody wrote."""
    record = json_of(caller.get("/clients/8"))
    assert (record["username"], record["notes"], record["primary_address"]["postal_code"]) == ("007", "0E42", "007")


def test_texts_keep_every_character(caller: Caller) -> None:
    """Blanks at both ends, CR, `]]>`, ampersands and emoji."""
    assert json_of(caller.get("/clients/24"))["organization"] == "  Leading and trailing  "
    assert json_of(caller.get("/clients/25"))["notes"] == "Old Mac line\rWindows line\r\nUnix line\nend\r"
    assert "]]>" in json_of(caller.get("/clients/11"))["notes"]
    assert "👨‍👩‍👧‍👦" in json_of(caller.get("/clients/23"))["notes"]


@pytest.mark.parametrize("key", [33, 34, 37])
def test_a_record_that_the_rules_of_writing_would_refuse_can_be_read(caller: Caller, key: int) -> None:
    """No e-mail, an e-mail that is none, an unknown language: reading is tolerant."""
    record = json_of(caller.get(f"/clients/{key}"))
    assert list(record) == RECORD_KEYS
    assert record["email"] in (None, "stefan(at)example", "viktor@legacy.example")


def test_the_zero_date_is_null(caller: Caller) -> None:
    """`0000-00-00 00:00:00` means never."""
    assert json_of(caller.get("/clients/31"))["updated_at"] is None


@pytest.mark.parametrize(
    "key, moment",
    [
        (13, "2009-08-12T09:00:00-04:00"),
        (38, "2017-12-24T17:45:00-05:00"),
        (61, "2019-03-10T01:59:59-05:00"),
        (62, "2019-03-10T03:00:01-04:00"),
        (58, "2018-11-04T01:00:00-04:00"),
    ],
)
def test_wall_times_get_the_offset_of_their_season(caller: Caller, key: int, moment: str) -> None:
    """US/Eastern, daylight saving and both its edges."""
    assert json_of(caller.get(f"/clients/{key}"))["updated_at"] == moment


def test_the_zone_of_wall_times_is_a_setting(make_gateway: Any) -> None:
    """The same wall time, another offset."""
    caller = make_gateway(upstream_timezone="Europe/Berlin")
    assert json_of(caller.get("/clients/13"))["updated_at"] == "2009-08-12T09:00:00+02:00"


@pytest.mark.parametrize("key", [1, 9, 999999, 10**17])
def test_a_record_that_is_not_there_is_404(caller: Caller, simulator: Simulator, key: int) -> None:
    """The upstream was asked, and its words are passed on."""
    body = problem(caller.get(f"/clients/{key}"), 404, "not_found")
    assert body["upstream"] == {"code": 50010, "message": "'client_id' not found. Client not found."}
    assert body["retryable"] is False
    assert methods_called(simulator) == ["client.get"]


def test_a_deleted_record_is_404(caller: Caller) -> None:
    """Deleted is gone, for whoever reads."""
    body = problem(caller.get("/clients/47"), 404, "not_found")
    assert body["upstream"]["message"].endswith("Client is deleted.")
    assert body["instance"] == "/clients/47"


def test_a_list_is_one_page_of_whole_records(caller: Caller, simulator: Simulator) -> None:
    """25 a page, newest first, each record with every key, one call."""
    response = caller.get("/clients")
    assert response.status_code == 200
    assert list(json_of(response)) == ["items", "page", "per_page", "pages", "total"]
    items = json_of(response).pop("items")
    assert {**json_of(response), "items": None} == {"items": None, "page": 1, "per_page": 25, "pages": 3, "total": 57}
    assert [list(item) for item in items] == [RECORD_KEYS] * 25
    ids = [item["id"] for item in items]
    assert ids == sorted(ids, reverse=True)
    assert methods_called(simulator) == ["client.list"]


def test_a_record_is_the_same_alone_and_in_a_list(caller: Caller) -> None:
    """One shape everywhere."""
    listed = json_of(caller.get("/clients?username=janedoe"))["items"]
    assert listed == [json_of(caller.get("/clients/13"))] == [JANE]


def test_a_record_without_addresses_has_empty_ones(caller: Caller) -> None:
    """Objects stay objects."""
    record = json_of(caller.get("/clients/5"))
    assert record["primary_address"] == record["secondary_address"] == NO_ADDRESS


SHAPES: list[dict[str, Any]] = [
    {"namespace": "none"},
    {"namespace": "prefix"},
    {"charset_suffix": True},
    {"comments": True},
    {"text_form": "cdata"},
    {"empty_text": "self_closed"},
    {"empty_container": "pair"},
    {"element_order": "documentation"},
    {"contacts_form": "flat"},
    {"extra_elements": ["late_fee", "p_region"]},
]


@pytest.mark.parametrize("switches", SHAPES, ids=str)
def test_the_json_does_not_depend_on_how_the_xml_is_written(
    caller: Caller, simulator: Simulator, switches: dict[str, Any]
) -> None:
    """Every plausible form of an answer gives the same record, alone and in a list."""
    keys = (13, 39, 11, 24)
    usual = [json_of(caller.get(f"/clients/{key}")) for key in keys]
    usual_list = json_of(caller.get("/clients?per_page=100"))
    simulator.switches.set(**switches)
    assert [json_of(caller.get(f"/clients/{key}")) for key in keys] == usual
    assert json_of(caller.get("/clients?per_page=100")) == usual_list


def test_elements_that_are_missing_are_null_and_empty(caller: Caller, simulator: Simulator) -> None:
    """All keys even so."""
    dropped = "first_name email p_city contacts credits credit links url auth_url folder updated notes"
    simulator.switches.set(drop_elements=dropped.split())
    record = json_of(caller.get("/clients/13"))
    assert list(record) == RECORD_KEYS
    assert (record["first_name"], record["email"], record["folder"], record["updated_at"]) == (None,) * 4
    assert record["primary_address"]["city"] is None
    assert (record["contacts"], record["credits"]) == ([], [])
    assert record["links"] == {"client_view": None, "view": None, "statement": None}


def test_older_elements_stand_in_for_links_and_credits(caller: Caller, simulator: Simulator) -> None:
    """`url`, `auth_url` and `credit` carry the same, without `links` and `credits`."""
    simulator.switches.set(drop_elements=["links", "credits"])
    record = json_of(caller.get("/clients/13"))
    assert record["links"] == JANE["links"] | {"statement": None}
    assert record["credits"] == [{"amount": "123.45", "currency": "USD"}]


def test_credits_without_attributes_have_no_currency(caller: Caller, simulator: Simulator) -> None:
    """Unknown is null, not a guess."""
    simulator.switches.set(credit_attributes=False)
    assert {credit["currency"] for credit in json_of(caller.get("/clients/13"))["credits"]} == {None}
