"""The long run's command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tools.history.servers import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.history", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("arguments", [["--operations", "0"], ["--operations", "many"], ["everything"]], ids=" ".join)
def test_arguments_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    """Exit code 2 and a reason, before anything is started."""
    result = run(*arguments)
    assert result.returncode == 2
    assert "error:" in result.stderr


def test_a_run_ends_with_a_row_for_each_set_up() -> None:
    """Exit code 0, and the counts that show that something was done."""
    result = run("--operations", "300", "workers")
    assert result.returncode == 0, result.stderr
    head, row = (line.split() for line in result.stdout.splitlines()[-2:])
    assert row[0] == "workers"
    assert row[2] == "300"
    assert (head[-1], row[-1]) == ("violations", "0")
