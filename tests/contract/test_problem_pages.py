"""What a problem's `type` leads to."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from gateway import errors
from gateway.errors import GatewayError
from gateway.rest.problems import PROBLEMS, Problem
from simulator.server import Simulator
from tests.contract.expectations import assert_uncalled, json_of, refused
from tests.support.gateway import Caller


class Text(HTMLParser):
    """The visible text of a page, and the addresses it names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def leaves(error: type[GatewayError]) -> list[type[GatewayError]]:
    below = [leaf for child in error.__subclasses__() for leaf in leaves(child)]
    return below or [error]


def test_every_error_has_exactly_one_problem() -> None:
    """No error without a row in the table, no row twice."""
    ours = [error for error in leaves(GatewayError) if error.__module__ == errors.__name__]
    assert sorted(error.__name__ for error in ours) == sorted(problem.error.__name__ for problem in PROBLEMS)
    assert len({problem.code for problem in PROBLEMS}) == len(PROBLEMS)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.code)
def test_every_problem_has_a_page(caller: Caller, simulator: Simulator, problem: Problem) -> None:
    """It tells what happened and what to do, in HTML that loads nothing from elsewhere."""
    response = caller.get(problem.type)
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    page = Text(response.get_data(as_text=True))
    for told in (problem.title, problem.meaning, problem.remedy, problem.code, str(problem.status)):
        assert told.replace("`", "") in page.text.replace("`", "")
    assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in page.links)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert_uncalled(simulator)


@pytest.mark.parametrize(
    "method, path", [("GET", "/clients/9"), ("GET", "/nothing"), ("DELETE", "/clients"), ("GET", "/clients?page=0")]
)
def test_the_type_of_a_problem_met_leads_to_its_page(caller: Caller, method: str, path: str) -> None:
    """Followed as it stands in the answer."""
    met = json_of(caller.request(method, path))
    page = caller.get(met["type"])
    assert page.status_code == 200
    assert met["title"] in page.get_data(as_text=True)
    assert met["code"] in page.get_data(as_text=True)


@pytest.mark.parametrize("slug", ["x", "not_found", "<script>", "..", "not-found%00", "é"])
def test_an_unknown_problem_is_404(caller: Caller, simulator: Simulator, slug: str) -> None:
    """A problem document itself."""
    refused(caller.get(f"/problems/{slug}"), 404, "no_such_route", simulator)
