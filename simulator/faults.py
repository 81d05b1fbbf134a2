"""Which calls and connections a fault strikes, and how often."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.connection import SAFETY_S, Connection
from simulator.fault_catalogue import FAULTS
from simulator.fault_kinds import FaultKind
from simulator.gates import Gates
from simulator.refusal import Refused


class Release:
    """The end of a hold, told once to those who sleep and to the connections that wait for their peer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._held: set[Connection] = set()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def sleep(self, duration_s: float) -> None:
        """Wait so long, or until the release, or until the safety time is over."""
        self._over.wait(min(duration_s, SAFETY_S))

    def hold(self, connection: Connection) -> None:
        """Keep the connection unanswered until its peer gives up or the release, which ends it."""
        with self._lock:
            if self.is_over:
                return
            self._held.add(connection)
        connection.await_peer_end()
        with self._lock:
            self._held.discard(connection)

    def announce(self) -> None:
        with self._lock:
            self._over.set()
            for connection in self._held:
                connection.sever()


@dataclass(slots=True)
class Rule:
    """One fault that was asked for. `methods` None: every call. `times` None: until cleared."""

    number: int
    kind: FaultKind
    methods: frozenset[str] | None
    times: int | None
    skip: int
    params: dict[str, Any]
    struck: int = 0
    has_timer: bool = False
    release: Release = field(default_factory=Release)

    @property
    def name(self) -> str:
        return self.kind.name

    def strikes(self, method: str | None) -> bool:
        """Whether this call or connection is struck; counts it."""
        if (self.methods is not None and method not in self.methods) or self.remaining == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.struck += 1
        return True

    @property
    def remaining(self) -> int | None:
        return None if self.times is None else self.times - self.struck

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.number,
            "fault": self.name,
            "methods": None if self.methods is None else sorted(self.methods),
            "times": self.times,
            "remaining": self.remaining,
            "skip": self.skip,
            "struck": self.struck,
            **self.params,
        }


class FaultBook:
    """The rules in force, oldest first. `on_change` is called after every change, outside the lock."""

    def __init__(self, gates: Gates, on_change: Callable[[], None] = lambda: None, speaks_tls: bool = False) -> None:
        self._gates = gates
        self._on_change = on_change
        self._speaks_tls = speaks_tls
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._number = 0

    def add(
        self,
        /,
        fault: str,
        *,
        methods: Iterable[str] | None = None,
        times: int | None = None,
        skip: int = 0,
        **params: object,
    ) -> dict[str, Any]:
        """Ask for a fault; raises Refused. Returns the rule as the listing shows it."""
        kind = self._kind(fault)
        if kind.level in ("listener", "connection") and methods is not None:
            raise Refused(f"the fault {fault} strikes before a method is known: methods must be left out")
        if kind.level == "listener" and (times is not None or skip):
            raise Refused(f"the fault {fault} counts nothing: times and skip must be left out")
        rule = Rule(0, kind, _methods(methods), _count(times, "times"), _count(skip, "skip") or 0, kind.checked(params))
        with self._lock:
            self._number += 1
            rule.number = self._number
            self._rules.append(rule)
        self._on_change()
        return rule.as_json()

    def add_json(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(given.get("fault"), str):
            raise Refused("the key fault is missing", sorted(FAULTS))
        return self.add(**given)

    def listing(self) -> list[dict[str, Any]]:
        with self._lock:
            return [rule.as_json() for rule in self._rules]

    def clear(self) -> None:
        """Forget every rule, release everything held, open every gate."""
        with self._lock:
            gone, self._rules = self._rules, []
        for rule in gone:
            rule.release.announce()
        self._gates.forget_all()
        self._on_change()

    def refuses_connections(self) -> Rule | None:
        """The rule that keeps the listener closed, if there is one."""
        with self._lock:
            return next((rule for rule in self._rules if rule.kind.level == "listener"), None)

    def drop(self, rule: Rule) -> None:
        """Forget one rule, when its time is over."""
        with self._lock:
            self._rules = [other for other in self._rules if other is not rule]
        rule.release.announce()
        self._on_change()

    def strike_connection(self) -> Rule | None:
        """The rule that strikes the connection just accepted."""
        return self._first("connection", None)

    def strike_call(self, method: str | None) -> Rule | None:
        """The rule that strikes a call just read: the oldest that fits; the others do not count it."""
        return self._first("call", method)

    def gates_for(self, method: str | None) -> list[tuple[str, str]]:
        """The (point, gate) pairs that the call has to pass: every gate rule that fits."""
        if not self._rules:
            return []
        with self._lock:
            rules = [rule for rule in self._rules if rule.kind.level == "gate" and rule.strikes(method)]
        return [(rule.params["point"], rule.params["gate"]) for rule in rules]

    def _first(self, level: str, method: str | None) -> Rule | None:
        if not self._rules:
            return None
        with self._lock:
            return next((rule for rule in self._rules if rule.kind.level == level and rule.strikes(method)), None)

    def _kind(self, fault: str) -> FaultKind:
        if fault not in FAULTS:
            raise Refused(f"no such fault: {fault}", sorted(FAULTS))
        if fault == "slow_tls" and not self._speaks_tls:
            raise Refused("slow_tls needs a simulator that speaks TLS")
        return FAULTS[fault]


def _methods(methods: Iterable[str] | None) -> frozenset[str] | None:
    if methods is None:
        return None
    if not isinstance(methods, list | tuple | set | frozenset) or not all(isinstance(name, str) for name in methods):
        raise Refused(f"methods is {methods!r}", "a list of method names, or null for all")
    return frozenset(methods)


def _count(value: object, name: str) -> int | None:
    if value is None and name == "times":
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Refused(f"{name} is {value!r}", "a whole number from 0 on")
    return value
