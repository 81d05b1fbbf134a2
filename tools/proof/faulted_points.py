"""The part of the proof about faults at the points of a call."""

from __future__ import annotations

from pathlib import Path

from simulator.server import Simulator
from tools.proof.points import CASES, CONNECT, POINTS, Case
from tools.proof.servers import ServedGateway, served
from tools.proof.staging import Observed, perform
from tools.proof.table import table

_HEALTHY_CALLS = 25
_TRIES_MAX = 5
_HEAD = ("point", "method", "fault", "status", "code", "outcome", "attempts", "received", "applied", "verdict")


def prove(simulator: Simulator, authority_file: Path) -> list[str]:
    """Prints the table; returns the deviations, a sentence each."""
    for point in POINTS:
        print(f"      {point.name:<20} {point.about}")
    print(f"\n    {len(CASES)} cases against one gunicorn worker, the upstream over TLS:\n")
    rows, deviations = [], []
    with served(simulator, authority_file, gateway_workers=1, gateway_threads=8, upstream_deadline_s=10) as gateway:
        for case in CASES:
            observed = _perform(case, simulator, gateway)
            wrong = observed.deviations(case.expected)
            rows.append(_row(case, observed, wrong))
            deviations += [f"{case.name}: {one}" for one in wrong]
    print(table(_HEAD, rows))
    return deviations


def _perform(case: Case, simulator: Simulator, gateway: ServedGateway) -> Observed:
    """A case from a healthy start. Where the listener is opened again too late for "once", it is performed anew."""
    for _ in range(_TRIES_MAX):
        _recover(simulator, gateway)
        observed = perform(case, simulator, gateway)
        came_late = case.point is CONNECT and not case.lasting and observed.attempts > case.expected.attempts
        if not came_late:
            break
    return observed


def _recover(simulator: Simulator, gateway: ServedGateway) -> None:
    """Successes close the circuit's account and earn repetitions anew; then every connection is ended."""
    for _ in range(_HEALTHY_CALLS):
        reply = gateway.ask("GET", "/clients/13")
        if reply.status != 200:
            raise RuntimeError(f"the gateway is not healthy between two cases: {reply.text}")
    simulator.restart()


def _row(case: Case, seen: Observed, wrong: list[str]) -> tuple[object, ...]:
    verdict = "; ".join(wrong) if wrong else "ok"
    told = (seen.status, seen.code, seen.outcome)
    return (case.point.name, case.method, case.lasts, *told, seen.attempts, seen.received, seen.applied, verdict)
