"""The docs page in a real browser: it draws, it can be used, and it keeps to itself."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Locator, expect

from simulator.server import Simulator
from tests.browser.conftest import Visit
from tests.support.document import committed_document
from tests.support.examples import operations

OPERATIONS = list(operations(committed_document()))


def _open_docs(visit: Visit) -> None:
    answer = visit.page.goto(f"{visit.origin}/docs")
    assert answer is not None
    assert answer.status == 200
    expect(visit.page.locator(".opblock")).to_have_count(len(OPERATIONS))


def _open_operation(visit: Visit, name: str) -> Locator:
    block = visit.page.locator(f"#operations-Clients-{name}")
    block.locator(".opblock-summary-control").click()
    expect(block.get_by_role("button", name="Execute")).to_be_visible()
    return block


def _execute(block: Locator) -> tuple[int, str]:
    """The status and the body that the page shows."""
    block.get_by_role("button", name="Execute").click()
    shown = block.locator(".live-responses-table .response").first
    expect(shown).to_be_visible()
    body = shown.locator(".highlight-code code, .microlight").first
    return int(shown.locator(".response-col_status").inner_text().split()[0]), body.inner_text()


def test_the_page_draws_every_operation(visit: Visit) -> None:
    """With method, path and summary, under a title, with nothing that failed to load."""
    _open_docs(visit)
    expect(visit.page).to_have_title("FreshBooks gateway: the API")
    for operation in OPERATIONS:
        block = visit.page.locator(f"[id$='-{operation.node['operationId']}']")
        expect(block.locator(".opblock-summary-method")).to_have_text(operation.method)
        expect(block.locator(".opblock-summary-path")).to_have_attribute("data-path", operation.path)
        expect(block.locator(".opblock-summary-description")).to_have_text(operation.node["summary"])
    statuses = {request.url: response.status for request in visit.requests if (response := request.response())}
    assert {url: status for url, status in statuses.items() if status != 200} == {}


def test_trying_it_creates_a_client_and_shows_it(visit: Visit, simulator: Simulator) -> None:
    """201 with the record on the page; the upstream has it; getting it shows the same."""
    _open_docs(visit)
    create = _open_operation(visit, "createClient")
    create.locator("textarea.body-param__text").fill('{"email": "browser@example.com", "first_name": "Zoë"}')
    status, shown = _execute(create)
    created = json.loads(shown)
    assert (status, created["email"], created["first_name"]) == (201, "browser@example.com", "Zoë")
    stored = simulator.store.find(created["id"])
    assert stored is not None
    assert stored.texts["email"] == "browser@example.com"
    get = _open_operation(visit, "getClient")
    get.get_by_placeholder("id", exact=True).fill(str(created["id"]))
    assert _execute(get) == (200, shown)


def test_an_example_as_the_page_fills_it_in_works(visit: Visit) -> None:
    """Two clicks, nothing typed: a newcomer's first call and first record."""
    _open_docs(visit)
    status, shown = _execute(_open_operation(visit, "listClients"))
    assert (status, json.loads(shown)["page"]) == (200, 1)
    assert len(json.loads(shown)["items"]) == 25
    status, shown = _execute(_open_operation(visit, "createClient"))
    assert (status, json.loads(shown)["last_name"]) == (201, "Doe")


def test_a_deep_link_opens_its_operation(visit: Visit) -> None:
    """People send each other such links."""
    visit.page.goto(f"{visit.origin}/docs#/Clients/patchClient")
    block = visit.page.locator("#operations-Clients-patchClient")
    expect(block.get_by_role("button", name="Execute")).to_be_visible()


def test_credentials_are_forgotten_when_the_page_is_left(visit: Visit) -> None:
    """A key that was entered goes with the next request, and nowhere into the browser's storage."""
    _open_docs(visit)
    visit.page.locator(".auth-wrapper .authorize").click()
    visit.page.locator("#auth-bearer-value").fill("a-key-of-mine")
    visit.page.locator(".auth-container").first.get_by_role("button", name="Apply credentials").click()
    visit.page.get_by_role("button", name="Close").first.click()
    with visit.page.expect_request(re.compile("/clients")) as sent:
        _execute(_open_operation(visit, "listClients"))
    assert sent.value.headers["authorization"] == "Bearer a-key-of-mine"
    stored = visit.page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert "a-key-of-mine" not in stored
    visit.page.reload()
    with visit.page.expect_request(re.compile("/clients")) as sent:
        _execute(visit.page.locator("#operations-Clients-listClients"))
    assert "authorization" not in sent.value.headers


def test_problems_are_one_click_away(visit: Visit) -> None:
    """From the docs to the list of problems, to one of them, and back."""
    _open_docs(visit)
    visit.page.get_by_role("link", name="Problems", exact=True).click()
    visit.page.get_by_role("link", name="invalid_fields").click()
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Some fields are not valid")
    expect(visit.page.get_by_role("heading", name="What to do")).to_be_visible()
    visit.page.get_by_role("link", name="The API").click()
    expect(visit.page.locator(".opblock")).to_have_count(len(OPERATIONS))


def test_a_page_loads_its_big_files_once(visit: Visit) -> None:
    """On the second visit they are asked about, and answered by 304 without a body."""
    _open_docs(visit)
    etag = visit.page.request.get(f"{visit.origin}/docs/swagger-ui-bundle.js").headers["etag"]
    again = visit.page.request.get(f"{visit.origin}/docs/swagger-ui-bundle.js", headers={"If-None-Match": etag})
    assert (again.status, again.body()) == (304, b"")


@pytest.mark.parametrize(
    "attempt", ["eval('1')", "document.body.appendChild(document.createElement('script')).text = 'x'"]
)
def test_the_policy_stops_scripts_that_are_not_files_of_the_gateway(visit: Visit, attempt: str) -> None:
    """Injected code does not run, and the tests would hear of it."""
    _open_docs(visit)
    visit.page.evaluate(f"setTimeout(() => {{ try {{ {attempt} }} catch {{}} }}, 0)")
    visit.page.wait_for_event("console", lambda message: "policy violated: script-src" in message.text)
    assert visit.errors
    visit.errors.clear()
