"""Schemathesis invents requests out of the document, valid and not, and holds the gateway to what the document says."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import RejectedPositiveData

from gateway.settings import Settings
from gateway.telemetry import open_log
from simulator.server import Simulator
from tests.support.document import check_response, committed_document
from tests.support.gateway import open_app

KEY = "schemathesis-key"
OPERATIONS = {
    f"{method.upper()} {path}"
    for path, item in committed_document().document["paths"].items()
    for method in item
    if method != "parameters"
}
MODES = {
    "open": ({"GATEWAY_AUTH": "open"}, {}),
    "keys": (
        {"GATEWAY_AUTH": "keys", "GATEWAY_API_KEYS": hashlib.sha256(KEY.encode()).hexdigest()},
        {"Authorization": f"Bearer {KEY}"},
    ),
}


@dataclass
class Detachable:
    """An application that can be let go of: Schemathesis remembers what it tested for as long as the process lives."""

    application: Any

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self.application(environ, start_response)


@dataclass
class Findings:
    """What a run complained about, and how often each operation was answered with which status."""

    complaints: list[str] = field(default_factory=list)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    phases: dict[str, str] = field(default_factory=dict)

    def take(self, event: Any) -> None:
        if isinstance(event, events.ScenarioFinished):
            self._take_scenario(event.recorder)
        elif isinstance(event, events.NonFatalError):
            self.complaints.append(f"schemathesis itself failed: {event.info.format()}")
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.PhaseFinished):
            self.phases[event.phase.name.name] = event.status.value

    def _take_scenario(self, recorder: Any) -> None:
        for case_id, interaction in recorder.interactions.items():
            if (response := interaction.response) is None:
                self.complaints.append(f"no answer to {interaction.request.method} {interaction.request.uri}")
                continue
            self.statuses[recorder.cases[case_id].value.operation.label, response.status_code] += 1
            self._check_against_document(interaction)
        for case_id, checks in recorder.checks.items():
            failed = [check for check in checks if check.failure_info is not None]
            self.complaints += [_told(check, recorder.interactions.get(case_id)) for check in failed]

    def _check_against_document(self, interaction: Any) -> None:
        headers = {name: values[0] for name, values in interaction.response.headers.items()}
        path, body = urlsplit(interaction.request.uri).path, interaction.response.content or b""
        try:
            check_response(interaction.request.method, path, interaction.response.status_code, headers, body)
        except AssertionError as error:
            self.complaints.append(str(error))


def counts(context: Any, failure: Failure, case: Any, response: Any) -> bool:
    """Whether a complaint is one about the gateway."""
    return not (isinstance(failure, RejectedPositiveData) and _is_beyond_the_document(case, response.json()))


def _is_beyond_the_document(case: Any, problem: dict[str, Any]) -> bool:
    """Whether a request that fits the document may be refused all the same. There are four reasons:

    - No document can name the entity tag that a record happens to have: 412.
    - The upstream has rules of its own: `fields_rejected`.
    - A key that came before with another payload is refused: 422.
    - Combining headers, Schemathesis sends `0` for an entity tag and calls it valid; the document's pattern does not.
    """
    return problem["code"] in ("precondition_failed", "fields_rejected", "key_reused") or not _tags_fit(case)


def _tags_fit(case: Any) -> bool:
    parameters = committed_document().document["components"]["parameters"]
    patterns = {one["name"]: one["schema"].get("pattern", "") for one in parameters.values()}
    sent = {name: value for name, value in (case.headers or {}).items() if name in ("If-Match", "If-None-Match")}
    return all(re.search(patterns[name], value) for name, value in sent.items())


def _told(check: Any, interaction: Any) -> str:
    answer = interaction.response.content[:600] if interaction and interaction.response else b""
    info = check.failure_info
    return f"{check.name}: {info.failure.title}: {info.failure.message}\n  {info.code_sample}\n  {answer!r}"


@pytest.fixture(params=MODES)
def run(request: pytest.FixtureRequest, simulator: Simulator, tmp_path: Path) -> Iterator[Any]:
    """The events of a whole run: examples, boundary values, invented requests, and linked ones after one another."""
    settings, headers = MODES[request.param]
    env = {"UPSTREAM_URL": simulator.url, "UPSTREAM_TOKEN": "demo-admin", "STORE_URL": str(tmp_path), **settings}
    config = {
        "seed": 7,
        "headers": headers,
        "generation": {"max-examples": 15, "deterministic": True, "database": "none", "no-shrink": True},
        # The document says what is linked. Guessing from names takes X-Request-Id for a record's id, a number, which
        # no header can be.
        "phases": {"stateful": {"generation": {"max-examples": 8}, "inference": {"algorithms": ["location-headers"]}}},
    }
    app = Detachable(open_app(Settings.from_env(env), open_log("error")))
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app, config=schemathesis.Config.from_dict(config))
    schema.hook("filter_failure")(counts)
    yield from_schema(schema).execute()
    app.application = None


@pytest.mark.timeout(600)
def test_any_request_is_answered_as_the_document_says(run: Any) -> None:
    """No check complains, every phase ran, and every operation succeeded at least once on the way."""
    findings = Findings()
    for event in run:
        findings.take(event)
    assert not findings.complaints, "\n\n".join(findings.complaints[:10])
    assert {"EXAMPLES", "COVERAGE", "FUZZING", "STATEFUL_TESTING"} <= findings.phases.keys()
    succeeded = {operation for operation, status in findings.statuses if status < 400}
    assert OPERATIONS - {"GET /openapi.json"} <= succeeded, "Schemathesis leaves out what it was loaded from"
