"""The arrows that import-linter cannot hold, since `app.py` is a module and no package."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS_APP_MAY_USE = {"gateway", "schemas", "flask", "werkzeug"}
PRODUCT = sorted(path for folder in ("gateway", "schemas", "simulator") for path in (ROOT / folder).rglob("*.py"))


def top_level_imports(path: Path) -> set[str]:
    """The first part of every name that a file imports, at whatever depth the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_the_composition_root_imports_rooms_and_flask_only() -> None:
    """A library that the root needs directly is a thing that some room failed to own."""
    assert top_level_imports(ROOT / "app.py") - sys.stdlib_module_names <= ROOMS_APP_MAY_USE


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_imports_the_composition_root_or_the_tools(path: Path) -> None:
    """`app` knows every room, so no room may know `app`; and the product runs without what builds and tests it."""
    assert not top_level_imports(path) & {"app", "benchmarks", "tests", "tools"}
