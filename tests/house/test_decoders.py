"""A type that bytes are decoded into is known to msgspec before there are threads.

msgspec prepares a type when it first decodes into it, and a second thread that does the same meanwhile finds it half
prepared and ends the process (SIGSEGV, seen with 0.22.0). A decoder made at import has prepared its type.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LATE = {
    "a type for each decoding": "def read(raw):\n    return msgspec.json.decode(raw, type=Entry)",
    "a conversion": "def read(raw):\n    return msgspec.convert(raw, Entry)",
    "a decoder for each decoding": "def read(raw):\n    return msgspec.json.Decoder(Entry).decode(raw)",
}
IN_TIME = {
    "a decoder at import": "read = msgspec.json.Decoder(Entry).decode",
    "a decoder of a class": "class Book:\n    read = msgspec.json.Decoder(Entry).decode",
    "no type": "def read(raw):\n    return msgspec.json.decode(raw)",
    "text": "def read(raw):\n    return raw.decode('ascii')",
}


def test_no_type_is_prepared_at_its_first_use() -> None:
    """Whoever decodes into a type uses a decoder that was made at import."""
    files = [ROOT / "app.py", *(ROOT / "gateway").rglob("*.py"), *(ROOT / "schemas").rglob("*.py")]
    late = {str(file.relative_to(ROOT)): list(late_preparations(file.read_text())) for file in files}
    assert {name: lines for name, lines in late.items() if lines} == {}


@pytest.mark.parametrize("source", LATE.values(), ids=LATE)
def test_a_type_that_is_prepared_late_is_found(source: str) -> None:
    """In whatever way the type is given."""
    assert list(late_preparations(source)) == [2]


@pytest.mark.parametrize("source", IN_TIME.values(), ids=IN_TIME)
def test_what_prepares_nothing_late_is_allowed(source: str) -> None:
    """At import, or without a type."""
    assert list(late_preparations(source)) == []


def late_preparations(source: str) -> Iterator[int]:
    """The lines on which a function has msgspec prepare a type."""
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    calls = {node for function in functions for node in ast.walk(function) if isinstance(node, ast.Call)}
    for call in sorted(calls, key=lambda one: one.lineno):
        name = ast.unparse(call.func)
        typed = name.startswith("msgspec.") and any(keyword.arg == "type" for keyword in call.keywords)
        if typed or name == "msgspec.convert" or name.endswith(".Decoder"):
            yield call.lineno
