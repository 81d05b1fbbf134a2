"""docs/adding-a-resource.md, followed to the letter in a copy of the project."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.any_upstream import AnyUpstream
from tests.support.pages import ROOT, blocks

PAGE = "docs/adding-a-resource.md"
DRIVE = """
import io, json, shlex, sys
from app import create_app
from gateway.settings import Settings
from gateway.telemetry import open_log

env = {"UPSTREAM_URL": sys.argv[1], "UPSTREAM_TOKEN": "t", "GATEWAY_AUTH": "open"}
caller = create_app(Settings.from_env(env), open_log("info", io.BytesIO())).test_client()
curl = shlex.split(sys.argv[2])
created = caller.post(curl[3].removeprefix("http://127.0.0.1:8080"), data=curl[7], content_type="application/json")
path = created.headers["Location"]
seen = [
    created,
    caller.get(path),
    caller.patch(path, json={"description": "Advice", "unit_cost": None}),
    caller.get("/items"),
    caller.post("/items", json={"name": "x", "unit_cost": "a lot"}),
    caller.delete(path),
    caller.get(path),
    caller.get("/openapi.json"),
]
print(json.dumps([[one.status_code, one.get_json() if one.data else None] for one in seen]))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's own files, without what git ignores."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def follow(page: str, copy: Path) -> None:
    """Writes the files the page shows and runs the commands it gives."""
    for block in blocks(page):
        if block.mark.startswith("file: "):
            (copy / block.mark.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
        if block.mark == "run":
            assert block.text == "make openapi\n"
            subprocess.run([sys.executable, "-m", "tools.openapi"], cwd=copy, check=True)


def changed_files(copy: Path) -> set[str]:
    """Python files that differ from the project's."""
    ours = {path.relative_to(ROOT): path.read_bytes() for path in ROOT.glob("[!.]*/**/*.py")}
    theirs = {path.relative_to(copy): path.read_bytes() for path in copy.glob("[!.]*/**/*.py")}
    return {str(path) for path, content in theirs.items() if ours.get(path) != content}


def test_a_second_resource_is_one_module_and_one_registry_entry(copy: Path) -> None:
    """After the recipe, the five operations work on items, validated and documented, and nothing else was touched."""
    follow(PAGE, copy)
    assert changed_files(copy) == {"schemas/item.py", "schemas/__init__.py"}
    curl = next(block.text for block in blocks(PAGE) if block.mark == "caller")
    with AnyUpstream() as upstream:
        run = subprocess.run(
            [sys.executable, "-c", DRIVE, upstream.url, curl], cwd=copy, capture_output=True, text=True, timeout=60
        )
    assert run.returncode == 0, run.stderr
    created, got, patched, listed, refused, deleted, gone, document = json.loads(run.stdout)
    item = {"id": 1, "name": "Consulting", "description": None, "unit_cost": "120.00"}
    item |= {"quantity": None, "inventory": None, "folder": None, "updated_at": None}
    assert created == [201, item]
    assert got == [200, item]
    item |= {"description": "Advice", "unit_cost": None}
    assert patched == [200, item]
    assert listed == [200, {"items": [item], "page": 1, "per_page": 25, "pages": 1, "total": 1}]
    assert (refused[0], refused[1]["errors"][0]["pointer"]) == (422, "/unit_cost")
    assert deleted == [204, None]
    assert gone[0] == 404
    assert {"/items", "/items/{id}"} <= document[1]["paths"].keys()
    assert set(upstream.methods) == {"item.create", "item.get", "item.update", "item.list", "item.delete"}
