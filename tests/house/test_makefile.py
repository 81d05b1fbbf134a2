"""The two commands that a newcomer is told, and the list of the others."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = [name for line in re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE) for name in line.split()]
PUBLIC_TARGETS = [name for name in TARGETS if not name.startswith("setup-")]


def make(*arguments: str) -> str:
    return subprocess.run(["make", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("target", PUBLIC_TARGETS)
def test_make_without_a_target_lists_every_target(target: str) -> None:
    """Plain `make` prints each target with a sentence about it, and nothing else happens."""
    assert re.search(rf"^  make {target} +\S.*$", make(), re.MULTILINE)


def test_the_targets_are_the_promised_ones() -> None:
    """Other documents, and CI, name these."""
    assert {"help", "run", "test", "check", "openapi", "bench", "proof", "image"} <= set(PUBLIC_TARGETS)


def test_every_target_is_declared_phony() -> None:
    """A file or folder named like a target (tests, benchmarks) must not keep the target from running."""
    documented = re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE)
    assert sorted(documented) == sorted(PUBLIC_TARGETS)


def test_running_needs_the_runtime_requirements_alone() -> None:
    """`make run` shows the service to somebody in a hurry: the tools for tests are not installed for it."""
    rule = re.search(r"^run: (.*?) *##", MAKEFILE, re.MULTILINE)
    assert rule is not None
    assert rule[1].split() == ["setup-run", "$(runtime)"]


def test_ci_runs_what_a_developer_runs() -> None:
    """`.ci/run` can be executed, hands over to `make test`, and adds nothing of its own."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("\nexec make test")


def test_make_test_leaves_no_check_out() -> None:
    """Checks, the document's freshness and the tests, in that order."""
    recipe = make("--dry-run", "--always-make", "test")
    steps = ["tools/setup-debian.sh test", "ruff format --check", "ruff check", "mypy", "lint-imports", "hadolint"]
    positions = [recipe.index(step) for step in [*steps, "tools.openapi --check", "-m pytest"]]
    assert positions == sorted(positions)
