"""What `make run` starts: the simulator and, in front of it, the gateway, both on this machine.

    python -m tools.demo

`GATEWAY_BIND` and `SIMULATOR_BIND` are honoured; port 0 takes a free one. Other settings of the gateway pass through,
but those that decide whom it calls and who may call it are the demo's own.

Exit code: 0 after Ctrl-C or TERM, 1 when something could not start or ended by itself.
"""

import http.client
import os
import queue
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tools.children import Child, ChildError, Events, listen_to_signals, stop, wait_until, watch
from tools.ports import HeldPort

ROOT = Path(__file__).resolve().parent.parent

OWN_SETTINGS = ("UPSTREAM_TOKEN", "GATEWAY_AUTH", "GATEWAY_API_KEYS", "UPSTREAM_ACCOUNTS")
"""Settings of the user's that the demo must not inherit, each with its `_FILE` form."""


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


class Address(NamedTuple):
    """Where a server listens. An IPv6 host stands here without its brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def reachable(self) -> "Address":
        """The address to call: a server on every address is called on the loopback."""
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read here, bound nowhere
        return Address(loopback.get(self.host, self.host), self.port)


def parse_bind(variable: str, text: str) -> Address:
    """Read `HOST:PORT` or `[HOST]:PORT`. Raises `DemoError` naming the variable."""
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise DemoError(f"{variable}={text} is not HOST:PORT, like 127.0.0.1:8080")
    return Address(host, int(port))


def claim(variable: str, text: str) -> tuple[Address, HeldPort]:
    """The address, and what holds its port; 0 becomes a free one. Raises `DemoError` when it cannot be had."""
    address = parse_bind(variable, text)
    try:
        held = HeldPort(*address)
        return Address(address.host, held.number), held
    except OSError as error:
        other = Address(address.host, 0)
        raise DemoError(
            f"cannot listen on {address}: {error.strerror}. Stop what uses it, or take a free port: {variable}={other}"
        ) from error


@dataclass(frozen=True)
class Plan:
    """The two servers to start: addresses, command lines and environments; and what keeps their ports for them."""

    simulator: Address
    gateway: Address
    environ: Mapping[str, str]
    held: Sequence[HeldPort]

    @property
    def upstream_url(self) -> str:
        return f"http://{self.simulator.reachable}/api/2.1/xml-in"

    @property
    def gateway_url(self) -> str:
        return f"http://{self.gateway.reachable}"

    @property
    def simulator_command(self) -> list[str]:
        return [sys.executable, "-m", "simulator"]

    @property
    def gateway_command(self) -> list[str]:
        return [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"]


def make_plan(environ: Mapping[str, str], store_folder: str) -> Plan:
    """Lay out the demo. `store_folder` is used unless the user names a store; it must be empty, for the
    simulator forgets at every start what it held, and a copy of it from yesterday would be a lie.

    Raises `DemoError` for an address that is malformed or taken.
    """
    simulator, simulator_port = claim("SIMULATOR_BIND", environ.get("SIMULATOR_BIND", "127.0.0.1:8081"))
    gateway, gateway_port = claim("GATEWAY_BIND", environ.get("GATEWAY_BIND", "127.0.0.1:8080"))
    if simulator == gateway:
        raise DemoError(f"GATEWAY_BIND and SIMULATOR_BIND are both {gateway}")
    foreign = {name + suffix for name in OWN_SETTINGS for suffix in ("", "_FILE")}
    settings = {"STORE_URL": f"file://{store_folder}", "GATEWAY_DRAIN_S": "0"}  # there is no balancer to wait for
    settings |= {name: value for name, value in environ.items() if name not in foreign}
    settings |= {
        "SIMULATOR_BIND": str(simulator),
        "GATEWAY_BIND": str(gateway),
        "UPSTREAM_URL": f"http://{simulator.reachable}/api/2.1/xml-in",
        "UPSTREAM_TOKEN": "demo-admin",
        "GATEWAY_AUTH": "open",
        "PYTHONUNBUFFERED": "1",
    }
    return Plan(simulator, gateway, settings, [simulator_port, gateway_port])


def answers(address: Address, path: str) -> bool:
    """Whether a GET of the path is answered by 200."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def listens(address: Address) -> bool:
    try:
        with socket.create_connection(address, timeout=2):
            return True
    except OSError:
        return False


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


def welcome(plan: Plan) -> str:
    return f"""
  gateway    {plan.gateway_url}        (REST/JSON, open to this machine)
  docs       {plan.gateway_url}/docs   (every operation, to read and to try)
  simulator  {plan.upstream_url}   (stands in for FreshBooks Classic)

  Try:  curl '{plan.gateway_url}/clients?per_page=2'

  Ctrl-C stops both.
"""


def serve(plan: Plan, events: Events, children: list[Child]) -> None:
    """Start both and stay until a signal comes. What was started stands in `children`.

    Raises `ChildError` when one cannot start or ends by itself.
    """
    say(f"starting the simulator on {plan.simulator}")
    children.append(Child("simulator", plan.simulator_command, plan.environ, ROOT, events))
    if wait_until(lambda: listens(plan.simulator.reachable), "simulator", events):
        return
    say(f"starting the gateway on {plan.gateway}")
    children.append(Child("gateway", plan.gateway_command, plan.environ, ROOT, events))
    if wait_until(lambda: answers(plan.gateway.reachable, "/readyz"), "gateway", events):
        return
    say("ready")
    print(welcome(plan), flush=True)
    watch(events)


def main() -> int:
    events: Events = queue.SimpleQueue()
    listen_to_signals(events)
    children: list[Child] = []
    with ExitStack() as on_exit:
        store_folder = on_exit.enter_context(tempfile.TemporaryDirectory(prefix="freshbooks-gateway-"))
        try:
            serve(make_plan(os.environ, store_folder), events, children)
        except (DemoError, ChildError) as error:
            print(f"make run: {error}", file=sys.stderr, flush=True)
            return 1
        finally:
            if children:
                say("stopping")
            stop(children, events)
    say("stopped: no process and no port is left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
