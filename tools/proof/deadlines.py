"""The part of the proof about deadlines: how much later than promised an answer comes, whatever the upstream does."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from simulator.server import Simulator
from tools.proof.points import METHODS
from tools.proof.servers import ServedGateway, served
from tools.proof.stalls import STALLS, Stall, Timed, ask_timed, keys_for, stalled
from tools.proof.table import table

DEADLINE_S = 1.0
OVERSHOOT_MAX_S = 0.1
_ROUNDS = 3
_HEAD = ("stall", "method", "status", "outcome", "median s", "worst s", "overshoot s", "verdict")


def prove(simulator: Simulator, authority_file: Path) -> list[str]:
    """Prints the table; returns the deviations, a sentence each."""
    for stall in STALLS:
        print(f"      {stall.name:<14} {stall.about}")
    print(f"\n    deadline {DEADLINE_S:g} s, {_ROUNDS} rounds; the median's overshoot may be {OVERSHOOT_MAX_S:g} s")
    print("    (a create answers before the deadline when nothing was sent: it keeps time to find out)\n")
    rows: list[tuple[object, ...]] = []
    deviations: list[str] = []
    settings = {"gateway_workers": 1, "gateway_threads": 16, "upstream_deadline_s": DEADLINE_S}
    with served(simulator, authority_file, **settings) as gateway:
        for stall in STALLS:
            for method, timed in _measure(stall, simulator, gateway).items():
                row, wrong = _judge(stall, method, timed)
                rows.append(row)
                deviations += [f"{stall.name}, {method}: {one}" for one in wrong]
    print(table(_HEAD, rows))
    return deviations


def _measure(stall: Stall, simulator: Simulator, gateway: ServedGateway) -> dict[str, list[Timed]]:
    """All methods at the same time, round after round."""
    timed: dict[str, list[Timed]] = {method: [] for method in METHODS}
    keys = keys_for(simulator)

    def ask(method: str) -> Timed:
        try:
            return ask_timed(gateway, method, f"{method}@example.com", keys[method])
        finally:
            gateway.close()

    for _ in range(_ROUNDS):
        with stalled(stall, simulator), ThreadPoolExecutor(len(METHODS)) as callers:
            for method, one in zip(METHODS, callers.map(ask, METHODS), strict=True):
                timed[method].append(one)
    return timed


def _judge(stall: Stall, method: str, timed: list[Timed]) -> tuple[tuple[object, ...], list[str]]:
    durations_s = [one.duration_s for one in timed]
    median_s, worst_s = statistics.median(durations_s), max(durations_s)
    overshoot_s = median_s - DEADLINE_S
    wrong = sorted({deviation for one in timed for deviation in one.deviations(stall, method)})
    if overshoot_s > OVERSHOOT_MAX_S:
        wrong.append(f"{overshoot_s:.3f} s after the deadline")
    verdict = "; ".join(wrong) if wrong else "ok"
    status, outcome = timed[0].reply.status, stall.outcome(method)
    return (stall.name, method, status, outcome, median_s, worst_s, overshoot_s, verdict), wrong
