"""The locks hold what the inputs name, by hash, and tie nobody to a place."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {"requirements.in": "requirements.txt", "requirements-dev.in": "requirements-dev.txt"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names_in(file_name: str) -> list[str]:
    """The requirements of an input, without extras and versions."""
    lines = (ROOT / file_name).read_text().splitlines()
    return [canonical(found[0]) for line in lines if (found := re.match(r"[A-Za-z0-9][\w.-]*", line))]


def locked_in(file_name: str) -> dict[str, list[str]]:
    """Each locked requirement with its hashes; a name may stand twice, with other markers."""
    logical_lines = (ROOT / file_name).read_text().replace("\\\n", " ").splitlines()
    locked: dict[str, list[str]] = {}
    for line in logical_lines:
        if found := re.match(r"([A-Za-z0-9][\w.-]*)==([^\s;]+)", line):
            locked[canonical(found[1])] = re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line)
    return locked


@pytest.mark.parametrize("source,name", [(source, name) for source in LOCKS for name in names_in(source)], ids=str)
def test_a_requirement_that_people_wrote_is_locked(source: str, name: str) -> None:
    """A name added to an input without `make lock` would be missing on the next machine."""
    assert name in locked_in(LOCKS[source])


@pytest.mark.parametrize("lock", LOCKS.values())
def test_every_locked_requirement_has_hashes(lock: str) -> None:
    """pip refuses the whole file otherwise, and rightly so."""
    assert [name for name, hashes in locked_in(lock).items() if not hashes] == []


@pytest.mark.parametrize("lock", LOCKS.values())
def test_a_lock_names_no_index_host_or_path(lock: str) -> None:
    """Where packages come from is the business of whoever installs them."""
    text = (ROOT / lock).read_text()
    assert re.findall(r"://|--(?:extra-)?index|--find-links|--trusted-host|@ ", text) == []


def test_tests_run_on_the_versions_that_are_shipped() -> None:
    """The development lock agrees with the service's on every package they share, to the version and the hash."""
    runtime, development = (locked_in(lock) for lock in LOCKS.values())
    assert runtime == {name: development.get(name) for name in runtime}
    pins = re.findall(r"^\S+==\S+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert set(pins) <= set(re.findall(r"^\S+==\S+", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE))
