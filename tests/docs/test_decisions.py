"""docs/decisions/README.md, beside the records."""

from __future__ import annotations

import re

from tests.support.pages import ROOT

FOLDER = ROOT / "docs" / "decisions"


def test_the_list_has_every_record_in_order_and_by_its_title() -> None:
    """A record that is not listed is not found, and a title that has changed misleads."""
    rows = re.findall(
        r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE
    )
    records = sorted(path.name for path in FOLDER.glob("[0-9]*.md"))
    assert [name for _, name, _ in rows] == records
    titles = [(FOLDER / name).read_text("utf-8").partition("\n")[0] for name in records]
    assert [f"# {number} {title}" for number, _, title in rows] == titles
