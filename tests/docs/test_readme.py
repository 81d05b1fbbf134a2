"""README.md and the other pages, run as they stand."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.server import Simulator
from tests.support.pages import ROOT, Block, blocks
from tests.support.server import GatewayProcess

PAGES = sorted(str(path.relative_to(ROOT)) for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
SHOWN = [(page, block) for page in ("README.md",) for block in blocks(page)]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    """What `make run` starts: the gateway open to this machine, in front of the simulator's demo data."""
    with Simulator(bind="127.0.0.1:0") as simulator:
        env = {"UPSTREAM_URL": simulator.url, "UPSTREAM_TOKEN": "demo-admin", "GATEWAY_AUTH": "open"}
        with GatewayProcess(env) as process:
            yield process


def run(block: Block, gateway: GatewayProcess) -> Any:
    command = block.text.replace("http://127.0.0.1:8080", gateway.url).replace("curl ", "curl --silent --show-error ")
    result = subprocess.run(["bash", "-euc", command], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_every_curl_of_the_readme_works_and_answers_what_is_shown(gateway: GatewayProcess) -> None:
    """A newcomer who copies the commands, top to bottom, sees what the page says."""
    shown = blocks("README.md")
    commands = [index for index, block in enumerate(shown) if block.mark == "run"]
    assert len(commands) == len([block for block in shown if block.language == "sh"]) > 3
    for index in commands:
        answer = run(shown[index], gateway)
        expected = shown[index + 1] if index + 1 < len(shown) else None
        if expected is not None and expected.mark == "answer":
            promised = json.loads(expected.text)
            assert {name: answer[name] for name in promised} == promised


def test_the_commands_in_indented_blocks_are_targets_or_the_production_command() -> None:
    """`make run` and `make test` exist; the gunicorn line is the one the tests start."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert commands
    for command in commands:
        program, _, argument = command.partition(" ")
        assert (program == "make" and argument in targets) or command == (
            "gunicorn -c gunicorn.conf.py 'app:create_app()'"
        )


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    """Relative links name files of the project."""
    folder = (ROOT / page).parent
    for target in LINK.findall((ROOT / page).read_text(encoding="utf-8")):
        assert (folder / Path(target)).exists(), f"{page} links to {target}"
