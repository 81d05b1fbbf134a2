"""GET /clients: filters, paging, links, under everything that is unknown about the upstream."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from simulator.server import Simulator
from tests.contract.expectations import json_of, methods_called
from tests.support.gateway import Caller

LINK = re.compile(r'<([^>]*)>; rel="(first|prev|next|last)"')


def ids(caller: Caller, query: str) -> list[int]:
    response = caller.get(f"/clients?{query}")
    assert response.status_code == 200, response.get_data(as_text=True)
    return [item["id"] for item in json_of(response)["items"]]


def links(response: Any) -> dict[str, str]:
    header = response.headers["Link"]
    found = {rel: target for target, rel in LINK.findall(header)}
    assert header == ", ".join(f'<{target}>; rel="{rel}"' for rel, target in found.items())
    return found


@pytest.mark.parametrize(
    "query, expected",
    [
        ("email=janedoe@freshbooks.com", [13]),
        ("email=janedoe%40freshbooks.com", [13]),
        ("email=shared@family.example", [30, 29, 28]),
        ("email=nobody", []),
        ("email=oyvind%2Bbilling@pure.example", [60]),
        ("email=oyvind+billing@pure.example", []),
        ("username=janedoe", [13]),
        ("username=007", [8]),
        ("username=+milo+", [24]),
        ("username=%20milo%20", [24]),
        ("username=Eve+O%27Neil+%3CEvents%3E", [11]),
        ("username=Katarzyna+%C5%BB%C3%B3%C5%82%C4%87", [22]),
        ("notes=e-mail+over+phone", [5]),
        ("notes=%26%26", [11]),
        ("notes=%5D%5D%3E", [11]),
        ("notes=%F0%9F%8E%89", [23]),
        ("folder=archived", [46, 45, 44, 32, 30]),
        ("folder=deleted", [49, 48, 47]),
        ("folder=archived&email=shared@family.example", [30]),
        ("folder=archived&per_page=2&page=2", [44, 32]),
        ("updated_from=2021-01-01", [4421]),
        ("updated_to=2008-01-31&per_page=100", [34, 33, 32, 31]),
        ("updated_from=2020-02-29&updated_to=2020-02-29", [99]),
        ("updated_from=2018-05-01T10:00:00-04:00&updated_to=2018-05-03T12:00:00-04:00&folder=deleted", [49, 48, 47]),
        ("updated_from=2018-05-01T14:00:01Z&updated_to=2018-05-03T12:00:00-04:00&folder=deleted", [49, 48]),
        ("updated_from=2018-05-01t14:00:00z&updated_to=2018-05-02T15:00:00%2B00:00&folder=deleted", [48, 47]),
        ("updated_from=2018-05-02T20:30:00.5%2B05:30&folder=deleted", [49, 48]),
    ],
)
def test_a_filter_selects(caller: Caller, simulator: Simulator, query: str, expected: list[int]) -> None:
    """Each filter, their combinations, and every way to write their values."""
    assert ids(caller, query) == expected
    assert methods_called(simulator) == ["client.list"]


def test_dates_in_filters_are_days_of_the_upstreams_zone(make_gateway: Any, simulator: Simulator) -> None:
    """A date-time with an offset is turned into the upstream's wall time; a date is taken as it stands."""
    berlin = make_gateway(upstream_timezone="Europe/Berlin")
    same_wall_time = "updated_from=2020-02-29T00:00:00%2B01:00&updated_to=2020-02-29T00:00:00%2B01:00"
    assert ids(berlin, same_wall_time) == [99]
    assert ids(berlin, "updated_from=2020-02-29&updated_to=2020-02-29") == [99]


def test_a_list_can_be_filtered_by_the_time_it_shows(caller: Caller) -> None:
    """`updated_at` of an answer is a filter of the next request, whatever the season."""
    for key in (13, 38, 61, 62):
        moment = json_of(caller.get(f"/clients/{key}"))["updated_at"].replace("+", "%2B")
        assert key in ids(caller, f"updated_from={moment}&updated_to={moment}")


@pytest.mark.parametrize("bounds", ["both", "from", "to", "neither"])
def test_whether_bounds_are_inclusive_is_the_upstreams_affair(
    caller: Caller, simulator: Simulator, bounds: str
) -> None:
    """Unknown, and passed on as it comes."""
    simulator.switches.set(updated_bounds=bounds)
    found = ids(caller, "updated_from=2018-05-01T10:00:00-04:00&updated_to=2018-05-03T12:00:00-04:00&folder=deleted")
    assert found == [49] * (bounds in ("both", "to")) + [48] + [47] * (bounds in ("both", "from"))


@pytest.mark.parametrize(
    "form, total", [("active", 52), ("active_and_archived", 57), ("all", 60)], ids=["active", "archived too", "all"]
)
def test_which_folders_an_unfiltered_list_holds_is_the_upstreams_affair(
    caller: Caller, simulator: Simulator, form: str, total: int
) -> None:
    """Unknown, and passed on as it comes."""
    simulator.switches.set(unfiltered_list=form)
    assert json_of(caller.get("/clients"))["total"] == total


def test_an_upstream_that_hides_the_deleted_gives_an_empty_list(caller: Caller, simulator: Simulator) -> None:
    """Not an error."""
    simulator.switches.set(deleted_listed=False)
    assert ids(caller, "folder=deleted") == []


@pytest.mark.parametrize("root", ["clients", "invoices"])
def test_an_empty_list_is_a_list(caller: Caller, simulator: Simulator, root: str) -> None:
    """Also in the documented form, whose element has another resource's name."""
    simulator.switches.set(empty_list_root=root)
    response = caller.get("/clients?email=none@example.com")
    assert json_of(response) == {"items": [], "page": 1, "per_page": 25, "pages": 0, "total": 0}
    assert set(links(response)) == {"first", "last"}


@pytest.mark.parametrize("query, page, per_page", [("", 1, 25), ("page=2", 2, 25), ("page=2&per_page=10", 2, 10)])
def test_a_page_says_where_it_stands(caller: Caller, query: str, page: int, per_page: int) -> None:
    """The page and its size as asked, the totals as counted."""
    body = json_of(caller.get(f"/clients?{query}"))
    assert (body["page"], body["per_page"], body["total"]) == (page, per_page, 57)
    assert body["pages"] == -(-57 // per_page)
    assert len(body["items"]) == per_page


@pytest.mark.parametrize("per_page", [1, 7, 25, 57, 58, 100])
def test_the_pages_together_are_the_whole_list(caller: Caller, per_page: int) -> None:
    """Following `next` meets every record once."""
    seen, target = [], f"/clients?per_page={per_page}"
    while target:
        response = caller.get(target)
        seen += [item["id"] for item in json_of(response)["items"]]
        target = links(response).get("next", "")
        if len(seen) > 57 or (per_page == 1 and len(seen) == 5):
            break
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == (5 if per_page == 1 else 57)


@pytest.mark.parametrize("echo", ["capped", "asked"])
@pytest.mark.parametrize("per_page", [1, 99, 100])
def test_the_largest_page_is_a_hundred(caller: Caller, simulator: Simulator, echo: str, per_page: int) -> None:
    """However the upstream echoes it."""
    simulator.switches.set(per_page_echo=echo)
    assert json_of(caller.get(f"/clients?per_page={per_page}"))["per_page"] == per_page


@pytest.mark.parametrize(
    "page, expected",
    [
        (1, {"first": 1, "next": 2, "last": 6}),
        (2, {"first": 1, "prev": 1, "next": 3, "last": 6}),
        (6, {"first": 1, "prev": 5, "last": 6}),
        (7, {"first": 1, "prev": 6, "last": 6}),
        (1000000000, {"first": 1, "prev": 6, "last": 6}),
    ],
)
def test_links_lead_to_the_other_pages(caller: Caller, page: int, expected: dict[str, int]) -> None:
    """first, prev, next, last, each only where there is one."""
    found = links(caller.get(f"/clients?page={page}&per_page=10"))
    queries = {rel: parse_qs(urlsplit(target).query) for rel, target in found.items()}
    assert {rel: int(query["page"][0]) for rel, query in queries.items()} == expected
    assert {query["per_page"][0] for query in queries.values()} == {"10"}
    assert {urlsplit(target).path for target in found.values()} == {"/clients"}


def test_links_keep_every_filter(caller: Caller) -> None:
    """Also those whose text needs encoding; they can be followed as they are."""
    query = {
        "email": ["a&b+c=d@x.example"],
        "username": ['J\u00f6rg <> "%" ;,'],
        "notes": ["#\u2603\U0001f389 \t\r\n"],
        "folder": ["active"],
        "updated_from": ["2009-08-12T09:00:00+02:00"],
        "updated_to": ["2030-01-01"],
        "page": ["3"],
        "per_page": ["5"],
    }
    response = caller.get("/clients", query_string={name: values[0] for name, values in query.items()})
    found = links(response)
    assert set(found) == {"first", "prev", "last"}
    for target in found.values():
        assert parse_qs(urlsplit(target).query, strict_parsing=True) == query | {"page": ["1"]}
        assert target.isascii()
        assert caller.get(target).status_code == 200


def test_links_are_full_though_paging_was_not_asked_for(caller: Caller) -> None:
    """A caller needs no memory of the default."""
    assert links(caller.get("/clients"))["next"] == "/clients?page=2&per_page=25"


PAST_THE_END = [{"page_past_end": "empty"}, {"page_past_end": "last"}] + [
    {"page_past_end": "fault", "bad_page_code": code, "fault_detail": detail}
    for code in (40060, 40123)
    for detail in ("none", "field", "resource")
]


@pytest.mark.parametrize("switches", PAST_THE_END, ids=str)
@pytest.mark.parametrize("query", ["page=4", "page=99999&folder=archived", "page=2&email=none@example.com"])
def test_a_page_past_the_end_is_empty(
    caller: Caller, simulator: Simulator, switches: dict[str, Any], query: str
) -> None:
    """200 and no items, whatever the upstream does with it, with the totals that there are."""
    simulator.switches.set(**switches)
    response = caller.get(f"/clients?{query}")
    assert response.status_code == 200, response.get_data(as_text=True)
    assert json_of(response)["items"] == []
    assert json_of(response)["page"] == int(parse_qs(query)["page"][0])
    expected = {"page=4": 57, "page=99999&folder=archived": 5}.get(query, 0)
    assert json_of(response)["total"] == expected
    assert "next" not in links(response)
    assert links(response)["prev"].startswith("/clients?")


def test_staff_and_administrators_see_lists_of_their_own(make_gateway: Any) -> None:
    """The token decides, so it is the gateway's."""
    staff = make_gateway(upstream_token="demo-staff")
    assert json_of(staff.get("/clients"))["total"] == 15
    assert staff.get("/clients/13").status_code == 200
    assert staff.get("/clients/14").status_code == 404
