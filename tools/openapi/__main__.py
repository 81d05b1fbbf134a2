"""`python -m tools.openapi` writes openapi.yaml and openapi.json; `--check` only says whether they are fresh."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from schemas import RESOURCES
from schemas.resource import Resource
from tools.openapi.document import ROOT, build
from tools.openapi.notation import first_difference, to_json, to_yaml


def files(resources: Sequence[Resource] = RESOURCES) -> dict[str, str]:
    """The generated files, by name."""
    document = build(resources)
    return {"openapi.yaml": to_yaml(document), "openapi.json": to_json(document)}


def write(folder: Path) -> None:
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def stale(folder: Path) -> list[str]:
    """What is wrong with the committed files, a sentence each; nothing when they are fresh."""
    found = []
    for name, text in files().items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif (committed := path.read_text(encoding="utf-8")) != text:
            found.append(f"{name} is stale: {first_difference(committed, text)}")
    return found


def main(arguments: Sequence[str] | None = None, folder: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.openapi", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when a file is stale")
    if not parser.parse_args(arguments).check:
        write(folder)
        return 0
    problems = stale(folder)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print("`make openapi` writes them anew.", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
