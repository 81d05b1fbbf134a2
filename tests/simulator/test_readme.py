"""The README says what the code does, and its command lines run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from simulator import fault_catalogue, switches
from simulator.server import Simulator
from simulator.steering import Steering

ROOT = Path(__file__).parents[2]
README = (ROOT / "simulator" / "README.md").read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("name, table", [("switches", switches.table()), ("faults", fault_catalogue.table())])
def test_the_tables(name: str, table: str) -> None:
    """Are those of the code, to be pasted when this fails."""
    written = README.partition(f"<!-- {name}: begin -->\n")[2].partition(f"\n<!-- {name}: end -->")[0]
    assert written == table


@pytest.mark.parametrize("line", LINES)
def test_a_command_line(sim: Simulator, line: str) -> None:
    """Runs as it stands, against another port, and is answered with success."""
    assert "http://127.0.0.1:8081/" in line
    words = shlex.split(line.replace("http://127.0.0.1:8081/", f"{sim.base_url}/"))
    sim.gates.open("g1")
    done = subprocess.run([words[0], "--fail", *words[1:]], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert 'status="fail"' not in done.stdout


def test_the_example_in_a_test() -> None:
    """Runs as it stands."""
    example = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "'total': 0" in done.stdout


def test_every_route_has_a_line(sim: Simulator) -> None:
    """Every route of the steering but the index is shown with curl."""
    with Steering(sim.base_url) as steering:
        routes = steering.call("GET", "/")["routes"]
    shown = [f"{method_of(line)} {path_of(line)}" for line in LINES]
    for route in routes[1:]:
        template = re.sub(r"\{\w+\}", "[^/]+", route)
        assert any(re.fullmatch(template, line) for line in shown), route


def method_of(line: str) -> str:
    given = re.findall(r"-X (\w+)", line)
    return given[0] if given else "POST" if " -d " in line else "GET"


def path_of(line: str) -> str:
    return line.partition(":8081")[2].partition(" ")[0].partition("?")[0].rstrip("'")
