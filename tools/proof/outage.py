"""The part of the proof about an upstream that is down under load: how little it is called, and how it comes back."""

from __future__ import annotations

import itertools
import math
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulator.server import Simulator
from tools.proof.servers import ServedGateway, served
from tools.proof.table import table

WORKERS = 2
CALLERS = 16
DEADLINE_S = 2.0
REFUSAL_MAX_S = 0.005
_PACE_S = 0.02
_OPENS_WITHIN_S = 30.0
_RECOVERS_WITHIN_S = 45.0
_RESERVE_EACH = 3
_HONEST = {200, 502, 503, 504}
_OUTAGES = {
    "reset_before": "every call is read and its connection reset",
    "blackhole": "every call is read and never answered",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer: to which caller, by the client it reads, how long it took, its status and the problem's code."""

    key: int
    duration_s: float
    status: int
    code: str | None


class Load:
    """Callers that each read a client of their own, at a moderate pace, until told to stop."""

    def __init__(self, gateway: ServedGateway, keys: Sequence[int]) -> None:
        self._gateway = gateway
        self._keys = frozenset(keys)
        self._over = threading.Event()
        self._changed = threading.Condition()
        self.seen: list[Seen] = []
        self.started_total = 0
        self.started_before_refusal_total = 0
        """Requests that had begun when the first was refused: those that came later found the circuit open."""

    @contextmanager
    def running(self) -> Iterator[None]:
        callers = [threading.Thread(target=self._call, args=(key,)) for key in self._keys]
        for caller in callers:
            caller.start()
        try:
            yield
        finally:
            self._over.set()
            for caller in callers:
                caller.join()

    def wait_for_all(self, code: str | None, timeout_s: float) -> bool:
        """Waits until each caller has had an answer with this problem's code, None: with none."""
        with self._changed:
            return self._changed.wait_for(
                lambda: {one.key for one in self.seen if one.code == code} == self._keys, timeout_s
            )

    def forget(self) -> None:
        with self._changed:
            self.seen = []

    def _call(self, key: int) -> None:
        while not self._over.wait(_PACE_S):
            with self._changed:
                self.started_total += 1
            started_s = time.monotonic()
            reply = self._gateway.ask("GET", f"/clients/{key}")
            code = reply.body.get("code") if reply.status >= 400 and isinstance(reply.body, dict) else None
            with self._changed:
                if code == "circuit_open" and not self.started_before_refusal_total:
                    self.started_before_refusal_total = self.started_total
                self.seen.append(Seen(key, time.monotonic() - started_s, reply.status, code))
                self._changed.notify_all()
        self._gateway.close()


def prove(simulator: Simulator, authority_file: Path, outage_s: float) -> list[str]:
    """Prints what happened in each kind of outage; returns the deviations, a sentence each."""
    print(f"    {CALLERS} callers, {WORKERS} gunicorn workers, each outage {outage_s:g} s:\n")
    for fault, about in _OUTAGES.items():
        print(f"      {fault:<14} {about}")
    rows: list[tuple[object, ...]] = []
    for fault in _OUTAGES:
        simulator.reset()
        settings = {"gateway_workers": WORKERS, "gateway_threads": 16, "upstream_deadline_s": DEADLINE_S}
        with served(simulator, authority_file, **settings) as gateway:
            rows += [(fault, *row) for row in _outage(fault, simulator, gateway, outage_s)]
    print()
    print(table(("outage", "what", "seen", "promised", "verdict"), rows))
    return [f"{row[0]}: {row[1]}: {row[2]}, promised {row[3]}" for row in rows if row[4] != "ok"]


def _outage(fault: str, simulator: Simulator, gateway: ServedGateway, outage_s: float) -> Iterator[tuple[object, ...]]:
    """The outage is there from the start, so that no success has earned repetitions beforehand."""
    load = Load(gateway, [simulator.store.edit({"email": "load@example.com"})["client_id"] for _ in range(CALLERS)])
    simulator.faults.add(fault)
    began_s = time.monotonic()
    with load.running():
        opened = load.wait_for_all("circuit_open", _OPENS_WITHIN_S)
        calls, requests = simulator.ledger.summary()["total"], load.started_before_refusal_total
        yield _row("all are refused", opened, True, opened)
        bound = math.floor(1.1 * requests) + WORKERS * _RESERVE_EACH
        promised = f"<= {bound} (1.1 x {requests} requests + {WORKERS * _RESERVE_EACH})"
        yield _row("calls until then", calls, promised, calls <= bound)
        yield from _while_open(simulator, load, began_s + outage_s)
        yield from _recovery(simulator, load)
    yield _row("answers", _counted(load.seen), "200, 502, 503, 504", {one.status for one in load.seen} <= _HONEST)


def _while_open(simulator: Simulator, load: Load, until_s: float) -> Iterator[tuple[object, ...]]:
    """From the moment on when every caller has been refused, so that nothing is under way but probes."""
    simulator.ledger.wait_idle(DEADLINE_S * 2)
    simulator.ledger.clear()
    begun_s = time.monotonic()
    threading.Event().wait(max(0.0, until_s - begun_s))
    simulator.ledger.wait_idle(DEADLINE_S * 2)
    summary, lasted_s = simulator.ledger.summary(), time.monotonic() - begun_s
    probes_max = _probes_max(lasted_s)
    yield _row("probes", summary["total"], f"<= {probes_max} in {lasted_s:.0f} s", summary["total"] <= probes_max)
    at_a_time = summary["in_flight_max"]
    yield _row("probes at a time", at_a_time, "<= 1", at_a_time <= 1)
    refusals_s = [one.duration_s for one in load.seen if one.code == "circuit_open"]
    median_s = statistics.median(refusals_s) if refusals_s else math.inf
    promised = f"< {REFUSAL_MAX_S * 1000:g} ms (median)"
    yield _row("a refusal takes", f"{median_s * 1000:.1f} ms", promised, median_s < REFUSAL_MAX_S)


def _recovery(simulator: Simulator, load: Load) -> Iterator[tuple[object, ...]]:
    load.forget()
    began_s = time.monotonic()
    simulator.faults.clear()
    recovered = load.wait_for_all(None, _RECOVERS_WITHIN_S)
    seen = f"{time.monotonic() - began_s:.1f} s"
    yield _row("recovery", seen, f"<= {_RECOVERS_WITHIN_S:g} s, no restart", recovered)


def _probes_max(lasted_s: float) -> int:
    """The waits double from 1 s to 30 s, and one probe may be under way at the beginning."""
    waits_s = itertools.chain((1.0, 2.0, 4.0, 8.0, 16.0), itertools.repeat(30.0))
    return 1 + sum(1 for _ in itertools.takewhile(lambda passed_s: passed_s <= lasted_s, itertools.accumulate(waits_s)))


def _row(what: str, seen: object, promised: object, kept: bool) -> tuple[object, ...]:
    return what, seen, promised, "ok" if kept else "DEVIATES"


def _counted(seen: list[Seen]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(Counter(one.status for one in seen).items()))
