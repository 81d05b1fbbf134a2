"""nginx with the shipped configuration, before gateways on the loopback."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from tools.history.doors import Door, HttpDoor
from tools.history.servers import ROOT, Server
from tools.ports import HeldPort

SHIPPED = ROOT / "deploy" / "nginx"
_RELOADED_WITHIN_S = 60.0
_POLL_S = 0.02


def configuration(folder: Path, gateways: Sequence[str], listen: str) -> Path:
    """The shipped files in a folder of one's own: the two that differ from place to place are made here, and what lies
    under /tmp lies in the folder. Gives the path of nginx.conf."""
    text = (SHIPPED / "nginx.conf").read_text(encoding="utf-8")
    text = text.replace(" /tmp/", f" {folder}/").replace("/dev/stdout", f"{folder}/access")
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    (folder / "listen.conf").write_text(f"listen {listen};\n", encoding="utf-8")
    write_upstreams(folder, gateways)
    return folder / "nginx.conf"


def write_upstreams(folder: Path, gateways: Sequence[str]) -> None:
    """Each gateway (ADDRESS:PORT) with the shipped line's parameters."""
    shipped = re.search(r"^server \S+ (.*);$", (SHIPPED / "upstreams.conf").read_text(encoding="utf-8"), re.MULTILINE)
    if shipped is None:
        raise RuntimeError(f"{SHIPPED}/upstreams.conf names no server")
    lines = [f"server {gateway} {shipped[1]};\n" for gateway in gateways]
    (folder / "upstreams.conf").write_text("".join(lines), encoding="utf-8")


def nginx() -> str:
    """The program; Debian keeps it where only root looks."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        raise RuntimeError("nginx is not installed: tools/setup-debian.sh test")
    return program


class Balancer(Server):
    """On a free loopback port. `folder` takes its files."""

    def __init__(self, gateways: Sequence[str], folder: Path) -> None:
        self._folder = folder
        self._held = HeldPort()
        self.port = self._held.number
        path = configuration(folder, gateways, f"127.0.0.1:{self.port}")
        super().__init__("nginx", [nginx(), "-c", str(path), "-p", str(folder), "-g", "daemon off;"], {}, folder)

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return True
        except OSError:
            return False

    def door(self) -> Door:
        """A connection for every request: a reload closes those that are kept, under whoever asks at that moment."""
        return HttpDoor("127.0.0.1", self.port, kept=False)

    def use(self, gateways: Sequence[str]) -> None:
        """Sends requests to these alone; returns when no process is left that would send one elsewhere."""
        write_upstreams(self._folder, gateways)
        before = set(psutil.Process(self.process.pid).children())
        self.process.send_signal(signal.SIGHUP)
        give_up_at = time.monotonic() + _RELOADED_WITHIN_S
        while before & set(psutil.Process(self.process.pid).children()):
            if time.monotonic() > give_up_at:
                raise RuntimeError("nginx does not reload")
            time.sleep(_POLL_S)
