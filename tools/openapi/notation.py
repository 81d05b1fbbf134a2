"""The document as YAML and as JSON, the same bytes every time."""

from __future__ import annotations

import json
from itertools import zip_longest
from typing import Any

import yaml

_HEADER = "# Written by `make openapi` from the schemas, the routes and the status table. Do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Writes everything out, without anchors, and text of several lines as it reads."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, indentless=False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def to_yaml(document: dict[str, Any]) -> str:
    return _HEADER + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def to_json(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def first_difference(committed: str, fresh: str) -> str:
    """The first line in which two texts differ, in words."""
    lines = enumerate(zip_longest(committed.splitlines(), fresh.splitlines()), start=1)
    for number, (old, new) in lines:
        if old != new:
            return f"line {number} is {_quoted(old)} and should be {_quoted(new)}"
    return "the line ends differ"


def _quoted(line: str | None) -> str:
    return "missing" if line is None else f"`{line.strip()}`"
