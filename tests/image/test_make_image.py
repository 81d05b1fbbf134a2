"""`make image`: what it lends to the build, and what it says where it cannot build."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.image.build import ROOT
from tools.image.lent import pip_conf, pip_settings, secrets


def environment(conf: Path, **variables: str) -> dict[str, str]:
    """One in which pip reads that file, and no other of the environment's settings."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return {**plain, "PIP_CONFIG_FILE": str(conf), **variables}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """The pip.conf of a machine behind a mirror."""
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\n"
        "index-url = https://user:secret@mirror.example.com/simple\n"
        "extra-index-url = file:///srv/wheels https://more.example.com/simple\n"
        "find-links = /srv/wheels\n"
        "[install]\n"
        "timeout = 30\n"
    )
    return file


def test_the_machine_has_a_mirror(conf: Path) -> None:
    """The build asks the same; folders of the machine, which the build does not see, are left out."""
    made = pip_conf(pip_settings(environment(conf)))
    assert "index-url = https://user:secret@mirror.example.com/simple\n" in made
    assert "extra-index-url = https://more.example.com/simple\n" in made
    assert "timeout = 30\n" in made
    assert "/srv/wheels" not in made


def test_the_environment_outdoes_the_file(conf: Path) -> None:
    """As it does for pip."""
    settings = pip_settings(environment(conf, PIP_INDEX_URL="https://other.example.com/simple"))
    assert settings["index-url"] == "https://other.example.com/simple"


def test_nothing_is_set(tmp_path: Path) -> None:
    """Then nothing is told to the build either: pip's own defaults hold."""
    assert pip_conf({}) == "[global]\n"


def test_the_mirror_has_roots_of_its_own(conf: Path) -> None:
    """They are lent as a second file, and pip is told where it finds them."""
    with secrets(environment(conf, PIP_CERT="/etc/mirror.pem")) as arguments:
        lent = {argument.split(",src=")[0]: Path(argument.split(",src=")[1]) for argument in arguments}
        assert lent["--secret=id=ca.crt"] == Path("/etc/mirror.pem")
        assert "cert = /run/secrets/ca.crt\n" in lent["--secret=id=pip.conf"].read_text()
    assert not lent["--secret=id=pip.conf"].exists()


def test_no_builder_is_at_hand(tmp_path: Path) -> None:
    """It says so and which would do, and fails."""
    result = subprocess.run(
        [sys.executable, "-m", "tools.image"], cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert "docker, podman, buildah" in result.stderr
