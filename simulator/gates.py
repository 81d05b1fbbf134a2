"""Gates hold calls at a named point, so that a test needs no sleep to get two of them to meet."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from simulator.refusal import Refused


@dataclass(slots=True)
class _Gate:
    arrived: int = 0
    passed: int = 0
    permits: int = 0
    is_open: bool = False


class Gates:
    """Gates by name; one exists from its first mention until `forget_all`. A call waits at most `safety_s`."""

    def __init__(self, safety_s: float = 60) -> None:
        self._safety_s = safety_s
        self._changed = threading.Condition()
        self._gates: dict[str, _Gate] = {}

    def hold(self, name: str) -> None:
        """Wait at the gate until it is opened for this call."""
        with self._changed:
            gate = self._gate(name)
            gate.arrived += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: gate.is_open or gate.permits > 0, self._safety_s)
            gate.passed += 1
            gate.permits = max(0, gate.permits - 1)
            self._changed.notify_all()

    def wait(self, name: str, arrived: int = 1, timeout_s: float = 10) -> dict[str, Any]:
        """Wait until so many calls have arrived in all; raises TimeoutError."""
        with self._changed:
            gate = self._gate(name)
            if not self._changed.wait_for(lambda: gate.arrived >= arrived, timeout_s):
                raise TimeoutError(f"{gate.arrived} of {arrived} calls have arrived at the gate {name!r}")
            return self._state(name)

    def open(self, name: str, count: int | None = None) -> dict[str, Any]:
        """Let so many calls pass, waiting or to come; None: all of them, from now on."""
        with self._changed:
            gate = self._gate(name)
            gate.permits += count or 0
            gate.is_open = gate.is_open or count is None
            self._changed.notify_all()
            return self._state(name)

    def states(self) -> list[dict[str, Any]]:
        with self._changed:
            return [self._state(name) for name in self._gates]

    def forget_all(self) -> None:
        """Open every gate for those who wait there; a gate of that name is new and closed the next time."""
        with self._changed:
            for gate in self._gates.values():
                gate.is_open = True
            self._gates = {}
            self._changed.notify_all()

    def _gate(self, name: str) -> _Gate:
        if not name:
            raise Refused("a gate needs a name")
        return self._gates.setdefault(name, _Gate())

    def _state(self, name: str) -> dict[str, Any]:
        gate = self._gates[name]
        waiting = gate.arrived - gate.passed
        return {"gate": name, "arrived": gate.arrived, "passed": gate.passed, "waiting": waiting, "open": gate.is_open}
