"""What is in the image, and what is not."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.container import VOLUME, Container, Image
from tools.image.build import ROOT, version
from tools.image.lent import pip_settings

pytestmark = pytest.mark.timeout(1800)

LENT = ("index-url", "extra-index-url", "proxy", "cert")
UNCHECKED = (1).to_bytes(4, "little")
"""Of a compiled module that is taken as it is (PEP 552), whatever the source's time stamp says."""
NAMES = """
import importlib.metadata, json
print(json.dumps([(found.name, found.version) for found in importlib.metadata.distributions()]))
"""


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_service_and_nothing_else_of_the_checkout(image: Image) -> None:
    """The files that git knows in the rooms of the service, to the byte, and no test, tool or simulator."""
    rooms = ["LICENSE", "app.py", "gunicorn.conf.py", "openapi.yaml", "openapi.json", "gateway", "schemas"]
    listing = subprocess.run(["git", "ls-files", "-z", *rooms], cwd=ROOT, check=True, capture_output=True, text=True)
    wanted = {name: digest(ROOT / name) for name in listing.stdout.split("\0") if name}
    folder = image.root / "srv" / "gateway"
    found = {str(path.relative_to(folder)): digest(path) for path in files(folder) if path.suffix != ".pyc"}
    assert [name for name in wanted | found if found.get(name) != wanted.get(name)] == []


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_packages_are_those_of_the_lock(gateway: Container) -> None:
    """At its versions, all that every Python needs, and nothing besides: no pip, and nothing to build with."""
    lock = (ROOT / "requirements.txt").read_text()
    pins = re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;]+) *(;?)", lock, re.MULTILINE)
    result = gateway.execute(["python", "-c", NAMES])
    assert result.returncode == 0, result.stderr
    installed = {(canonical(name), version) for name, version in json.loads(result.stdout)}
    everywhere = {(canonical(name), version) for name, version, marker in pins if not marker}
    assert everywhere <= installed <= {(canonical(name), version) for name, version, _ in pins}
    assert everywhere


@pytest.mark.parametrize("place", ["venv/lib", "srv/gateway"])
def test_every_module_is_compiled_for_good(image: Image, place: str) -> None:
    """A root that is read-only takes no compiled module later, and a copied file may get another time stamp."""
    sources = [path for path in files(image.root / place) if path.suffix == ".py"]
    assert sources
    tag = "cpython-" + next((image.root / "venv" / "lib").iterdir()).name.removeprefix("python").replace(".", "")
    compiled = [path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in sources]
    assert [path for path in compiled if not path.exists() or path.read_bytes()[4:8] != UNCHECKED] == []


def test_nothing_but_the_volume_belongs_to_its_user_or_is_open_to_all(image: Image) -> None:
    """Whoever breaks in can change neither the service nor the system, also where the root is not read-only."""
    user, group = image.user
    found = []
    for folder, _, names in os.walk(image.root):
        for path in [Path(folder), *(Path(folder, name) for name in names)]:
            status = path.lstat()
            belongs = status.st_uid == user or status.st_gid == group
            is_open = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
            if (belongs or is_open) and (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
                found.append(f"/{path.relative_to(image.root)}")
    assert found == [VOLUME]


def test_what_was_lent_to_the_build_is_not_kept(image: Image) -> None:
    """Neither pip's settings nor the roots of a mirror, nor a word of them in what the image tells about itself."""
    assert not (image.root / "etc" / "pip.conf").exists()
    assert not any((image.root / "run").rglob("ca.crt"))
    lent = pip_settings(os.environ)
    told = image.history + json.dumps(dict(image.config))
    assert [value for name in LENT if (value := lent.get(name)) and value in told] == []


def test_it_tells_what_it_is(image: Image) -> None:
    """The labels of the Open Container Initiative: whoever finds the image finds the commit."""
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in image.config["Labels"].items()}
    assert labels["version"] == version()
    assert labels["revision"] == image.commit
    assert labels["base.name"].startswith("localhost/")
    assert {"title", "description", "licenses"} <= set(labels)


def test_it_says_how_it_wants_to_be_run(image: Image) -> None:
    """Port, volume, user and the signal to stop it: what an orchestrator reads. It listens where others reach it."""
    host, _, port = image.env["GATEWAY_BIND"].rpartition(":")
    assert (host, set(image.config["ExposedPorts"])) == ("0.0.0.0", {f"{port}/tcp"})
    assert set(image.config["Volumes"]) == {image.env["STORE_URL"]}
    assert image.config["StopSignal"] == "SIGTERM"
    assert min(image.user) > 0
