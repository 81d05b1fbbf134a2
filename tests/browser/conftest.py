"""A browser, and a gateway in processes of its own in front of the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from simulator.server import Simulator
from tests.support.server import GatewayProcess

CHROMIUM = "/usr/bin/chromium"
PATIENCE_MS = 30_000
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", event => {
    console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, on a machine that may be busy."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def gateway(shared_simulator: Simulator) -> Iterator[GatewayProcess]:
    """A gateway without authentication."""
    env = {"UPSTREAM_URL": shared_simulator.url, "UPSTREAM_TOKEN": "demo-admin", "GATEWAY_AUTH": "open"}
    with GatewayProcess(env) as running:
        yield running


@dataclass
class Visit:
    """A page of the gateway in a browser, and what happened while it was open.

    `foreign` are requests that would have left the gateway's origin: they were stopped. `errors` are the console's
    errors and warnings, uncaught exceptions and violations of the page's policy.
    """

    page: Page
    origin: str
    requests: list[Request] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def begin(self) -> None:
        self.page.add_init_script(REPORT_VIOLATIONS)
        self.page.on("request", self._note_request)
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.route(lambda url: not self._is_own(url), lambda route: route.abort())

    def _is_own(self, url: str) -> bool:
        return f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" == self.origin

    def _note_request(self, request: Request) -> None:
        self.requests.append(request)
        if not request.url.startswith(("data:", "blob:")) and not self._is_own(request.url):
            self.foreign.append(request.url)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)


@pytest.fixture
def visit(browser: Browser, gateway: GatewayProcess, simulator: Simulator) -> Iterator[Visit]:
    """A fresh page. Whatever a test does: nothing may leave the gateway's origin, and no error may be reported."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    try:
        visit = Visit(context.new_page(), gateway.url)
        visit.begin()
        yield visit
        assert visit.foreign == [], "the page asked somebody else"
        assert visit.errors == []
    finally:
        context.close()
