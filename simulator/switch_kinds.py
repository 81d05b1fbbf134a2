"""The kinds of values that a switch can have. Each prints as what is allowed."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.xml_io import is_name


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any of these texts."""

    choices: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.choices)

    def accepts(self, value: object) -> bool:
        return isinstance(value, str) and value in self.choices


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def __str__(self) -> str:
        return "true false"

    def accepts(self, value: object) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `low` to `high`; null too where `nullable`."""

    low: float
    high: float
    whole: bool = True
    nullable: bool = False

    def __str__(self) -> str:
        return f"{self.low} to {self.high}" + (" or null" if self.nullable else "")

    def accepts(self, value: object) -> bool:
        if value is None:
            return self.nullable
        kinds = (int,) if self.whole else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Names:
    """A list of element names."""

    def __str__(self) -> str:
        return "list of element names"

    def accepts(self, value: object) -> bool:
        return isinstance(value, list | tuple) and all(isinstance(name, str) and is_name(name) for name in value)


Allowed = OneOf | Flag | Number | Names
