"""What was called: one entry a call, and totals that stay exact when old entries are dropped."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from simulator.answers import Answer

KEPT_ENTRIES = 10_000
HEADERS = ("traceparent", "tracestate", "user-agent", "x-request-id", "content-type", "host")


@dataclass(frozen=True, slots=True)
class Entry:
    """One call of the API. `seq` counts on through a clear; times are seconds since the ledger was last cleared.

    `method` None: it could not be read. `token` is a name: admin, a staff name, other, or none. `client_id`: the id
    sent, or the id given to the created client. `elements`: the names of the elements sent, never what they held.
    `applied`: a change was committed, whatever was answered. `outcome`: `ok`, the fault's code (`None` if it had
    none), `http STATUS`, or `fault NAME` for an injected one, whose name `fault` has too; None until it is decided.
    `status`: the HTTP status that the API decided on; None when it was not asked.
    """

    seq: int
    connection: int
    method: str | None
    token: str
    client_id: str | None
    elements: tuple[str, ...]
    headers: dict[str, str] = field(default_factory=dict)
    started_s: float = 0
    ended_s: float | None = None
    applied: bool = False
    outcome: str | None = None
    status: int | None = None
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Ledger:
    """Every call of the API since the last `clear`; the newest 10,000 one by one, all of them in the totals."""

    def __init__(self, connections_opened: Callable[[], int] = lambda: 0) -> None:
        self._changed = threading.Condition()
        self._connections_opened = connections_opened
        self._in_flight = self._seq = 0
        self.clear()

    def clear(self) -> None:
        with self._changed:
            self._begun = time.monotonic()
            self._entries: dict[int, Entry] = {}
            self._order: deque[int] = deque()
            self._by_method: Counter[str] = Counter()
            self._by_outcome: Counter[str] = Counter()
            self._applied_total = 0
            self._before = self._seq
            self._in_flight_max = self._in_flight
            self._connections_before = self._connections_opened()

    def begin(self, entry: Entry) -> Entry:
        """Note a call that has just been read; returns it with its number and time."""
        with self._changed:
            self._seq += 1
            begun = replace(entry, seq=self._seq, started_s=self._now_s())
            self._keep(begun)
            self._by_method[begun.method or "unreadable"] += 1
            self._in_flight += 1
            self._in_flight_max = max(self._in_flight_max, self._in_flight)
            self._changed.notify_all()
            return begun

    def note(self, entry: Entry, answer: Answer) -> Entry:
        """Note what the API decided, before anything is sent."""
        client_id = entry.client_id if answer.client_id is None else str(answer.client_id)
        outcome = entry.outcome or answer.outcome
        noted = replace(entry, applied=answer.applied, status=answer.status, client_id=client_id, outcome=outcome)
        with self._changed:
            self._applied_total += answer.applied and entry.seq > self._before
            self._update(noted)
        return noted

    def end(self, entry: Entry) -> None:
        """Note that the call is over, whether the answer went out or not."""
        with self._changed:
            self._in_flight -= 1
            self._update(replace(entry, ended_s=self._now_s()))
            self._by_outcome[entry.outcome or "unanswered"] += entry.seq > self._before
            self._changed.notify_all()

    def calls(self, method: str | None = None, since: int = 0) -> list[Entry]:
        """The kept entries, oldest first; of one method, and with `seq` above `since`."""
        with self._changed:
            entries = [self._entries[seq] for seq in self._order]
        return [entry for entry in entries if entry.seq > since and method in (None, entry.method)]

    def wait_for(self, total: int, timeout_s: float = 10) -> bool:
        """Wait until that many calls have come in since the last clear; False when the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: self._seq - self._before >= total, timeout_s)

    def wait_idle(self, timeout_s: float = 10) -> bool:
        """Wait until no call is in flight; False when the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._in_flight, timeout_s)

    def summary(self) -> dict[str, Any]:
        with self._changed:
            return {
                "total": self._seq - self._before,
                "applied_total": self._applied_total,
                "by_method": dict(self._by_method),
                "by_outcome": dict(self._by_outcome),
                "in_flight": self._in_flight,
                "in_flight_max": self._in_flight_max,
                "connections_opened": self._connections_opened() - self._connections_before,
            }

    def _now_s(self) -> float:
        return round(time.monotonic() - self._begun, 6)

    def _keep(self, entry: Entry) -> None:
        self._entries[entry.seq] = entry
        self._order.append(entry.seq)
        if len(self._order) > KEPT_ENTRIES:
            del self._entries[self._order.popleft()]

    def _update(self, entry: Entry) -> None:
        if entry.seq in self._entries:
            self._entries[entry.seq] = entry
