"""Headers of requests and answers: ids, preferences, conditions, caching, types."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from simulator.server import Simulator
from tests.contract.expectations import (
    JANE,
    ROUTES,
    assert_uncalled,
    body_for,
    json_of,
    methods_called,
    problem,
    refused,
)
from tests.support.gateway import Caller, warm

MakeGateway = Callable[..., Caller]
PROBES = ["/livez", "/readyz", "/metrics", "/openapi.json", "/openapi.yaml", "/docs", "/problems/not-found", "/"]
ETAG = re.compile(r'"[0-9a-f]{32}"')

# X-Request-Id


@pytest.mark.parametrize("given", ["a", "A-Za-z0-9_.-", "0", "x" * 128, "00-trace.id_1", "___"])
def test_a_request_id_is_repeated_and_passed_on(caller: Caller, simulator: Simulator, given: str) -> None:
    """In the answer, in the log and to the upstream."""
    response = caller.get("/clients/13", headers={"X-Request-Id": given})
    assert response.headers["X-Request-Id"] == given
    assert caller.log()[-1]["request_id"] == given
    assert simulator.ledger.calls()[0].headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", " ", "x" * 129, "a b", "a,b", "a/b", "ä", "<x>", "a;b", '"a"', "{}", "a\tb", "a:b", "\u0661"]
)
def test_a_request_id_that_is_not_fit_to_be_repeated_is_replaced(
    caller: Caller, simulator: Simulator, given: str
) -> None:
    """Not an error: a new one is made, long enough to be the only one."""
    response = caller.get("/clients/13", headers={"X-Request-Id": given.encode().decode("latin-1")})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-Id"])
    assert simulator.ledger.calls()[0].headers["x-request-id"] == response.headers["X-Request-Id"]


def test_every_answer_has_a_request_id_of_its_own(caller: Caller) -> None:
    """Successes, errors, probes, redirects, preflights."""
    responses = [caller.get(path) for path in [*PROBES, "/nothing", "/clients/0", "/clients?page=0"]]
    responses += [caller.request(*route, **body_for(route[0])) for route in ROUTES]
    responses += [caller.request("OPTIONS", "/clients"), caller.request("HEAD", "/livez"), caller.delete("/docs")]
    ids = [response.headers["X-Request-Id"] for response in responses]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", [*PROBES, "/nothing", "/clients/0"])
def test_the_request_id_is_repeated_everywhere(caller: Caller, path: str) -> None:
    """Also where no operation was met."""
    assert caller.get(path, headers={"X-Request-Id": "mine"}).headers["X-Request-Id"] == "mine"


# Prefer


@pytest.mark.parametrize(
    "prefer",
    [
        "return=minimal",
        "Return=Minimal",
        'return="minimal"',
        "return = minimal",
        "respond-async, return=minimal",
        "return=minimal, return=representation",
        "return=minimal; x=y",
        ' foo="a, return=representation"; b, return=minimal',
        ", ,return=minimal,",
    ],
)
def test_minimal_is_understood_however_it_is_written(caller: Caller, prefer: str) -> None:
    """RFC 7240: of a preference named twice the first counts, unknown ones are nothing."""
    response = caller.patch("/clients/13", json={"notes": "n"}, headers={"Prefer": prefer})
    assert response.status_code == 204
    assert response.headers["Preference-Applied"] == "return=minimal"


@pytest.mark.parametrize(
    "prefer",
    [
        "",
        "return=representation",
        "return",
        "return=",
        "minimal",
        "return=minimalist",
        "xreturn=minimal",
        "return=representation, return=minimal",
        'foo="return=minimal"',
        'foo="x, return=minimal"',
        "wait",
        "wait=soon",
        "wait=-1",
        "wait=1.5",
        "wait=\u0661",
        "wait=9999999",
        "=",
        ";",
        '"',
        "handling=lenient",
    ],
)
def test_a_preference_that_means_nothing_here_changes_nothing(caller: Caller, prefer: str) -> None:
    """A preference is never an error."""
    header = {"Prefer": prefer.encode().decode("latin-1")}
    response = caller.patch("/clients/13", json={"notes": "n"}, headers=header)
    assert (response.status_code, json_of(response)["notes"]) == (200, "n")
    assert "Preference-Applied" not in response.headers


def test_preferences_may_come_in_several_headers(caller: Caller) -> None:
    """As one list."""
    combined = [("Prefer", "wait=9"), ("Prefer", "return=minimal")]
    response = caller.client.patch("/clients/13", json={"notes": "n"}, headers=combined)
    assert response.headers["Preference-Applied"] == "return=minimal, wait=9"


def test_reading_takes_no_notice_of_minimal(caller: Caller) -> None:
    """A GET is asked for its representation."""
    assert json_of(caller.get("/clients/13", headers={"Prefer": "return=minimal"})) == JANE


@pytest.mark.parametrize(
    "route, fault",
    [
        (("GET", "/clients"), {"fault": "blackhole"}),
        (("POST", "/clients"), {"fault": "blackhole", "commit": True}),
        (("PATCH", "/clients/13"), {"fault": "gate", "gate": "before", "point": "before_commit"}),
        (("DELETE", "/clients/13"), {"fault": "gate", "gate": "after", "point": "after_commit"}),
    ],
    ids=str,
)
def test_wait_shortens_the_deadline(
    caller: Caller, simulator: Simulator, route: tuple[str, str], fault: dict[str, Any]
) -> None:
    """In seconds, below what the gateway would wait: 504 in one instead of ten."""
    simulator.faults.add(**fault)
    response = warm(caller).request(*route, headers={"Prefer": "wait=1"}, **body_for(route[0]))
    body = problem(response, 504, "deadline_passed")
    assert body.get("outcome", "unknown") == "unknown"
    assert 900 < caller.log()[-1]["duration_ms"] < 6000
    simulator.faults.clear()
    assert simulator.ledger.wait_idle()


def test_wait_does_not_lengthen_the_deadline(make_gateway: MakeGateway, simulator: Simulator) -> None:
    """The gateway's own is the longest."""
    caller = make_gateway(upstream_deadline_s=0.2)
    simulator.faults.add("blackhole")
    problem(caller.get("/clients/13", headers={"Prefer": "wait=100"}), 504, "deadline_passed")
    assert caller.log()[-1]["duration_ms"] < 10_000


@pytest.mark.parametrize("route", ROUTES, ids="".join)
def test_no_time_at_all_is_504_and_nothing_is_sent(
    caller: Caller, simulator: Simulator, route: tuple[str, str]
) -> None:
    """`wait=0`: never sent, so harmless to send again."""
    response = caller.request(*route, headers={"Prefer": "wait=0"}, **body_for(route[0]))
    body = problem(response, 504, "deadline_passed")
    assert (body.get("outcome", "not_applied"), body["retryable"]) == ("not_applied", True)
    assert_uncalled(simulator)


def test_enough_time_is_enough(caller: Caller) -> None:
    """And the preference is said to be applied."""
    response = caller.post("/clients", json={"email": "a@b.example"}, headers={"Prefer": "wait=10"})
    assert response.status_code == 201
    assert response.headers["Preference-Applied"] == "wait=10"


# entity tags and conditions


@pytest.mark.parametrize("path", ["/clients/13", "/clients", "/clients?folder=archived&per_page=3", "/clients?page=99"])
def test_an_entity_tag_is_strong_and_the_same_from_every_instance(make_gateway: MakeGateway, path: str) -> None:
    """Two applications, one after the other, as two workers or a restart would be."""
    one, two = make_gateway(), make_gateway()
    tag = one.get(path).headers["ETag"]
    assert ETAG.fullmatch(tag)
    assert [caller.get(path).headers["ETag"] for caller in (one, two, two)] == [tag] * 3


def test_an_entity_tag_is_the_same_for_every_credential_that_sees_the_same(make_gateway: MakeGateway) -> None:
    """The record counts, not who looks."""
    tags = {
        make_gateway(upstream_token=token).get("/clients/13").headers["ETag"] for token in ("demo-admin", "demo-staff")
    }
    assert len(tags) == 1


def test_an_entity_tag_changes_with_the_record(caller: Caller) -> None:
    """And the write's answer has the new one already."""
    before = caller.get("/clients/13").headers["ETag"]
    written = caller.patch("/clients/13", json={"notes": "changed"}).headers["ETag"]
    assert caller.get("/clients/13").headers["ETag"] == written != before


def test_an_entity_tag_does_not_depend_on_how_the_xml_is_written(caller: Caller, simulator: Simulator) -> None:
    """It is a digest of what callers get."""
    before = caller.get("/clients/13").headers["ETag"]
    simulator.switches.set(namespace="none", element_order="documentation", text_form="cdata", comments=True)
    assert caller.get("/clients/13").headers["ETag"] == before


def known_tags(tag: str) -> list[str]:
    return [tag, f"W/{tag}", f'"other", {tag}', f'"other",W/{tag},"more"', "*", f" {tag} "]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/clients/13", "/clients?page=2"])
def test_what_the_caller_has_already_is_304(caller: Caller, path: str, method: str, number: int) -> None:
    """Compared weakly, in a list or by the wildcard; no body, and the headers that a 200 would have."""
    full = caller.get(path)
    header = known_tags(full.headers["ETag"])[number]
    response = caller.request(method, path, headers={"If-None-Match": header})
    assert (response.status_code, response.get_data()) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary", "Link"):
        assert response.headers.get(name) == full.headers.get(name)
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize("header", ['"other"', 'W/"other"', '""', '"other", "more"', '"\xe4"'])
def test_what_the_caller_has_not_is_200(caller: Caller, header: str) -> None:
    """The whole record."""
    assert json_of(caller.get("/clients/13", headers={"If-None-Match": header})) == JANE


def test_a_condition_does_not_hide_that_there_is_nothing(caller: Caller) -> None:
    """404 comes before 304."""
    problem(caller.get("/clients/9", headers={"If-None-Match": "*"}), 404, "not_found")


CHANGES = [("PATCH", 200), ("PUT", 200), ("DELETE", 204)]


@pytest.mark.parametrize("number", [0, 2, 4, 5])
@pytest.mark.parametrize("method, status", CHANGES)
def test_a_change_of_what_the_caller_has_seen_goes_through(
    caller: Caller, simulator: Simulator, method: str, status: int, number: int
) -> None:
    """`If-Match` with the current tag, alone, in a list, or the wildcard."""
    header = known_tags(caller.get("/clients/13").headers["ETag"])[number]
    simulator.ledger.clear()
    response = caller.request(method, "/clients/13", headers={"If-Match": header}, **body_for(method))
    assert response.status_code == status
    assert methods_called(simulator)[0] == "client.get"


@pytest.mark.parametrize("kind", ["another", "weak", "weak list", "outdated", "empty"])
@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
def test_a_change_of_what_has_changed_is_412(caller: Caller, simulator: Simulator, method: str, kind: str) -> None:
    """Nothing is written, and the current tag is told; weak tags match nothing here (RFC 9110 §13.1.1)."""
    outdated = caller.get("/clients/13").headers["ETag"]
    if kind == "outdated":
        simulator.store.edit({"client_id": 13, "notes": "changed in the vendor's pages"})
    current = caller.get("/clients/13", headers={"Cache-Control": "no-cache"}).headers["ETag"]
    header = {
        "another": '"another"',
        "weak": f"W/{current}",
        "weak list": f'W/{current}, "x"',
        "outdated": outdated,
        "empty": '""',
    }[kind]
    simulator.ledger.clear()
    response = caller.request(method, "/clients/13", headers={"If-Match": header}, **body_for(method))
    body = problem(response, 412, "precondition_failed")
    assert (body["outcome"], body["retryable"]) == ("not_applied", False)
    assert response.headers["ETag"] == current
    assert methods_called(simulator) == ["client.get"]


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
def test_a_condition_on_what_is_not_there_is_404(caller: Caller, method: str) -> None:
    """There is no representation to match."""
    response = caller.request(method, "/clients/9", headers={"If-Match": "*"}, **body_for(method))
    assert problem(response, 404, "not_found")["outcome"] == "not_applied"


def test_of_two_changes_from_the_same_state_one_wins(caller: Caller) -> None:
    """The second is told the tag that the first made."""
    header = {"If-Match": caller.get("/clients/13").headers["ETag"]}
    first = caller.patch("/clients/13", json={"first_name": "One"}, headers=header)
    second = caller.patch("/clients/13", json={"first_name": "Two"}, headers=header)
    assert (first.status_code, second.status_code) == (200, 412)
    assert second.headers["ETag"] == first.headers["ETag"]
    assert json_of(caller.get("/clients/13"))["first_name"] == "One"


@pytest.mark.parametrize("method, status", CHANGES)
def test_a_gateway_may_require_the_condition(
    make_gateway: MakeGateway, simulator: Simulator, method: str, status: int
) -> None:
    """428 without it, before anything is asked; with it all is as usual, and creating needs none."""
    caller = make_gateway(gateway_require_if_match="true")
    response = caller.request(method, "/clients/13", **body_for(method))
    refused(response, 428, "precondition_required", simulator)
    header = {"If-Match": caller.get("/clients/13").headers["ETag"]}
    assert caller.post("/clients", json={"email": "a@b.example"}).status_code == 201
    assert caller.request(method, "/clients/13", headers=header, **body_for(method)).status_code == status


# caching and types


@pytest.mark.parametrize("path", ["/clients", "/clients/13"])
def test_answers_are_private_and_vary(caller: Caller, path: str) -> None:
    """No shared cache may keep them, and none may mix them up."""
    response = caller.get(path)
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert {"Accept", "Authorization"} <= {name.strip() for name in response.headers["Vary"].split(",")}


@pytest.mark.parametrize("route", ROUTES, ids="".join)
def test_every_answer_forbids_guessing_its_type(caller: Caller, route: tuple[str, str]) -> None:
    """`nosniff`, on what has a body and what has none."""
    response = caller.request(*route, **body_for(route[0]))
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert ("Content-Type" in response.headers) == (response.status_code != 204)


@pytest.mark.parametrize("path", PROBES)
def test_what_is_not_about_records_forbids_it_too(caller: Caller, path: str) -> None:
    """Pages, documents, probes."""
    response = caller.get(path)
    assert response.status_code == (302 if path == "/" else 200)
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_root_leads_to_the_documentation(caller: Caller) -> None:
    """By a path, so that it works behind any name."""
    response = caller.get("/", headers={"Host": "evil.example"})
    assert (response.status_code, response.headers["Location"]) == (302, "/docs")


def test_the_probes_do_not_ask_the_upstream(caller: Caller, simulator: Simulator) -> None:
    """A sick upstream makes no sick gateway."""
    simulator.faults.add("refuse")
    assert [json_of(caller.get(path))["status"] for path in ("/livez", "/readyz")] == ["ok"] * 2
    assert_uncalled(simulator)
