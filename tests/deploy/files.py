"""What deploy/ holds, read as the programs it is for would read it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gateway.settings import Settings
from tests.support.pages import ROOT

DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
KUBERNETES = DEPLOY / "kubernetes"


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def alerts() -> list[dict[str, Any]]:
    """The alerting rules."""
    groups = read_yaml(PROMETHEUS / "rules.yaml")["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def rule_expressions() -> dict[str, str]:
    """The expression of every rule, recording or alerting."""
    groups = read_yaml(PROMETHEUS / "rules.yaml")["groups"]
    return {rule.get("alert") or rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


def dashboard() -> Any:
    return json.loads((DEPLOY / "grafana" / "dashboards" / "gateway.json").read_bytes())


def image_environment() -> dict[str, str]:
    """What the Dockerfile sets for the last stage."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    [line] = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    return dict(pair.split("=", 1) for pair in line.split())


def read_settings(environment: Mapping[str, str], secrets: Path) -> Settings:
    """The settings of a container: the image's environment, then its own; secrets are looked for in `secrets`
    instead of where they are mounted. Raises `SettingsError`."""
    merged = {**image_environment(), **environment}
    here = {n: str(secrets / Path(v).name) if n.endswith("_FILE") else v for n, v in merged.items()}
    return Settings.from_env(here)


def unknown_settings(environment: Mapping[str, str]) -> set[str]:
    """The names that are no setting of the gateway's."""
    fields = dataclasses.fields(Settings)
    known = {field.name.upper() for field in fields}
    known |= {f"{field.name.upper()}_FILE" for field in fields if field.metadata["secret"]}
    return set(environment) - known


def run(program: str, *arguments: str | Path, cwd: Path = ROOT) -> None:
    """Runs a tool, of the virtual environment or of the system, offline; its failure is the test's."""
    beside = Path(sys.executable).with_name(program)
    path = str(beside) if beside.exists() else shutil.which(program)
    assert path is not None, f"{program} is not installed: tools/setup-debian.sh test"
    offline = {**os.environ, **dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")}
    result = subprocess.run([path, *map(str, arguments)], cwd=cwd, env=offline, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
