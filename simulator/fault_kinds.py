"""What a fault takes: its parameters, checked."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from simulator.refusal import Refused

Kind = Literal["number", "whole", "flag", "text", "base64", "headers"]
Level = Literal["listener", "connection", "gate", "call"]


@dataclass(frozen=True, slots=True)
class Param:
    """`choices`: the only texts allowed. `nullable`: null is a value of its own. Numbers are never negative."""

    kind: Kind
    default: Any
    about: str = ""
    choices: tuple[str, ...] = ()
    nullable: bool = False
    required: bool = False
    low: float = 0

    def check(self, name: str, value: object) -> None:
        if (value is None and self.nullable) or self._fits(value):
            return
        raise Refused(f"bad value for the parameter {name}: {value!r}", self.choices or self._wanted())

    def _fits(self, value: object) -> bool:
        if self.kind == "flag":
            return isinstance(value, bool)
        if self.kind in ("number", "whole"):
            types = (int,) if self.kind == "whole" else (int, float)
            return isinstance(value, types) and not isinstance(value, bool) and self.low <= value <= 10**9
        if self.kind == "headers":
            return isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)
        if self.kind == "base64":
            return isinstance(value, str) and _is_base64(value)
        return isinstance(value, str) and (not self.choices or value in self.choices)

    def _wanted(self) -> str:
        kinds = {"whole": "whole number", "flag": "true or false", "headers": "object of texts"}
        floor = f" from {self.low:g} on" if self.kind in ("number", "whole") else ""
        return kinds.get(self.kind, self.kind) + floor + (" or null" if self.nullable else "")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class FaultKind:
    """`level`: what `times` and `skip` count: connections, or calls; a listener fault counts nothing."""

    name: str
    level: Level
    about: str
    params: Mapping[str, Param]

    def checked(self, given: Mapping[str, object]) -> dict[str, Any]:
        """The parameters with their defaults; raises Refused."""
        for name, value in given.items():
            if name not in self.params:
                raise Refused(f"the fault {self.name} has no parameter {name}", sorted(self.params))
            self.params[name].check(name, value)
        absent = [name for name, param in self.params.items() if param.required and name not in given]
        if absent:
            raise Refused(f"the fault {self.name} needs the parameter {absent[0]}")
        return {**{name: param.default for name, param in self.params.items()}, **given}
