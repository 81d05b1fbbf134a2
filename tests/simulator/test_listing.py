"""client.list: order, pages and filters."""

from __future__ import annotations

import pytest

from simulator.server import Simulator
from tests.simulator.api_caller import ApiCaller

VISIBLE = 57
"""Demo clients that are not deleted."""


def test_without_filters(admin: ApiCaller) -> None:
    """25 records in descending order of their ids, full ones, with the page's numbers."""
    reply = admin.list()
    ids = reply.ids()
    assert len(ids) == 25
    assert ids == sorted(ids, reverse=True)
    assert reply.counts() == {"page": "1", "per_page": "25", "pages": "3", "total": str(VISIBLE)}
    assert reply.ok().findtext("./clients/client/links/view")


def test_the_pages_together_are_the_whole(admin: ApiCaller) -> None:
    """No record twice, none left out."""
    ids = [client_id for page in range(1, 7) for client_id in admin.list(page=page, per_page=10).ids()]
    assert len(ids) == len(set(ids)) == VISIBLE
    assert ids == admin.list(per_page=100).ids()


def test_more_than_a_hundred_a_page(sim: Simulator, admin: ApiCaller) -> None:
    """The ceiling is 100 whatever is asked."""
    for number in range(60):
        sim.store.edit({"email": f"{number}@many.example"})
    reply = admin.list(per_page=500)
    assert len(reply.ids()) == 100
    assert reply.counts() == {"page": "1", "per_page": "100", "pages": "2", "total": str(VISIBLE + 60)}


@pytest.mark.parametrize(
    "filters, ids",
    [
        ({"email": "shared@family.example"}, [30, 29, 28]),
        ({"email": "no address at all"}, []),
        ({"username": "janedoe"}, [13]),
        ({"notes": "prefers E-MAIL"}, [5]),
        ({"folder": "archived"}, [46, 45, 44, 32, 30]),
        ({"folder": "deleted"}, [49, 48, 47]),
        ({"email": "janedoe@freshbooks.com"}, [13]),
        ({"email": "janedoe@freshbooks.com", "folder": "deleted"}, [49]),
        ({"updated_from": "2020-02-29 00:00:00"}, [4421, 99]),
        ({"updated_to": "2008-06-01 00:00:00"}, [37, 34, 33, 32, 31]),
        ({"updated_from": "2009-08-12", "updated_to": "2009-08-13"}, [13]),
        ({"email": "", "username": "", "folder": "", "page": "", "notes": "Same company"}, [81]),
    ],
)
def test_filters(admin: ApiCaller, filters: dict[str, str], ids: list[int]) -> None:
    """Each as documented; together they narrow; empty ones do not count."""
    assert admin.list(**filters).ids() == ids


def test_nothing_found(admin: ApiCaller) -> None:
    """A self-closed list with no pages and no total."""
    reply = admin.list(email="nobody@nowhere.example")
    assert b'  <clients page="1" per_page="25" pages="0" total="0"/>\n' in reply.body


def test_a_page_past_the_end(admin: ApiCaller) -> None:
    """By default an empty list that says how many there are."""
    reply = admin.list(page=9)
    assert reply.ids() == []
    assert reply.counts() == {"page": "9", "per_page": "25", "pages": "3", "total": str(VISIBLE)}


@pytest.mark.parametrize("bad", ["0", "-1", "x", "1.5", "١"])
def test_a_page_that_is_no_number(admin: ApiCaller, bad: str) -> None:
    """By default the first page of 25."""
    assert admin.list(page=bad, per_page=bad).counts() == admin.list().counts()


def test_staff_totals(staff: ApiCaller) -> None:
    """Totals count what the token sees."""
    reply = staff.list(per_page=100)
    assert int(reply.counts()["total"]) == len(reply.ids()) < VISIBLE
