"""The documentation's fenced blocks, so that tests run what it shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^>]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block: the mark in the comment above it (empty without one), its language and its text."""

    mark: str
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, named from the top of the project."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Block(found["mark"] or "", found["language"], found["text"]) for found in _BLOCK.finditer(text)]
