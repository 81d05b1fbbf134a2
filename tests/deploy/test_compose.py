"""deploy/compose.yaml."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.deploy.files import DEPLOY, image_environment, read_settings, read_yaml, run, unknown_settings
from tests.deploy.times import END_SPARE_S, end_s, seconds
from tests.support.pages import ROOT
from tools.ports import HeldPort

COMPOSE = read_yaml(DEPLOY / "compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
GATEWAYS = [name for name in SERVICES if name.startswith("gateway-")]
DEMO = dict(
    line.split("=", 1)
    for line in (DEPLOY / "demo" / "demo.env").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)


def filled(text: str) -> str:
    """As compose fills in variables, with those of the demo."""
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: DEMO.get(found[1], found[2] or ""), text)


def environment(name: str) -> dict[str, str]:
    return {key: filled(value) for key, value in SERVICES[name]["environment"].items()}


def test_it_is_a_compose_file() -> None:
    """By the schema of the Compose Specification."""
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


def test_the_schema_finds_a_slip(tmp_path: Path) -> None:
    """The test above must be able to fail."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    (tmp_path / "compose.yaml").write_text(text.replace("stop_grace_period", "stop_grace_time"))
    with pytest.raises(AssertionError, match="stop_grace_time"):
        run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", tmp_path / "compose.yaml")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_no_more_than_it_must(name: str) -> None:
    """A root file system that is read only, no capabilities, no way to more of them, no root, and limits."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].partition(":")[0]) > 0
    assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)
    assert "healthcheck" in service
    assert "stop_grace_period" in service


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name: str) -> None:
    """`latest` would be another one tomorrow."""
    tag = filled(SERVICES[name]["image"]).rpartition(":")[2]
    assert re.match(r"v?\d+\.\d+\.\d+", tag)


def test_the_simulator_runs_on_the_python_of_the_image() -> None:
    """One base to fetch, one to keep up to date."""
    [base] = re.findall(r"^ARG BASE=(\S+?)(?:@.*)?$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert SERVICES["simulator"]["image"] == base
    assert SERVICES["simulator"]["profiles"] == ["demo"]


def test_ports_are_published_on_the_loopback_only() -> None:
    """What faces callers is put there deliberately (LISTEN)."""
    published = [filled(port) for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert not any("ports" in SERVICES[name] for name in [*GATEWAYS, "redis"])


def test_there_are_two_gateways_alike() -> None:
    """Where they differ is their address, which nginx keeps."""
    assert len(GATEWAYS) == 2
    first, second = ({**SERVICES[name], "networks": None} for name in GATEWAYS)
    assert first == second
    addresses = [SERVICES[name]["networks"]["edge"]["ipv4_address"] for name in GATEWAYS]
    [subnet] = COMPOSE["networks"]["edge"]["ipam"]["config"]
    assert len(set(addresses)) == 2
    assert all(address.startswith(subnet["subnet"].rpartition(".")[0]) for address in addresses)


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_gateways_environment_holds_settings_only(name: str) -> None:
    """A misspelt name would be ignored in silence."""
    assert unknown_settings(environment(name)) == set()


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_gateway_starts_with_the_demos_settings(name: str) -> None:
    """Together with what the image sets; secrets come from files."""
    settings = read_settings(environment(name), DEPLOY / DEMO["SECRETS"])
    assert settings.store_url.reveal().startswith("redis://")
    assert settings.gateway_auth == "keys"
    assert settings.upstream_token is not None


def test_the_demo_is_the_simulators() -> None:
    """Its upstream is the service, its token one of the simulator's."""
    assert DEMO["COMPOSE_PROFILES"] == "demo"
    assert DEMO["UPSTREAM_URL"] == "http://simulator:8081/api/2.1/xml-in"
    assert SERVICES["simulator"]["environment"]["SIMULATOR_BIND"] == "0.0.0.0:8081"
    assert (DEPLOY / DEMO["SECRETS"] / "upstream_token").read_text(encoding="utf-8").strip() == "demo-admin"


def test_no_secret_stands_in_the_file() -> None:
    """Each comes from a file that git does not keep, and goes to those who need it."""
    for definition in COMPOSE["secrets"].values():
        assert definition["file"].startswith("${SECRETS:-./secrets}/")
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not re.search("PASSWORD|TOKEN|KEYS|STORE_URL", name) or value == "" or "FILE" in name
    assert (DEPLOY / "secrets" / ".gitignore").read_text(encoding="utf-8").splitlines()[-2:] == ["*", "!.gitignore"]


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_gateway_has_time_to_end(name: str) -> None:
    """It drains, then finishes what it has in hand, and there is time to spare."""
    needed_s = end_s({**image_environment(), **environment(name)})
    assert seconds(SERVICES[name]["stop_grace_period"]) >= needed_s + END_SPARE_S


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_gateway_drains_longer_than_nginx_leaves_the_other_out(name: str) -> None:
    """In a roll that nginx is not told of, the second refuses no sooner than the first is asked again."""
    left_out = re.findall(r"fail_timeout=(\w+)", (DEPLOY / "nginx" / "upstreams.conf").read_text(encoding="utf-8"))
    assert len(left_out) == len(GATEWAYS)
    assert float(environment(name)["GATEWAY_DRAIN_S"]) > max(map(seconds, left_out))


def test_only_gateways_reach_redis() -> None:
    """Its network leads nowhere else."""
    assert COMPOSE["networks"]["store"]["internal"] is True
    users = {name for name, service in SERVICES.items() if "store" in service["networks"]}
    assert users == {*GATEWAYS, "redis"}


def test_what_is_mounted_is_there() -> None:
    """A path that is missing would be made as an empty folder."""
    sources = [
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    ]
    assert sources
    assert [source for source in sources if not (DEPLOY / source).exists()] == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[redis.Redis]:
    """A real server with the shipped configuration; where it keeps its files and finds its secret is the test's."""
    text = (DEPLOY / "redis" / "redis.conf").read_text(encoding="utf-8")
    secret = DEPLOY / DEMO["SECRETS"] / "redis_password"
    path = tmp_path / "redis.conf"
    path.write_text(text.replace("dir /data", f"dir {tmp_path}").replace("/run/secrets/redis_password", str(secret)))
    held = HeldPort()
    port = held.number
    command = ["redis-server", str(path), "--port", str(port), "--bind", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = (DEPLOY / DEMO["SECRETS"] / "store_url").read_text(encoding="utf-8").strip()
    client = redis.Redis.from_url(url.replace("redis:6379", f"127.0.0.1:{port}"), decode_responses=True)
    try:
        wait_for(client)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(30)


def wait_for(client: redis.Redis) -> None:
    for _ in range(1000):
        try:
            client.ping()
            return
        except (redis.ConnectionError, redis.BusyLoadingError):
            time.sleep(0.01)
    raise AssertionError("redis-server did not start")


@pytest.mark.parametrize(
    "option, value",
    [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction"), ("save", "")],
)
def test_redis_keeps_what_the_promises_rest_on(server: redis.Redis, option: str, value: str) -> None:
    """As docs/guarantees.md asks; a bound is set, and the demo's two secrets are one password."""
    assert server.config_get(option) == {option: value}
    assert server.config_get("maxmemory") != {"maxmemory": "0"}
