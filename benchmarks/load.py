"""The load: wrk with one thread, and what it tells."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.plan import Request
from benchmarks.servers import BenchmarkError

_SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk gave: answers, how many of them had a status of 400 or more, errors of sockets, latencies."""

    answers_total: int
    duration_s: float
    failed_total: int
    socket_errors_total: int
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers_total / self.duration_s

    @property
    def trouble(self) -> str | None:
        """Why this run counts for nothing; None: it counts."""
        if not self.answers_total:
            return "no answers"
        if self.failed_total or self.socket_errors_total:
            return f"{self.failed_total} answers failed, {self.socket_errors_total} socket errors"
        return None


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs wrk on `cores`, for whole seconds."""

    cores: Sequence[int]
    seconds: int

    def start(
        self, url: str, request: Request, connections: int, first: int, headers: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        """wrk at work. `first` is the first number where the request counts up."""
        fields = [argument for name, value in headers.items() for argument in ("-H", f"{name}: {value}")]
        numbers = f"-t1 -c{connections} -d{self.seconds}s --timeout 10s".split()
        return subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, self.cores)), "wrk", *numbers, *fields, "-s", str(_SCRIPT), url],
            env=dict(os.environ) | _variables(request, first),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, url: str, request: Request, connections: int, first: int, headers: Mapping[str, str]) -> Load:
        return result(self.start(url, request, connections, first, headers))


def _variables(request: Request, first: int) -> dict[str, str]:
    body = {} if request.body is None else {"LOAD_BODY": request.body}
    return body | {
        "LOAD_METHOD": request.method,
        "LOAD_TARGET": request.target,
        "LOAD_FIRST": str(first),
        "LOAD_HITS": str(request.hits),
        "LOAD_HOT": str(request.hot),
    }


def result(process: subprocess.Popen[str]) -> Load:
    """What a wrk tells when it ends. Raises `BenchmarkError`."""
    output, _ = process.communicate()
    if process.returncode:
        raise BenchmarkError(f"wrk ended with exit code {process.returncode}:\n{output}")
    return parse(output)


def parse(output: str) -> Load:
    """The line that the script writes at the end. Raises `BenchmarkError`."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    try:
        told = json.loads(lines[-1])
        return Load(
            told["requests"],
            told["duration_us"] / 1e6,
            told["failed"],
            told["socket_errors"],
            told["p50_us"] / 1e3,
            told["p99_us"] / 1e3,
        )
    except (IndexError, KeyError, ValueError):
        raise BenchmarkError(f"wrk did not tell what it measured:\n{output}") from None
