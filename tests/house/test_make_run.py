"""What `make run` promises: both servers up and announced, and after Ctrl-C no process and no port."""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "tools.demo"]
FREE_PORTS = {"GATEWAY_BIND": "127.0.0.1:0", "SIMULATOR_BIND": "127.0.0.1:0"}
SAFETY_S = 90
LAST_INSTANT_S = 10


class Run:
    """One run in a session of its own, as a terminal gives it, with its output read line by line."""

    def __init__(self, command: list[str], **variables: str) -> None:
        self.output = ""
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **FREE_PORTS, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._watchdog = threading.Timer(SAFETY_S, self.process.kill)
        self._watchdog.start()

    def read_until(self, sign: str) -> str:
        """Read up to the first line that holds the sign; fail with all that was said when it never comes."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if sign in line:
                return line
        pytest.fail(f"{sign!r} was never printed:\n{self.output}")

    def wait_until_ready(self) -> None:
        self.read_until("Ctrl-C stops both")

    def url(self, name: str) -> str:
        found = re.search(rf"^  {name} +(http://\S+)", self.output, re.MULTILINE)
        assert found is not None, self.output
        return found[1]

    def port(self, name: str) -> int:
        return int(self.url(name).split("/")[2].rpartition(":")[2])

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def server(self, name: str) -> psutil.Process:
        """The process that was started as the simulator or as the gateway (gunicorn's arbiter)."""
        module = {"simulator": "simulator", "gateway": "gunicorn"}[name]
        started = [process for process in self.family() if process.cmdline()[1:3] == ["-m", module]]
        return min(started, key=lambda process: process.create_time())

    def finish(self) -> int:
        """Read the rest and return the exit code."""
        assert self.process.stdout is not None
        self.output += self.process.stdout.read()
        return self.process.wait()

    def clean_up(self) -> None:
        """Leave nothing behind, whatever the test found."""
        family = self.family() if self.process.poll() is None else []
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        self.process.kill()
        self.process.wait()
        self._watchdog.cancel()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    """Runs to end after the test."""
    started: list[Run] = []
    yield started
    for run in started:
        run.clean_up()


def start(runs: list[Run], **variables: str) -> Run:
    return start_command(runs, DEMO, **variables)


def start_command(runs: list[Run], command: list[str], **variables: str) -> Run:
    run = Run(command, **variables)
    runs.append(run)
    return run


def handles(family: list[psutil.Process]) -> list[int]:
    """Descriptors that become readable when the process ends, be it our child or not."""
    return [os.pidfd_open(process.pid) for process in family]


def all_ended(family_handles: list[int]) -> bool:
    """Whether every process has ended. What was killed may need an instant to be gone, so this waits for it."""
    ended = [bool(select.select([handle], [], [], LAST_INSTANT_S)[0]) for handle in family_handles]
    for handle in family_handles:
        os.close(handle)
    return all(ended)


def is_free(port: int) -> bool:
    """Whether one can listen there at once."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_newcomer_types_make_run_and_then_ctrl_c(runs: list[Run]) -> None:
    """The printed curl answers clients, the docs page is there, and Ctrl-C leaves no process and no port."""
    run = start_command(runs, ["make", "run"])
    run.wait_until_ready()
    command = re.search(r"Try:  curl '(\S+)'", run.output)
    assert command is not None, run.output
    with urllib.request.urlopen(command[1], timeout=10) as answer:
        page = json.load(answer)
    assert len(page["items"]) == 2
    with urllib.request.urlopen(run.url("docs"), timeout=10) as answer:
        assert answer.status == 200
    family, ports = handles(run.family()), [run.port("gateway"), run.port("simulator")]
    assert len(family) >= 3

    os.killpg(run.process.pid, signal.SIGINT)  # a terminal signals the whole foreground group: make, and what it runs

    run.finish()
    assert "stopped: no process and no port is left" in run.output
    assert all_ended(family)
    assert [port for port in ports if not is_free(port)] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_it_is_told_to_stop(runs: list[Run], number: signal.Signals) -> None:
    """Ctrl-C, TERM and a closed terminal all end it in order, and that is a success."""
    run = start(runs)
    run.wait_until_ready()
    family = handles(run.family())
    run.process.send_signal(number)
    assert run.finish() == 0, run.output
    assert "killing" not in run.output
    assert all_ended(family)


def test_it_is_told_to_stop_while_it_starts(runs: list[Run]) -> None:
    """Whoever changes their mind at once is obeyed as well."""
    run = start(runs)
    run.read_until("starting the simulator")
    run.process.send_signal(signal.SIGINT)
    assert run.finish() == 0, run.output
    assert "ready" not in run.output


@pytest.mark.parametrize("name", ["GATEWAY_BIND", "SIMULATOR_BIND"])
def test_a_port_is_in_use(runs: list[Run], name: str) -> None:
    """It says which, and which variable takes another, before it starts anything."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        run = start(runs, **{name: address})
        assert run.finish() == 1
    assert f"cannot listen on {address}" in run.output
    assert f"{name}=127.0.0.1:0" in run.output
    assert "starting" not in run.output


@pytest.mark.parametrize("bind", ["8080", "127.0.0.1:", ":8080", "127.0.0.1:٨٠", "127.0.0.1:65536"])
def test_an_address_is_malformed(runs: list[Run], bind: str) -> None:
    """It names the variable and shows the form."""
    run = start(runs, GATEWAY_BIND=bind)
    assert run.finish() == 1
    assert f"GATEWAY_BIND={bind} is not HOST:PORT" in run.output


def test_the_gateway_refuses_to_start(runs: list[Run]) -> None:
    """Its own words and its exit code are shown, and the simulator goes with it."""
    run = start(runs, UPSTREAM_DEADLINE_S="soon")
    assert run.finish() == 1
    assert "the gateway ended with exit code" in run.output
    assert "UPSTREAM_DEADLINE_S" in run.output
    assert "Try:" not in run.output


@pytest.mark.parametrize("name", ["gateway", "simulator"])
def test_one_of_the_two_ends_by_itself(runs: list[Run], name: str) -> None:
    """The other is stopped too, workers included, and the exit code says that something went wrong."""
    run = start(runs)
    run.wait_until_ready()
    family, ports = handles(run.family()), [run.port("gateway"), run.port("simulator")]
    run.server(name).kill()
    assert run.finish() == 1, run.output
    assert f"the {name} ended by SIGKILL" in run.output
    assert all_ended(family)
    assert [port for port in ports if not is_free(port)] == []


def test_the_user_has_settings_for_production_in_the_environment(runs: list[Run]) -> None:
    """The demo calls the simulator with the demo's token and is open to this machine, whatever stands there."""
    run = start(
        runs,
        UPSTREAM_URL="https://example.invalid/api/2.1/xml-in",
        UPSTREAM_TOKEN="production",
        GATEWAY_AUTH="keys",
        GATEWAY_API_KEYS="0" * 64,
    )
    run.wait_until_ready()
    with urllib.request.urlopen(run.url("gateway") + "/clients?per_page=1", timeout=10) as answer:
        assert answer.status == 200
    assert "production" not in run.output
