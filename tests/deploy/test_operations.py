"""docs/operations.md: its commands are run, or what they name is there."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import trustme

from gateway.rest.problems import BY_CODE
from gateway.settings import Settings
from simulator.server import Simulator
from tests.deploy.balancer import configuration, nginx
from tests.deploy.files import DEPLOY, read_settings, read_yaml
from tests.support.gateway import start_gateway
from tests.support.pages import ROOT, blocks

PAGE = "docs/operations.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
RUN = [block.text for block in blocks(PAGE) if block.mark == "run"]
SHOWN = [block.text for block in blocks(PAGE) if block.language == "sh" and block.mark != "run"]
TOKEN = "the-real-token"
GATEWAY = {"UPSTREAM_URL": "https://example.com/api", "GATEWAY_BIND": "0.0.0.0:8080", "STORE_URL": ""} | {
    f"{name.upper()}_FILE": f"/run/secrets/{file}"
    for name, file in (
        ("upstream_token", "upstream_token"),
        ("gateway_api_keys", "api_keys"),
        ("store_url", "store_url"),
    )
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The deployment as it is checked out, with an empty folder for secrets."""
    kept = shutil.ignore_patterns("*_*", "api_keys", ".env") if (DEPLOY / ".env").exists() else None
    shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=kept)
    return tmp_path


def shell(commands: str, folder: Path, *, given: str = "", **variables: str) -> str:
    """What it says. `given` is what is typed."""
    environment = {"PATH": "/usr/bin:/bin", **variables}
    result = subprocess.run(
        ["bash", "-euc", commands], cwd=folder, env=environment, input=given, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_commands_make_secrets_that_a_gateway_takes(copy: Path) -> None:
    """The token that was typed, a key that is told once and known by its digest, one password for Redis."""
    make, add_key, take_out = RUN
    secrets = copy / "deploy" / "secrets"
    shell(make, copy, given=f"{TOKEN}\n")
    old, new = (shell(add_key, copy).removeprefix("hand out: ").strip() for _ in range(2))
    settings = read_settings(GATEWAY, secrets)
    assert settings.upstream_token is not None
    assert settings.upstream_token.reveal() == TOKEN
    assert settings.gateway_api_keys == tuple(hashlib.sha256(key.encode()).digest() for key in (old, new))
    password = (secrets / "redis_password").read_text(encoding="utf-8").removeprefix("requirepass ").strip()
    assert len(password) == 48
    assert settings.store_url.reveal() == f"redis://:{password}@redis:6379/0"
    assert (copy / "deploy" / ".env").read_text(encoding="utf-8").startswith("UPSTREAM_URL=https://")
    shell(take_out, copy, old=old)
    assert read_settings(GATEWAY, secrets).gateway_api_keys == (hashlib.sha256(new.encode()).digest(),)


def test_the_secrets_are_for_the_containers_and_nobody_else(copy: Path) -> None:
    """Containers' users can read the files, the folder is closed, and compose asks for no others."""
    shell(RUN[0], copy, given=f"{TOKEN}\n")
    folder = copy / "deploy" / "secrets"
    made = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir() if path.name != ".gitignore"}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert made == dict.fromkeys(read_yaml(DEPLOY / "compose.yaml")["secrets"], 0o444)


def test_the_tls_listener_is_one_that_nginx_takes(tmp_path: Path) -> None:
    """With the shipped configuration around it."""
    [listener] = [block.text for block in blocks(PAGE) if block.mark == "listen.conf"]
    certificate = trustme.CA().issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls_certificate")
    certificate.private_key_pem.write_to_path(tmp_path / "tls_key")
    path = configuration(tmp_path, ["127.0.0.1:1"], "unused")
    (tmp_path / "listen.conf").write_text(listener.replace("/run/secrets", str(tmp_path)))
    result = subprocess.run([nginx(), "-t", "-c", path, "-p", tmp_path], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "warn" not in result.stderr


def test_the_other_commands_name_what_is_there() -> None:
    """Files and targets of the project, services of compose, objects and labels of Kubernetes."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    services = read_yaml(DEPLOY / "compose.yaml")["services"]
    commands = [line for text in SHOWN for line in text.splitlines()]
    assert len(commands) > 10
    for command in commands:
        assert command.split()[0] in ("docker", "kubectl", "curl", "make"), command
        named = re.findall(r"\bdeploy/[\w./-]+|\brequirements[\w.-]+", command)
        assert [path for path in named if not (ROOT / path).exists()] == []
        assert set(re.findall(r"^make (\w+)", command)) <= set(targets)
        assert set(re.findall(r"(?:--wait|build|exec|nginx) (gateway-\d|nginx)\b", command)) <= set(services)
        assert set(re.findall(r"deployment/(\w+)", command)) <= {"gateway"}
        assert set(re.findall(r"-n (\S+)", command)) <= {"freshbooks-gateway"}


def test_every_setting_that_is_named_exists() -> None:
    """Somebody will type it."""
    named = set(re.findall(r"\b(?:UPSTREAM|GATEWAY|STORE|CACHE|IDEMPOTENCY|LOG|METRICS)_[A-Z_]+", TEXT))
    compose_only = {"GATEWAY_IMAGE"}
    assert named - {name.upper() for name in Settings.__dataclass_fields__} - compose_only == set()
    assert len(named) > 10


def test_every_problem_code_that_is_named_exists() -> None:
    """In the gateway, or in the balancer."""
    balancer = (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    named = set(re.findall(r'"code":"(\w+)"', TEXT)) | set(re.findall(r"[45]\d\d `(\w+)`", TEXT))
    assert {"write_in_doubt", "no_gateway_answered"} <= named
    assert named - set(BY_CODE) - set(re.findall(r'"code":"(\w+)"', balancer)) == set()


def test_every_section_that_is_linked_exists() -> None:
    """By the anchor that a reader's program makes of its heading."""
    headings = {
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) <= headings


def test_the_fields_of_a_line_are_those_that_are_listed(simulator: Simulator) -> None:
    """No more, no fewer."""
    part = TEXT.split("| field | meaning |")[1].split("\n\n")[0]
    listed = {name for row in part.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    caller = start_gateway({"UPSTREAM_URL": simulator.url, "UPSTREAM_TOKEN": "demo-admin", "GATEWAY_AUTH": "open"})
    caller.get("/clients/13")
    assert set(caller.log()[-1]) == listed
