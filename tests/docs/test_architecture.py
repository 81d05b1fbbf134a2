"""docs/architecture.md, beside the code."""

from __future__ import annotations

import re

import pytest

from tests.support.pages import ROOT

ROOMS = sorted(path.stem for path in (ROOT / "gateway").iterdir() if not path.name.startswith("_"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_or_leaf_is_on_the_page(room: str) -> None:
    """In the table, or among the leaves."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    leaves = re.findall(r"^Leaves: .*$", text, re.MULTILINE)
    assert re.search(rf"`gateway/{room}(/|\.py)`", text) or re.search(rf"\b{room}\b", leaves[0])
