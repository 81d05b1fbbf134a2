"""What the upstream can do wrong, at every operation: status, outcome, whether to try again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from simulator.server import Simulator
from tests.contract.expectations import ROUTES, WRITES, body_for, json_of, methods_called, problem
from tests.support.gateway import Caller, warm

METHOD = dict(
    zip(
        ROUTES,
        ("client.list", "client.create", "client.get", "client.update", "client.update", "client.delete"),
        strict=True,
    )
)
"""The upstream's method behind each operation."""


@dataclass(frozen=True)
class Case:
    """A fault, and the problem it becomes.

    `outcome` is that of a write. `transient`: waiting may be all it takes. `upstream`: its code and message.
    """

    fault: dict[str, Any]
    status: int
    code: str
    outcome: str
    transient: bool = True
    upstream: tuple[int | None, str] | None = None
    retry_after: str | None = None
    switches: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join(str(value)[-45:] for value in (*self.fault.values(), *self.switches.values()))


def fault_of(code: int | None, text: str) -> dict[str, Any]:
    return {"fault": {"fault": "unknown_fault", "code": code, "text": text}, "upstream": (code, text)}


def named(name: str, **params: Any) -> dict[str, Any]:
    return {"fault": {"fault": name, **params}}


def garbled(name: str, **params: Any) -> Case:
    return Case(**named(name, **params), status=502, code="upstream_garbled", outcome="unknown")


def custom(text: str, status: int = 200) -> Case:
    return garbled("custom_body", text=text, status=status)


BEFORE_THE_API: dict[str, Any] = {"status": 502, "code": "upstream_garbled", "outcome": "not_applied"}
LOST: dict[str, Any] = {"status": 502, "code": "upstream_answer_lost", "outcome": "unknown"}
FAILED: dict[str, Any] = {"status": 502, "code": "upstream_failed", "outcome": "unknown"}
FIELDS: dict[str, Any] = {"status": 422, "code": "fields_rejected", "outcome": "not_applied", "transient": False}
REFUSED: dict[str, Any] = {"status": 409, "code": "action_refused", "outcome": "not_applied", "transient": False}
REJECTED: dict[str, Any] = {
    "status": 502,
    "code": "upstream_credentials_rejected",
    "outcome": "not_applied",
    "transient": False,
}
UNAVAILABLE: dict[str, Any] = {"status": 503, "code": "upstream_unavailable", "outcome": "not_applied"}
THROTTLED: dict[str, Any] = {"status": 503, "code": "upstream_throttled", "outcome": "not_applied"}
OK_ROOT = '<response xmlns="http://www.freshbooks.com/api/" status="{}">{}</response>'

CASES = [
    # answers that are not the API's
    garbled("html_page"),
    garbled("html_page", commit=True),
    garbled("wrong_namespace"),
    garbled("wrong_root"),
    garbled("not_xml"),
    garbled("doctype"),
    garbled("gzip"),
    garbled("empty"),
    garbled("huge", bytes=17_000_000),
    custom(OK_ROOT.format("maybe", "")),
    custom(OK_ROOT.format("", "")),
    custom("<response/>"),
    custom("{}"),
    custom("<html/>", status=201),
    Case(**named("redirect"), **BEFORE_THE_API),
    Case(**named("redirect", deactivated=True), **BEFORE_THE_API),
    Case(**named("redirect", location="/api/2.1/xml-in"), **BEFORE_THE_API),
    Case(**named("forbidden_api"), **BEFORE_THE_API),
    Case(**named("custom_body", status=404, text="<html>gone</html>"), **BEFORE_THE_API),
    Case(**named("custom_body", status=403, text=""), **BEFORE_THE_API),
    # the connection
    Case(**named("reset_before"), **LOST),
    Case(**named("commit_then_drop"), **LOST),
    Case(**named("reset_in_headers"), **LOST),
    Case(**named("cut_body"), **LOST),
    Case(**named("cut_body", fraction=0), **LOST),
    Case(**named("cut_body", declare_length=False), **LOST),
    Case(**named("refuse"), status=503, code="upstream_unreachable", outcome="not_applied", retry_after="5"),
    # it broke, or says what nobody knows
    Case(**named("server_error"), **FAILED),
    Case(**named("server_error", status=502, commit=True), **FAILED),
    Case(**named("server_error", status=504), **FAILED),
    Case(**named("server_error", status=599), **FAILED),
    Case(**fault_of(99999, "Something unusual happened."), **FAILED),
    Case(**fault_of(None, "No code at all."), **FAILED),
    Case(**fault_of(30000, "A family nobody has seen."), **FAILED),
    Case(**fault_of(10030, "System does not exist."), **FAILED | {"outcome": "not_applied"}),
    # maintenance and throttling
    Case(**named("maintenance"), **UNAVAILABLE, retry_after="5"),
    Case(**named("maintenance", retry_after="120"), **UNAVAILABLE, retry_after="120"),
    Case(**named("maintenance", retry_after="soon"), **UNAVAILABLE, retry_after="5"),
    Case(**named("throttle"), **THROTTLED, retry_after="5"),
    Case(**named("throttle", retry_after="7"), **THROTTLED, retry_after="7"),
    Case(**named("throttle"), **UNAVAILABLE, retry_after="5", switches={"throttle_form": "http_503"}),
    # credentials
    Case(**named("unauthorized"), **REJECTED, upstream=(20010, "Authentication failed.")),
    Case(**fault_of(20010, "Authentication failed."), **REJECTED),
    Case(**named("custom_body", status=401, text="<html>no</html>"), **REJECTED),
    # fields and actions
    Case(**fault_of(40010, "Your XML is not formatted correctly."), **FIELDS),
    Case(**fault_of(40040, "Missing required field: 'zzz'."), **FIELDS),
    Case(**fault_of(40060, "Invalid value for field 'type'."), **FIELDS),
    Case(**fault_of(None, "Invalid node: created_at."), **FIELDS),
    Case(**fault_of(50020, "Failed to delete client. Request failed."), **REFUSED),
    Case(**fault_of(50099, "Nobody has seen this one either."), **REFUSED),
]


@pytest.mark.parametrize("route", ROUTES, ids="".join)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_becomes_its_problem(caller: Caller, simulator: Simulator, route: tuple[str, str], case: Case) -> None:
    """The status table of the contract, row by row, at each operation; the upstream's words where it has some."""
    simulator.switches.set(**case.switches)
    methods: dict[str, Any] = {} if case.fault["fault"] == "refuse" else {"methods": _met_by(route)}
    simulator.faults.add(**case.fault, **methods)
    response = caller.request(*route, **body_for(route[0]))
    body = problem(response, case.status, case.code)
    if route in WRITES:
        assert body["outcome"] == case.outcome
    harmless = route not in WRITES or route[0] == "DELETE" or case.outcome == "not_applied"
    assert body["retryable"] is (case.transient and harmless)
    expected = None if case.upstream is None else {"code": case.upstream[0], "message": case.upstream[1]}
    assert body.get("upstream") == expected
    assert response.headers.get("Retry-After") == case.retry_after
    assert body["instance"] == route[1]


def _met_by(route: tuple[str, str]) -> list[str]:
    """The methods a fault is for. A create whose answer is lost is looked for; here that is impossible as well."""
    return [METHOD[route], "client.list"] if route[0] == "POST" else [METHOD[route]]


@pytest.mark.parametrize("route", ROUTES, ids="".join)
@pytest.mark.parametrize("fault", ["blackhole", "slow", "slow_headers", "drip", "stall_accept"])
def test_an_answer_that_does_not_come_in_time_is_504(
    make_gateway: Any, simulator: Simulator, route: tuple[str, str], fault: str
) -> None:
    """However it is late; a write may have been applied."""
    caller = warm(make_gateway(upstream_deadline_s=1))
    params: dict[str, dict[str, Any]] = {"slow": {"delay_s": 30}, "drip": {"interval_s": 0.1}}
    simulator.faults.add(fault, **params.get(fault, {}))
    body = problem(caller.request(*route, **body_for(route[0])), 504, "deadline_passed")
    if route in WRITES:
        assert body["outcome"] == "unknown"
    assert body["retryable"] is (route not in WRITES or route[0] == "DELETE")
    simulator.faults.clear()


@pytest.mark.parametrize("route", ROUTES, ids="".join)
def test_a_connection_reset_at_once_is_an_error_of_the_connection(
    caller: Caller, simulator: Simulator, route: tuple[str, str]
) -> None:
    """Whether the request was out by then is a race; either way nothing better than the truth is told."""
    simulator.faults.add("accept_close")
    response = caller.request(*route, **body_for(route[0]))
    status, code = response.status_code, json_of(response)["code"]
    assert (status, code) in ((502, "upstream_answer_lost"), (503, "upstream_unreachable"))
    body = problem(response, status, code)
    if route in WRITES:
        assert body["outcome"] == ("unknown" if status == 502 else "not_applied")


@pytest.mark.parametrize("route", ROUTES, ids="".join)
def test_a_throttle_in_a_form_that_nobody_knows_is_an_upstream_error(
    caller: Caller, simulator: Simulator, route: tuple[str, str]
) -> None:
    """A fault of the system family: not applied, and its own words are shown."""
    simulator.switches.set(throttle_form="fault")
    simulator.faults.add("throttle", methods=[METHOD[route]])
    response = caller.request(*route, **body_for(route[0]))
    assert response.status_code in (502, 503)
    body = problem(response, response.status_code, json_of(response)["code"])
    assert body["upstream"] == {"code": 10040, "message": "Too many requests."}
    assert body.get("outcome", "not_applied") == "not_applied"
    assert body["retryable"] is True


@pytest.mark.parametrize("route", WRITES, ids="".join)
def test_an_action_that_the_upstream_refuses_is_409(
    caller: Caller, simulator: Simulator, route: tuple[str, str]
) -> None:
    """50020: nothing was changed, and sending it again changes nothing about that."""
    simulator.faults.add("deny_action")
    before = json_of(caller.get("/clients?per_page=100"))
    body = problem(caller.request(*route, **body_for(route[0])), 409, "action_refused")
    assert (body["outcome"], body["retryable"], body["upstream"]["code"]) == ("not_applied", False, 50020)
    assert json_of(caller.get("/clients?per_page=100")) == before


POINTED = [
    ("Missing required field: 'email'.", "/email"),
    ("Missing required field: 'first_name'.", "/first_name"),
    ("Invalid value for field 'language'.", "/language"),
    ("Invalid value for field 'p_state'.", "/primary_address/state"),
    ("Invalid value for field 's_code'.", "/secondary_address/postal_code"),
    ("Invalid node: vat_name.", "/vat_name"),
    ("Invalid node: p_street1.", "/primary_address/street1"),
    ("Invalid node: contacts.", "/contacts"),
    ("Invalid value for field 'nobody_knows'.", None),
    ("Something is wrong with it.", None),
]


@pytest.mark.parametrize("text, pointer", POINTED)
@pytest.mark.parametrize("code", [40040, 40060, 40123])
@pytest.mark.parametrize("route", [("POST", "/clients"), ("PATCH", "/clients/13")], ids="".join)
def test_a_fault_about_a_field_points_at_its_place_in_the_json(
    caller: Caller, simulator: Simulator, route: tuple[str, str], code: int, text: str, pointer: str | None
) -> None:
    """The upstream speaks of elements, callers know properties."""
    simulator.faults.add("unknown_fault", code=code, text=text, methods=[METHOD[route]])
    body = problem(caller.request(*route, **body_for(route[0])), 422, "fields_rejected")
    assert [one["pointer"] for one in body.get("errors", [])] == ([] if pointer is None else [pointer])
    assert body["upstream"] == {"code": code, "message": text}


@pytest.mark.parametrize("code", [40050, 40001, None])
def test_an_invalid_node_is_about_fields_whatever_its_code(
    caller: Caller, simulator: Simulator, code: int | None
) -> None:
    """Its code is unknown, its text was seen."""
    simulator.faults.add("unknown_fault", code=code, text="Invalid node: contact_id.")
    response = caller.post("/clients", json={"email": "a@b.example"})
    body = problem(response, 422, "fields_rejected")
    assert body["upstream"] == {"code": code, "message": "Invalid node: contact_id."}
    assert body["outcome"] == "not_applied"


@pytest.mark.parametrize(
    "switches", [{"fault_detail": "field"}, {"fault_detail": "resource"}, {"several_errors": True}]
)
def test_what_else_a_fault_carries_does_no_harm(caller: Caller, simulator: Simulator, switches: dict[str, Any]) -> None:
    """`<field>`, `<resource>`, more than one `<error>`."""
    simulator.switches.set(**switches)
    body = problem(caller.get("/clients/9"), 404, "not_found")
    assert body["upstream"] == {"code": 50010, "message": "'client_id' not found. Client not found."}


@pytest.mark.parametrize(
    "fault",
    [{"fault": "unknown_fault", "code": 10030, "text": "System does not exist."}, {"fault": "redirect"}],
    ids=["fault", "redirect"],
)
def test_an_unknown_account_is_an_upstream_error(caller: Caller, simulator: Simulator, fault: dict[str, Any]) -> None:
    """In either of the forms it was seen in: a fault of the system, or a redirect to a web page."""
    simulator.faults.add(**fault)
    response = caller.post("/clients", json={"email": "a@b.example"})
    assert response.status_code == 502
    assert json_of(response)["outcome"] == "not_applied"


@pytest.mark.parametrize("route", ROUTES[:2], ids="".join)
def test_where_no_record_is_named_none_can_be_missing(
    caller: Caller, simulator: Simulator, route: tuple[str, str]
) -> None:
    """50010 to a list or a creation: whatever was not found, it is not what the path names."""
    simulator.faults.add("unknown_fault", code=50010, text="'x_id' not found. X not found.")
    body = problem(caller.request(*route, **body_for(route[0])), 409, "action_refused")
    assert body["upstream"] == {"code": 50010, "message": "'x_id' not found. X not found."}


@pytest.mark.parametrize("route", ROUTES[2:], ids="".join)
@pytest.mark.parametrize(
    "text", ["'client_id' not found. Client not found.", "'client_id' not found. Client is deleted."]
)
def test_a_record_that_is_not_there_is_404_whoever_asks(
    caller: Caller, simulator: Simulator, route: tuple[str, str], text: str
) -> None:
    """Never there, deleted, or not visible."""
    simulator.faults.add("unknown_fault", code=50010, text=text)
    body = problem(caller.request(*route, **body_for(route[0])), 404, "not_found")
    assert body["upstream"] == {"code": 50010, "message": text}
    assert (body.get("outcome", "not_applied"), body["retryable"]) == ("not_applied", False)


def test_a_missing_contact_is_not_a_missing_record(caller: Caller, simulator: Simulator) -> None:
    """50010 about a contact: the record is there, the action on it is refused."""
    simulator.switches.set(unknown_contact_id="refuse")
    response = caller.patch("/clients/13", json={"contacts": [{"id": 999, "email": "c@d.example"}]})
    body = problem(response, 409, "action_refused")
    assert body["upstream"] == {"code": 50010, "message": "'contact_id' not found. Contact not found."}
    assert body["outcome"] == "not_applied"


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("fault", ["commit_then_drop", "html_page", "server_error", "blackhole"])
def test_a_precondition_that_cannot_be_checked_leaves_everything_as_it_was(
    make_gateway: Any, simulator: Simulator, method: str, fault: str
) -> None:
    """Only a read was lost: nothing was applied, and the same request may be sent again."""
    caller = warm(make_gateway(upstream_deadline_s=2))
    simulator.faults.add(fault, methods=["client.get"])
    response = caller.request(method, "/clients/13", headers={"If-Match": '"x"'}, **body_for(method))
    body = problem(response, response.status_code, json_of(response)["code"])
    assert response.status_code in (502, 504)
    assert (body["outcome"], body["retryable"]) == ("not_applied", True)
    assert set(methods_called(simulator)) == {"client.get"}
    simulator.faults.clear()


def test_a_patch_that_names_nothing_can_lose_nothing(caller: Caller, simulator: Simulator) -> None:
    """It only reads."""
    simulator.faults.add("commit_then_drop")
    body = problem(caller.patch("/clients/13", json={}), 502, "upstream_answer_lost")
    assert (body["outcome"], body["retryable"]) == ("not_applied", True)


def test_an_upstream_that_recovers_is_used_again_at_once(caller: Caller, simulator: Simulator) -> None:
    """Nothing remembers the trouble."""
    simulator.faults.add("refuse")
    problem(caller.get("/clients/13"), 503, "upstream_unreachable")
    simulator.faults.clear()
    assert caller.get("/clients/13").status_code == 200


@pytest.mark.parametrize("when", ["after_answer", "on_next_use"])
def test_an_idle_connection_that_the_upstream_closed_costs_no_read(
    caller: Caller, simulator: Simulator, when: str
) -> None:
    """A caller never sees it."""
    simulator.faults.add("close_idle", when=when)
    assert [caller.get("/clients/13").status_code for _ in range(5)] == [200] * 5


@pytest.mark.parametrize("code", [-1, 0, 10**8])
def test_a_fault_code_of_any_size_is_shown(caller: Caller, simulator: Simulator, code: int) -> None:
    """A number is a number; what is none is left out."""
    text = OK_ROOT.format("fail", f"<error>x</error><code>{code}</code>")
    simulator.faults.add("custom_body", text=text)
    body = problem(caller.get("/clients/13"), 502, "upstream_failed")
    assert body["upstream"] == {"code": code if code >= 0 else None, "message": "x"}


def test_the_upstreams_words_are_shown_on_one_line_and_not_for_ever(caller: Caller, simulator: Simulator) -> None:
    """No line breaks, no controls, at most 300 characters."""
    simulator.faults.add("unknown_fault", text="a\n\n b\t\u2028\u202ec " + "x" * 5000)
    message = problem(caller.get("/clients/13"), 502, "upstream_failed")["upstream"]["message"]
    assert message.startswith("a b c xxx")
    assert len(message) <= 300
