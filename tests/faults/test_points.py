"""Faults at six points of a call × five methods, each once and lasting: `make proof` prints the same table."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.server import Simulator
from tests.support.staged import StagedGateway
from tools.proof.points import CASES, METHODS, POINTS, Case
from tools.proof.staging import perform


@pytest.fixture
def staged(tls_simulator: Simulator, authority_file: Path) -> StagedGateway:
    """A gateway that has not called the upstream yet."""
    env = {
        "UPSTREAM_URL": tls_simulator.url,
        "UPSTREAM_CA_FILE": str(authority_file),
        "UPSTREAM_TOKEN": "demo-admin",
        "GATEWAY_AUTH": "open",
    }
    return StagedGateway(env)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_at_a_point_of_a_call(case: Case, staged: StagedGateway, tls_simulator: Simulator) -> None:
    """The caller is told the truth, nothing is there twice, and it is tried again where and only where it may be."""
    observed = perform(case, tls_simulator, staged)
    assert not observed.deviations(case.expected), (observed, tls_simulator.ledger.calls())


def test_the_table_has_every_point_and_method() -> None:
    """Seven points (before anything is sent there are two), five methods, once and lasting."""
    assert {(case.point.name, case.method, case.lasting) for case in CASES} == {
        (point.name, method, lasting) for point in POINTS for method in METHODS for lasting in (False, True)
    }
    assert (len(POINTS), len(CASES)) == (7, 70)


def test_no_case_expects_a_create_to_be_repeated_after_it_was_sent() -> None:
    """The table itself keeps the promise: a create is received at most once, and what it made stands once."""
    creates = [case.expected for case in CASES if case.method == "create"]
    assert max(expected.received for expected in creates) == 1
    assert max(expected.applied for expected in creates) == 1
