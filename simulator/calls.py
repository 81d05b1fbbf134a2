"""One call of the API from its bytes to its answer: ledger, fault, gates, work."""

from __future__ import annotations

from simulator.answers import Answer
from simulator.api import Api, Call
from simulator.connection import Connection
from simulator.effects import Struck, strike
from simulator.faults import FaultBook, Rule
from simulator.gates import Gates
from simulator.http_wire import Request
from simulator.ledger import HEADERS, Entry, Ledger
from simulator.switches import SwitchBoard


class Calls:
    """Everything that a call meets."""

    def __init__(self, api: Api, ledger: Ledger, faults: FaultBook, gates: Gates, switches: SwitchBoard) -> None:
        self._api = api
        self._ledger = ledger
        self._faults = faults
        self._gates = gates
        self._switches = switches

    def take(self, connection: Connection, request: Request) -> None:
        """Answer the call, or do what the fault that strikes it does; raises Gone when that ends the connection."""
        call = self._api.read(request)
        rule = self._faults.strike_call(call.method)
        entry = self._ledger.begin(_entry(connection, request, call, rule))
        running = _Running(call, entry, self._faults.gates_for(call.method))
        try:
            self._answer(connection, running, rule)
        finally:
            self._end(running)

    def _answer(self, connection: Connection, running: _Running, rule: Rule | None) -> None:
        if rule is None:
            answer = self._work(running, deny=False)
            self._end(running)
            connection.send_answer(answer)
            return

        def work(deny: bool) -> Answer:
            return self._work(running, deny)

        def skip() -> None:
            self._pass(running, "before_commit", "after_commit")

        def finish() -> None:
            self._end(running)

        strike(Struck(connection, rule, self._switches.now, work, skip, finish))

    def _work(self, running: _Running, deny: bool) -> Answer:
        """Have the API do the call, between the gates."""
        self._pass(running, "before_commit")
        answer = self._api.answer(running.call, deny=deny)
        running.entry = self._ledger.note(running.entry, answer)
        self._pass(running, "after_commit")
        return answer

    def _pass(self, running: _Running, *points: str) -> None:
        for where, name in running.gates:
            if where in points:
                self._gates.hold(name)

    def _end(self, running: _Running) -> None:
        """Close the entry before the last byte goes out: whoever has the answer finds the call ended."""
        if not running.is_over:
            running.is_over = True
            self._ledger.end(running.entry)


class _Running:
    """A call under way. `gates`: the (point, gate) pairs that it has to pass."""

    def __init__(self, call: Call, entry: Entry, gates: list[tuple[str, str]]) -> None:
        self.call = call
        self.entry = entry
        self.gates = gates
        self.is_over = False


def _entry(connection: Connection, request: Request, call: Call, rule: Rule | None) -> Entry:
    return Entry(
        seq=0,
        connection=connection.number,
        method=call.method,
        token=call.token,
        client_id=call.client_id(),
        elements=call.elements(),
        headers={name: request.headers[name] for name in HEADERS if name in request.headers},
        fault=None if rule is None else rule.name,
        outcome=None if rule is None else f"fault {rule.name}",
    )
