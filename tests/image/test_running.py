"""The image as it runs: as nobody, on a read-only root, in front of a real upstream, until TERM."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulator.server import Simulator
from tests.image.conftest import API_KEY, TOKEN
from tests.image.container import SECRETS, VOLUME, Container, Image

pytestmark = pytest.mark.timeout(1800)

KEY = {"Authorization": f"Bearer {API_KEY}"}
PLACES = {"/dev/shm", "/tmp", VOLUME}
WRITABLE = """
import os
for folder, names, _ in os.walk("/"):
    names[:] = [name for name in names if folder != "/" or name != "proc"]
    try:
        probe = os.open(os.path.join(folder, "probe"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except OSError:
        continue
    os.close(probe)
    os.unlink(os.path.join(folder, "probe"))
    print(folder)
"""


def test_callers_are_served(gateway: Container, simulator: Simulator) -> None:
    """A client is created, once for two requests with one key, which the volume remembers; it is read and listed."""
    once = {**KEY, "Idempotency-Key": "image-1"}
    answers = [gateway.ask("POST", "/clients", {"email": "image@example.com"}, headers=once) for _ in range(2)]
    status, created = answers[0]
    assert answers[1] == answers[0]
    assert (status, created["email"]) == (201, "image@example.com")
    assert gateway.ask("GET", f"/clients/{created['id']}", headers=KEY) == (200, created)
    status, page = gateway.ask("GET", "/clients?email=image%40example.com", headers=KEY)
    assert (status, [client["id"] for client in page["items"]]) == (200, [created["id"]])
    assert [entry.applied for entry in simulator.ledger.calls("client.create")] == [True]


def test_it_is_alive_and_ready(gateway: Container) -> None:
    """What probes ask, without a key."""
    assert [gateway.ask("GET", path)[0] for path in ("/livez", "/readyz")] == [200, 200]


def test_a_caller_without_a_key_is_turned_away(gateway: Container, simulator: Simulator) -> None:
    """The image's default is to ask for one."""
    assert gateway.ask("GET", "/clients/13")[0] == 401
    assert simulator.ledger.calls() == []


def test_nothing_secret_is_in_what_it_writes(gateway: Container, simulator: Simulator) -> None:
    """Neither the upstream's token nor a caller's key; and it did write about the request."""
    headers = {**KEY, "X-Request-Id": "image-canary"}
    assert gateway.ask("GET", "/clients/13", headers=headers)[0] == 200
    gateway.wait_for_output("image-canary")
    assert not any(secret in gateway.output() for secret in (TOKEN, API_KEY))


def test_it_runs_as_nobody(gateway: Container, image: Image) -> None:
    """Every process: the image's user and group and no other, no capability, and no way to gain one."""
    statuses = [Path(f"/proc/{pid}/status").read_text(encoding="ascii") for pid in gateway.pids()]
    assert len(statuses) >= 2
    user, group = image.user
    for status in statuses:
        lines = dict(re.findall(r"^(\w+):[ \t]*(.*)$", status, re.MULTILINE))
        assert lines["Uid"].split() == [str(user)] * 4
        assert lines["Gid"].split() == [str(group)] * 4
        assert lines["Groups"].split() in ([], [str(group)])
        assert {lines[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert lines["NoNewPrivs"] == "1"


def test_it_needs_to_write_to_no_other_place(gateway: Container) -> None:
    """Temporary files, shared memory and the volume; it serves while all else refuses to be written."""
    result = gateway.execute(["python", "-c", WRITABLE])
    assert result.returncode == 0, result.stderr
    tops = {place for place in result.stdout.split() if not any(place.startswith(f"{top}/") for top in PLACES)}
    assert tops == PLACES
    assert SECRETS not in result.stdout.split()


def test_the_health_check_tells_well_from_ill(gateway: Container, image: Image) -> None:
    """0 for a gateway that answers; not 0 where nobody does."""
    assert gateway.execute(image.health_check).returncode == 0
    assert gateway.execute(image.health_check, GATEWAY_BIND="127.0.0.1:1").returncode != 0


def test_with_the_address_of_the_image(image: Image, settings: dict[str, str], secrets: dict[str, str]) -> None:
    """In a network of its own, and told no address, it gets healthy where the image says that it listens."""
    mine = {name: value for name, value in settings.items() if name != "GATEWAY_BIND"}
    with Container(image, mine, secrets, own_network=True) as container:
        container.wait_until_healthy()


def test_it_is_told_to_stop(image: Image, settings: dict[str, str], secrets: dict[str, str]) -> None:
    """The image's stop signal: exit code 0, and no process is left."""
    with Container(image, settings, secrets, own_network=True) as container:
        container.wait_until_healthy()
        pids = container.pids()
        container.signal(image.config["StopSignal"])
        assert container.wait() == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_it_is_started_without_settings(image: Image) -> None:
    """It says what is missing, and ends by itself with an exit code that is not 0."""
    with Container(image) as container:
        assert container.wait() != 0
        assert "UPSTREAM_URL is required" in container.output()
