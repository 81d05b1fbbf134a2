"""docs/guarantees.md: every promise names a test, and every test it names exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.support.pages import ROOT

PAGE = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
SHOWN_BY = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LIMITS = "Conditions and limits"


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def promises() -> list[str]:
    """The list items of all sections but the limits, each on one line."""
    texts = (text for title, text in sections().items() if title != LIMITS)
    items = (item for text in texts for item in re.split(r"^- ", text, flags=re.MULTILINE)[1:])
    return [" ".join(item.split()) for item in items]


def names_in(file: str) -> set[str]:
    """The tests at the top of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assigned = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
    names = {*defined, *(target.id for target in assigned if isinstance(target, ast.Name))}
    return {name for name in names if name.lower().startswith("test")}


def test_the_page_has_what_was_promised_to_be_in_it() -> None:
    """Its parts, and a good number of promises."""
    assert list(sections()) == [
        "Never twice",
        "Never silent",
        "Never late",
        "A sick upstream is not beaten",
        "Nobody reads the past",
        "What copies are for whom",
        "Many at once are one call",
        "A sick upstream still answers",
        "What HTTP says",
        "Conditional changes",
        "Replaced without a failed request",
        LIMITS,
    ]
    assert len(promises()) > 30


@pytest.mark.parametrize("file, test", sorted(set(SHOWN_BY.findall(PAGE))), ids="::".join)
def test_a_test_that_the_page_names(file: str, test: str) -> None:
    """It exists."""
    assert test in names_in(file)


def test_every_promise_names_its_test() -> None:
    """What no test shows is no promise; it stands among the limits."""
    assert [promise for promise in promises() if not SHOWN_BY.search(promise)] == []


def test_nothing_that_looks_like_a_test_is_overlooked() -> None:
    """Each mention of a test file is in the form that is checked."""
    assert PAGE.count("tests/") == len(SHOWN_BY.findall(PAGE))
