"""What belongs to the project speaks of the project, not of the machine where it was written."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MACHINE_PATH = re.compile(r"(?<![\w.)}>/$-])/(?:home|root|Users|work)/[\w.]")
PRIVATE_KEY = re.compile("-----BEGIN " + r"[A-Z ]*PRIVATE KEY-----")


def project_files() -> list[Path]:
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """Empty for what is no text, such as a picture."""
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode(errors="replace")


@pytest.mark.parametrize("pattern", [MACHINE_PATH, PRIVATE_KEY], ids=["a path of one machine", "a private key"])
def test_no_file_holds_what_belongs_to_a_machine(pattern: re.Pattern[str]) -> None:
    """A fresh clone elsewhere has neither the paths nor the secrets of the machine where a line was written."""
    files = project_files()
    assert files
    findings = [
        f"{path.relative_to(ROOT)}: {found[0]}" for path in files for found in [pattern.search(text_of(path))] if found
    ]
    assert findings == []


def test_the_pattern_for_machine_paths_finds_one() -> None:
    """The test above must be able to fail, and must leave routes and addresses alone."""
    assert MACHINE_PATH.search("see /{}/jane/notes".format("home"))
    assert not MACHINE_PATH.search("GET /clients/home/13, https://example.com/work/13, {base}/work/1")


def test_no_file_is_left_with_a_conflict_or_blanks_at_the_ends_of_lines() -> None:
    """git's own check of white space and conflict marks, over the whole tree."""
    empty_tree = subprocess.run(
        ["git", "hash-object", "-t", "tree", "--stdin"], cwd=ROOT, input="", check=True, capture_output=True, text=True
    ).stdout.strip()
    pathspec = ["--", "*.py", "*.toml", "*.sh", "Makefile", "Dockerfile"]
    result = subprocess.run(["git", "diff", "--check", empty_tree, *pathspec], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")
