"""POST /clients."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.server import Simulator
from tests.contract.expectations import (
    NO_ADDRESS,
    RECORD_KEYS,
    assert_uncalled,
    json_of,
    methods_called,
    problem,
    without_time,
)
from tests.support.gateway import Caller, warm

WHOLE: dict[str, Any] = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "organization": "Engines & Sons",
    "email": "ada@engines.example",
    "username": "ada",
    "password": "s3cret enough",
    "work_phone": "1",
    "home_phone": "2",
    "mobile": "3",
    "fax": "4",
    "language": "en",
    "currency_code": "GBP",
    "notes": "]]> & <b>",
    "primary_address": {
        "street1": "a",
        "street2": "b",
        "city": "c",
        "state": "d",
        "country": "e",
        "postal_code": "f",
    },
    "secondary_address": {
        "street1": "g",
        "street2": "h",
        "city": "i",
        "state": "j",
        "country": "k",
        "postal_code": "l",
    },
    "vat_name": "VAT",
    "vat_number": "GB1",
    "contacts": [
        {
            "username": "u",
            "first_name": "v",
            "last_name": "w",
            "email": "x@engines.example",
            "phone1": "y",
            "phone2": "z",
        },
        {"email": "second@engines.example"},
    ],
}


def test_a_whole_record_is_created_located_and_read_back(caller: Caller, simulator: Simulator) -> None:
    """201, Location, ETag and the record as it is now stored; the password is not among it."""
    response = caller.post("/clients", json=WHOLE)
    assert response.status_code == 201
    record = json_of(response)
    assert list(record) == RECORD_KEYS
    sent = {name: value for name, value in WHOLE.items() if name not in ("password", "contacts")}
    assert {name: record[name] for name in sent} == sent
    assert record["contacts"][0] == WHOLE["contacts"][0] | {"id": record["contacts"][0]["id"]}
    assert record["contacts"][1]["email"] == "second@engines.example"
    assert record["folder"] == "active"
    assert response.headers["Location"] == f"/clients/{record['id']}"
    assert methods_called(simulator) == ["client.create", "client.get"]
    again = caller.get(response.headers["Location"])
    assert json_of(again) == record
    assert again.headers["ETag"] == response.headers["ETag"]


def test_an_email_is_all_that_a_record_needs(caller: Caller) -> None:
    """Everything else has its empty value, or the upstream's default."""
    record = json_of(caller.post("/clients", json={"email": "only@example.com"}))
    assert record["email"] == record["organization"] == "only@example.com"
    assert (record["first_name"], record["contacts"], record["primary_address"]) == (None, [], NO_ADDRESS)


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_values_are_as_good_as_none(caller: Caller, empty: str | None) -> None:
    """null and empty text say the same."""
    body = {"email": "e@example.com", "first_name": empty, "notes": empty, "primary_address": None, "contacts": None}
    record = json_of(caller.post("/clients", json=body))
    assert (record["first_name"], record["notes"], record["contacts"]) == (None, None, [])


def test_two_records_may_have_the_same_email(caller: Caller) -> None:
    """It need not be unique."""
    first, second = (caller.post("/clients", json={"email": "twin@example.com"}) for _ in "ab")
    assert json_of(first)["id"] != json_of(second)["id"]
    assert (first.status_code, second.status_code) == (201, 201)


def test_the_media_type_may_name_its_charset(caller: Caller) -> None:
    """UTF-8 by either spelling, in either case, as parameter or not at all."""
    for content_type in ("application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'):
        response = caller.post("/clients", data='{"email": "é@example.com"}'.encode(), content_type=content_type)
        assert response.status_code in (201, 422)
        assert caller.post("/clients", data=b'{"email": "e@example.com"}', content_type=content_type).status_code == 201


def test_minimal_is_answered_with_the_id_alone(caller: Caller, simulator: Simulator) -> None:
    """And saves the second call."""
    response = caller.post("/clients", json={"email": "m@example.com"}, headers={"Prefer": "return=minimal"})
    assert response.status_code == 201
    assert list(json_of(response)) == ["id"]
    assert response.headers["Location"] == f"/clients/{json_of(response)['id']}"
    assert response.headers["Preference-Applied"] == "return=minimal"
    assert methods_called(simulator) == ["client.create"]


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "server_error"},
        {"fault": "html_page"},
        {"fault": "reset_before"},
        {"fault": "unauthorized"},
        {"fault": "throttle"},
        {"fault": "unknown_fault", "code": 50010, "text": "'client_id' not found. Client not found."},
    ],
    ids=str,
)
def test_a_read_back_that_fails_leaves_the_creation_a_success(
    caller: Caller, simulator: Simulator, fault: dict[str, Any]
) -> None:
    """201 with the minimal body, and a line in the log."""
    simulator.faults.add(**fault, methods=["client.get"])
    response = caller.post("/clients", json={"email": "b@example.com"})
    assert response.status_code == 201
    assert list(json_of(response)) == ["id"]
    assert response.headers["Location"] == f"/clients/{json_of(response)['id']}"
    assert "Preference-Applied" not in response.headers
    assert "read_back_failed" in [line["event"] for line in caller.log()]
    simulator.faults.clear()
    assert json_of(caller.get(response.headers["Location"]))["email"] == "b@example.com"


def test_a_read_back_that_runs_out_of_time_leaves_the_creation_a_success(
    make_gateway: Any, simulator: Simulator
) -> None:
    """The deadline belongs to the write; what comes after it is a courtesy."""
    caller = warm(make_gateway(upstream_deadline_s=2))
    simulator.faults.add("blackhole", methods=["client.get"])
    response = caller.post("/clients", json={"email": "slow@example.com"})
    assert response.status_code == 201
    assert list(json_of(response)) == ["id"]


def test_the_password_reaches_the_upstream_and_never_comes_back(caller: Caller, simulator: Simulator) -> None:
    """Written, and shown nowhere."""
    response = caller.post("/clients", json={"email": "p@example.com", "password": "open sesame"})
    assert "password" not in json_of(response)
    assert "open sesame" not in response.get_data(as_text=True)
    assert "password" in simulator.ledger.calls("client.create")[0].elements


def test_what_was_left_out_is_not_sent(caller: Caller, simulator: Simulator) -> None:
    """The upstream's defaults hold: no empty elements for what nobody mentioned."""
    caller.post("/clients", json={"email": "few@example.com", "first_name": "F", "primary_address": {"city": "X"}})
    assert simulator.ledger.calls("client.create")[0].elements == ("first_name", "email", "p_city")


def test_an_identical_creation_makes_a_second_record(caller: Caller) -> None:
    """POST creates; nothing is guessed to be a repetition."""
    one, two = (without_time(json_of(caller.post("/clients", json=WHOLE))) for _ in "ab")
    assert one["id"] + 1 == two["id"]


def test_a_full_plan_is_a_conflict(caller: Caller, simulator: Simulator) -> None:
    """The upstream refuses the action, in its own words."""
    simulator.switches.set(client_limit=1)
    body = problem(caller.post("/clients", json={"email": "x@example.com"}), 409, "action_refused")
    assert body["upstream"] == {"code": 50020, "message": "Failed to create client. Client limit reached."}
    assert (body["outcome"], body["retryable"]) == ("not_applied", False)


def test_a_taken_username_points_at_it(caller: Caller, simulator: Simulator) -> None:
    """The upstream names the field, the problem points at it."""
    simulator.switches.set(username_unique=True, fault_detail="field")
    body = problem(
        caller.post("/clients", json={"email": "x@example.com", "username": "janedoe"}), 422, "fields_rejected"
    )
    assert body["errors"][0]["pointer"] == "/username"
    assert body["upstream"]["code"] == 40070


def test_an_answer_without_an_id_leaves_it_in_doubt(caller: Caller, simulator: Simulator) -> None:
    """Success that does not say which record was made: it may have been made, but there is none to be found."""
    text = '<response xmlns="http://www.freshbooks.com/api/" status="ok"></response>'
    simulator.faults.add("custom_body", text=text, methods=["client.create"])
    body = problem(caller.post("/clients", json={"email": "x@example.com"}), 504, "write_in_doubt")
    assert (body["outcome"], body["retryable"]) == ("unknown", False)


def test_no_time_at_all_sends_nothing(caller: Caller, simulator: Simulator) -> None:
    """`wait=0` leaves no time: nothing goes out, and the answer says so."""
    body = problem(
        caller.post("/clients", json={"email": "x@example.com"}, headers={"Prefer": "wait=0"}), 504, "deadline_passed"
    )
    assert (body["outcome"], body["retryable"]) == ("not_applied", True)
    assert_uncalled(simulator)
