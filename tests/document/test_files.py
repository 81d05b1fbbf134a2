"""openapi.yaml and openapi.json are what the code says, and `--check` tells when they are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tools.openapi.__main__ import files, main, stale
from tools.openapi.document import ROOT


def test_committed_files_equal_fresh_ones() -> None:
    """`make openapi` was run after the last change."""
    assert stale(ROOT) == []


def test_both_notations_say_the_same() -> None:
    """A caller may read either."""
    text = files()
    assert yaml.safe_load(text["openapi.yaml"]) == json.loads(text["openapi.json"])


def test_generating_twice_gives_the_same_bytes() -> None:
    """Otherwise every commit would change the files."""
    assert files() == files()


def test_written_files_pass_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Writing is what makes the check content, without a word."""
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    assert capsys.readouterr() == ("", "")


def test_a_stale_file_is_named_with_its_first_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, the line, both of its versions, and what to do."""
    main([], tmp_path)
    path = tmp_path / "openapi.yaml"
    fresh = path.read_text(encoding="utf-8")
    path.write_text(fresh.replace("operationId: listClients", "operationId: listCustomers"), encoding="utf-8")
    assert main(["--check"], tmp_path) == 1
    told = capsys.readouterr().err
    number = fresh[: fresh.index("operationId: listClients")].count("\n") + 1
    assert (
        f"openapi.yaml is stale: line {number} is `operationId: listCustomers` "
        "and should be `operationId: listClients`\n" in told
    )
    assert "openapi.json" not in told
    assert "make openapi" in told


def test_a_file_cut_short_is_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is missing at the end is a difference too."""
    main([], tmp_path)
    path = tmp_path / "openapi.json"
    path.write_text(path.read_text(encoding="utf-8").removesuffix("}\n"), encoding="utf-8")
    assert main(["--check"], tmp_path) == 1
    assert "is missing and should be `}`" in capsys.readouterr().err


def test_missing_files_are_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A clone that lost them is told so, not crashed at."""
    assert main(["--check"], tmp_path) == 1
    assert "openapi.yaml is missing\nopenapi.json is missing\n" in capsys.readouterr().err
