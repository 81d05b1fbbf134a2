"""What the machine lends to a build, for as long as it lasts: how pip reaches its packages here.

A company's mirror and the roots it is verified by are known to the machine's pip, and must stand neither in the
Dockerfile nor in the image.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

KEPT = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "timeout", "retries")
"""pip's settings that hold inside a build too."""
CA_INSIDE = "/run/secrets/ca.crt"
SECTIONS = ("global", "install", ":env:")
"""Where pip finds a setting; a later one outdoes an earlier one."""


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """What this machine's pip is told by its files and by the environment, each setting under its option's name."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, env=dict(environ), check=True, capture_output=True, text=True).stdout
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.partition(".")
        found.setdefault(section, {})[option] = ast.literal_eval(value)
    return {option: value for section in SECTIONS for option, value in found[section].items()}


def pip_conf(settings: Mapping[str, str]) -> str:
    """A `pip.conf` of what holds inside a build: folders of this machine do not."""
    inside = {name: _without_folders(settings.get(name, "")) for name in KEPT}
    inside["cert"] = CA_INSIDE if "cert" in settings else ""
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in inside.items() if value)


def _without_folders(value: str) -> str:
    return " ".join(part for part in value.split() if not part.startswith(("/", "file:")))


@contextmanager
def secrets(environ: Mapping[str, str]) -> Iterator[list[str]]:
    """The builder's arguments that lend the files, which are there until the block ends."""
    settings = pip_settings(environ)
    with tempfile.TemporaryDirectory(prefix="gateway-build-") as folder:
        conf = Path(folder, "pip.conf")
        conf.write_text(pip_conf(settings), encoding="utf-8")
        arguments = [f"--secret=id=pip.conf,src={conf}"]
        if "cert" in settings:
            arguments.append(f"--secret=id=ca.crt,src={settings['cert']}")
        yield arguments
