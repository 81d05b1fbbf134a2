"""The recipe of the image, as far as it can be judged without building it; tests/image builds it."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
DEFAULTS = dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE, re.MULTILINE))
COPIED = [
    re.sub(r"\$\{(\w+)\}", lambda name: DEFAULTS[name[1]], source)
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
    for source in line.split()[:-1]
]


def test_hadolint_finds_nothing() -> None:
    """Its silence is the accepted state; a rule that does not fit is switched off where it does not fit."""
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run([hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")


def test_the_image_does_not_run_as_root() -> None:
    """A number other than 0, which Kubernetes' runAsNonRoot can verify; a name it could not."""
    users = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert users
    assert all(int(part) > 0 for part in users[-1])


def test_the_base_is_pinned_to_an_exact_version() -> None:
    """`latest`, or a version that moves, would make two builds of one commit differ."""
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", DEFAULTS["BASE"])
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${BASE}"}


def test_packages_are_installed_by_hash_only() -> None:
    """The image holds what the lock names, or it is not built."""
    installs = re.findall(r"pip (?:--python \S+ )?install[^&\n]*", DOCKERFILE)
    assert installs
    assert all("--require-hashes" in install and "--no-cache-dir" in install for install in installs)


@pytest.mark.parametrize("source", COPIED)
def test_whatever_is_copied_exists_and_is_let_in(source: str) -> None:
    """`.dockerignore` starts from nothing, so a copied file must be named there too."""
    assert (ROOT / source).exists()
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert any(fnmatch(source.rstrip("/"), pattern) for pattern in allowed)


def test_the_lock_for_traces_has_all_of_the_services_lock() -> None:
    """An image with REQUIREMENTS=requirements-otel.txt is the tested one, to the version, and more."""
    service, traces = ((ROOT / f"{name}.txt").read_text() for name in ("requirements", "requirements-otel"))
    pins = [set(re.findall(r"^([\w.-]+==\S+(?: ;.*?)?) \\$", lock, re.MULTILINE)) for lock in (service, traces)]
    assert {"flask", "lxml"} <= {pin.partition("==")[0] for pin in pins[0]}
    assert pins[0] < pins[1]
    assert "opentelemetry-sdk" in {pin.partition("==")[0] for pin in pins[1] - pins[0]}


@pytest.mark.parametrize("instruction", ["CMD", "HEALTHCHECK"])
def test_commands_are_started_without_a_shell(instruction: str) -> None:
    """A shell between would swallow TERM, and a slim image need not have what a shell line calls."""
    found = re.findall(rf"^{instruction}\b.*?(\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert len(found) == 1
    assert isinstance(json.loads(found[0]), list)


def test_the_health_check_is_a_program_that_python_reads() -> None:
    """It stands in a string inside JSON inside a Dockerfile; a slip there would show in production only."""
    found = re.search(r"^HEALTHCHECK .*? CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    program, flag, source = json.loads(found[1])
    assert (program, flag) == ("python", "-c")
    compile(source, "HEALTHCHECK", "exec")
    assert "/livez" in source
