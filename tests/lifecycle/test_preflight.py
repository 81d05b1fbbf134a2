"""What a gateway says before it serves."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from gateway.lifecycle import preflight
from gateway.settings import Settings
from gateway.store.embedded.examination import network_file_system, overwrites_in_place
from gateway.telemetry import open_log
from simulator.server import Simulator
from tests.integration.conftest import settings
from tests.integration.wire import ask
from tests.support.redis_server import RedisServer
from tests.support.server import ROOT, GatewayProcess

LASTING = ("--appendonly", "yes", "--appendfsync", "always")
PATIENCE_S = 60
ONCE = "at most once per Idempotency-Key"


@pytest.fixture
def start_redis(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., RedisServer]:
    """Starts a server with options of its own; later ones count."""

    def start(*options: str) -> RedisServer:
        server = RedisServer(tmp_path, *options).start()
        request.addfinalizer(server.kill)
        return server

    return start


def told(**env: str) -> list[dict[str, Any]]:
    """The lines that a start with these settings would write."""
    least = {"UPSTREAM_URL": "https://api.example.com/xml-in", "UPSTREAM_TOKEN": "canary", "GATEWAY_AUTH": "open"}
    stream = io.BytesIO()
    preflight.report(Settings.from_env(least | env), "1.2.3", open_log("info", stream))
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def risks(lines: list[dict[str, Any]]) -> list[str]:
    """What is said to put promises at risk."""
    return [line["because"] for line in lines if line["event"] == "promise_at_risk"]


def test_it_says_once_what_it_will_do(simulator: Simulator) -> None:
    """Not once a worker, and before anything else."""
    with GatewayProcess(settings(simulator, GATEWAY_WORKERS="3", GATEWAY_RATE_PER_MINUTE="600")) as gateway:
        ask(gateway, "GET", "/clients/13")
    first, *others = gateway.log()
    assert (first["event"], first["level"]) == ("starting", "info")
    assert "starting" not in {line["event"] for line in others}
    wanted = {
        "bind": f"{gateway.host}:{gateway.port}",
        "metrics_bind": None,
        "workers": 3,
        "threads": 32,
        "auth": "open",
        "upstream": simulator.url.split("/")[2],
        "deadline_s": 10.0,
        "drain_s": 0.0,
        "cache_ttl_s": 0.0,
        "cache_stale_s": 300.0,
        "rate_per_minute": 600,
        "tracing": False,
    }
    assert {name: first[name] for name in wanted} == wanted
    assert first["store"].endswith("/store")
    assert first["version"] == json.loads((ROOT / "openapi.json").read_bytes())["info"]["version"]


def test_it_says_whether_traces_are_sent(tmp_path: Path) -> None:
    """To a collector; without one they are not."""
    collectors: list[dict[str, str]] = [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}]
    starts = [told(STORE_URL=str(tmp_path), **collector)[0] for collector in collectors]
    assert [line["tracing"] for line in starts] == [False, True]


def test_looking_leaves_nothing_open_in_the_process_that_forks(simulator: Simulator, tmp_path: Path) -> None:
    """No thread, no file of the store, not even mapped: workers would inherit it."""
    with GatewayProcess(settings(simulator, STORE_URL=str(tmp_path))) as gateway:
        arbiter = psutil.Process(gateway.pid)
        assert arbiter.num_threads() == 1
        assert not [file for file in arbiter.open_files() if str(tmp_path) in file.path]
        assert not [area for area in arbiter.memory_maps() if str(tmp_path) in area.path]


def test_a_sound_server_is_nothing_to_warn_of(start_redis: Callable[..., RedisServer]) -> None:
    """One line, and no more."""
    lines = told(STORE_URL=start_redis(*LASTING).url)
    assert [line["event"] for line in lines] == ["starting"]


@pytest.mark.parametrize(
    "options, because",
    [
        ((), "(appendonly no)"),
        (("--appendonly", "yes", "--appendfsync", "everysec"), "(appendfsync everysec)"),
        ((*LASTING, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), "(maxmemory-policy allkeys-lru)"),
        ((*LASTING, "--rename-command", "CONFIG", ""), "does not tell whether it keeps"),
    ],
    ids=["keeps nothing", "keeps it a second later", "evicts", "does not tell"],
)
def test_a_server_that_may_forget(
    start_redis: Callable[..., RedisServer], options: tuple[str, ...], because: str
) -> None:
    """A warning names the promise that is at risk, why, and what to do."""
    lines = told(STORE_URL=start_redis(*options).url)
    (line,) = [line for line in lines if line["event"] == "promise_at_risk"]
    assert line["level"] == "warning"
    assert because in line["because"]
    assert ONCE in line["promise"]
    assert line["remedy"]


def test_a_server_that_lets_itself_be_asked_nothing(start_redis: Callable[..., RedisServer]) -> None:
    """It is up, only it does not tell: both doubts are said, and it does not count as down."""
    refused = ("--rename-command", "CONFIG", "", "--rename-command", "INFO", "")
    lines = told(STORE_URL=start_redis(*LASTING, *refused).url)
    assert [line["event"] for line in lines] == ["starting", "promise_at_risk", "promise_at_risk"]
    assert all("does not tell" in because for because in risks(lines))


def test_a_server_that_comes_later(simulator: Simulator, tmp_path: Path) -> None:
    """The gateway starts, says why it is not ready, and is ready without a restart once the server is there."""
    server = RedisServer(tmp_path, *LASTING)
    try:
        with GatewayProcess(settings(simulator, STORE_URL=server.url), awaited=503) as gateway:
            assert [line["event"] for line in gateway.log()][:2] == ["starting", "store_down"]
            assert ask(gateway, "GET", "/livez").status == 200
            assert set(ask(gateway, "GET", "/readyz").json["readiness"]["store"].values()) == {"down"}
            server.start()
            give_up_at = time.monotonic() + PATIENCE_S
            while ask(gateway, "GET", "/readyz").status != 200:
                assert time.monotonic() < give_up_at
                time.sleep(0.1)
    finally:
        server.kill()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Nothing would ever come of it: exit code 2, one sentence, nothing left behind."""
    place = tmp_path / "taken"
    place.write_bytes(b"")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    env = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(temporary),
        "UPSTREAM_URL": "http://127.0.0.1:9/",
        "UPSTREAM_TOKEN": "canary",
        "GATEWAY_AUTH": "open",
        "GATEWAY_BIND": "127.0.0.1:0",
        "STORE_URL": str(place / "store"),
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    expected = f"The gateway cannot start: STORE_URL: {place / 'store'} cannot be written: Not a directory"
    assert ended.stderr.splitlines() == [expected]
    assert not list(temporary.iterdir())


def test_a_damaged_store_is_told_and_the_gateway_starts_unready(simulator: Simulator, tmp_path: Path) -> None:
    """An operator has to look at the files; reads and writes without a key may go on."""
    data = tmp_path / "records" / "data"
    data.mkdir(parents=True)
    (data / "condemned").touch()
    with GatewayProcess(settings(simulator, STORE_URL=str(tmp_path)), awaited=503) as gateway:
        (line,) = [line for line in gateway.log() if line["event"] == "store_down"]
        assert "damaged" in line["because"]
        assert ask(gateway, "GET", "/readyz").json["readiness"]["store"]["records"] == "down"
        assert ask(gateway, "GET", "/clients/13").status == 200


@pytest.mark.parametrize("host", ["api.example.com", "192.0.2.1", "[2001:db8::1]:8080"])
def test_tokens_in_clear_text(tmp_path: Path, host: str) -> None:
    """An upstream that is reached over a network without TLS."""
    (because,) = risks(told(UPSTREAM_URL=f"http://{host}/xml-in", STORE_URL=str(tmp_path)))
    assert "clear text" in because


@pytest.mark.parametrize(
    "url", ["https://api.example.com/", "http://127.0.0.1:1/", "http://[::1]/", "http://localhost/"]
)
def test_tokens_that_nobody_else_can_read(tmp_path: Path, url: str) -> None:
    """TLS, or this machine."""
    assert risks(told(UPSTREAM_URL=url, STORE_URL=str(tmp_path))) == []


def test_no_secret_is_told(start_redis: Callable[..., RedisServer]) -> None:
    """Neither the token nor the password of a server, be it up, down or of another password."""
    server = start_redis("--requirepass", "canary-right")
    for password in ("canary-right", "canary-wrong"):
        lines = told(STORE_URL=f"unix://:{password}@{server.socket}")
        assert "canary" not in json.dumps(lines)
        assert lines[0]["store"] == server.url
    server.kill()
    lines = told(STORE_URL=f"unix://:canary-right@{server.socket}")
    assert [line["event"] for line in lines] == ["starting", "store_down"]
    assert "canary" not in json.dumps(lines)


MOUNTS = """\
overlay / overlay rw 0 0
server:/export /srv/data nfs4 rw 0 0
//server/share /mnt/with\\040blank cifs rw 0 0
tmpfs /srv/data/local tmpfs rw 0 0
me@host: /mnt/far fuse.sshfs rw 0 0
server:/old /covered nfs rw 0 0
/dev/sda1 /covered ext4 rw 0 0
"""


@pytest.mark.parametrize(
    "path, kind",
    [
        ("/srv/data", "nfs4"),
        ("/srv/data/store", "nfs4"),
        ("/srv/database", None),
        ("/srv/data/local/store", None),
        ("/mnt/with blank/store", "cifs"),
        ("/mnt/far/x", "fuse.sshfs"),
        ("/covered/store", None),
        ("/", None),
    ],
)
def test_a_folder_on_a_network_file_system_is_known(path: str, kind: str | None) -> None:
    """By the nearest mount above it, the last of several on one place."""
    assert network_file_system(path, MOUNTS) == kind
    assert network_file_system(path, "") is None


@pytest.mark.parametrize(
    "path, in_place", [("/srv/data/local/store", True), ("/covered/store", True), ("/srv/data", False), ("/", False)]
)
def test_a_folder_whose_files_are_overwritten_in_place_is_known(path: str, in_place: bool) -> None:
    """By the same look; where nothing is known it is not taken for one."""
    assert overwrites_in_place(path, MOUNTS) is in_place
    assert not overwrites_in_place(path, "")
