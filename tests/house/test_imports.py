"""Nothing happens at import: a module that is only read must not act."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "schemas", "simulator")

PROBE = """
import os, sys, threading

def sockets():
    links = (os.path.join("/proc/self/fd", number) for number in os.listdir("/proc/self/fd"))
    return [os.readlink(link) for link in links if os.path.islink(link) and os.readlink(link).startswith("socket:")]

environ, folder, opened = dict(os.environ), os.getcwd(), sockets()
sys.path.insert(0, os.getcwd())
__import__(sys.argv[1])
assert threading.active_count() == 1, threading.enumerate()
assert sockets() == opened, "a socket was opened"
assert (dict(os.environ), os.getcwd()) == (environ, folder), "the process was changed"
with open("/proc/self/task/{0}/children".format(os.getpid())) as children:
    assert not children.read(), "a process was started"
"""


def product_modules() -> list[str]:
    found = [
        module.name
        for package in PACKAGES
        for module in pkgutil.walk_packages([str(ROOT / package)], prefix=f"{package}.")
        if not module.name.endswith(".__main__")
    ]
    return ["app", *PACKAGES, *sorted(found)]


@pytest.mark.parametrize("module", product_modules())
def test_a_module_is_imported_with_an_empty_environment(module: str) -> None:
    """No setting is read, nothing is printed, and no socket, thread or process is there afterwards."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-B", "-c", PROBE, module], cwd=ROOT, env={}, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
