"""`python -m simulator` as a child process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAFETY_S = 30


@dataclass
class Running:
    process: subprocess.Popen[str]
    greeting: str
    url: str
    steering_url: str

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SAFETY_S)


def launch(**settings: object) -> subprocess.Popen[str]:
    """Settings in lower case, without the prefix; nothing else of the environment but what Python needs."""
    given = {f"SIMULATOR_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "simulator"],
        cwd=ROOT,
        env={"PATH": os.environ.get("PATH", ""), **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def running(**settings: object) -> Iterator[Running]:
    with launch(**{"bind": "127.0.0.1:0", **settings}) as process:
        try:
            assert process.stdout is not None
            greeting = process.stdout.readline()
            found = re.fullmatch(r"simulator: API (\S+) steering (\S+)/_simulator/\n", greeting)
            assert found, (greeting, process.stderr.read() if process.stderr and process.poll() is not None else "")
            yield Running(process, greeting, found[1], found[2])
        finally:
            process.kill()
