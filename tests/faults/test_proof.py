"""`make proof` itself: it notices what deviates, and says so with its exit code."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.server import Simulator
from tests.support.staged import StagedGateway
from tools.proof.__main__ import prove, verdict
from tools.proof.points import CASES, COMMIT, Case
from tools.proof.staging import Observed, perform
from tools.proof.table import table

ROOT = Path(__file__).parents[2]


def test_a_part_that_does_not_exist() -> None:
    """Exit code 2, and the parts that there are."""
    command = [sys.executable, "-m", "tools.proof", "nonsense"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "no such part: nonsense" in ended.stderr


def test_a_deviation_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Which part, and what; and the exit code is 1. Without one it is 0."""
    found = prove({"points": lambda _simulator, _authority: ["a create was sent twice"]})
    assert verdict(found) == 1
    assert "DEVIATION  points: a create was sent twice" in capsys.readouterr().err
    assert verdict(prove({"points": lambda _simulator, _authority: []})) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 504},
        {"code": "garbled"},
        {"outcome": "applied"},
        {"attempts": 2},
        {"received": 0},
        {"applied": 2},
        {"stands": False},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_every_column_of_the_table_is_compared(wrong: dict[str, object], simulator: Simulator) -> None:
    """Another expectation than what happens is noticed, whichever column it is in."""
    case = next(one for one in CASES if one.point is COMMIT and one.method == "create" and not one.lasting)
    staged = StagedGateway({"UPSTREAM_URL": simulator.url, "UPSTREAM_TOKEN": "demo-admin", "GATEWAY_AUTH": "open"})
    expected = replace(case.expected, **wrong)  # type: ignore[arg-type]
    observed = perform(Case(case.point, case.method, case.lasting, expected), simulator, staged)
    assert len(observed.deviations(expected)) == 1
    assert observed.deviations(case.expected) == []


def test_a_duplicate_is_a_deviation() -> None:
    """Even where all that was told and counted is as expected."""
    case = next(one for one in CASES if one.method == "create" and one.expected.status == 201)
    told = case.expected
    seen = (told.status, told.code, told.outcome, told.attempts, told.received, told.applied, told.stands)
    assert Observed(*seen, records=2).deviations(told) == ["2 records: a duplicate"]


def test_a_table() -> None:
    """Columns are aligned, numbers stand right, what is not there is a dash."""
    assert table(("a", "number"), [("x", 1), (None, 10)]) == "a  number\n-  ------\nx       1\n-      10"
