"""`python -m simulator`: runs until SIGINT or SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping

from simulator.refusal import Refused
from simulator.server import Simulator
from simulator.settings import Settings, read_settings


def main(environment: Mapping[str, str]) -> int:
    """Exit code: 0 after a signal, 2 on bad settings, 1 when the port is taken."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        simulator = _simulator(read_settings(environment))
    except (Refused, OSError) as problem:
        print(f"simulator: {problem}", file=sys.stderr)
        return 2
    try:
        simulator.start()
    except OSError as problem:
        print(f"simulator: cannot listen: {problem}", file=sys.stderr)
        return 1
    print(_greeting(simulator), flush=True)
    stopping.wait()
    simulator.stop()
    return 0


def _simulator(settings: Settings) -> Simulator:
    return Simulator(
        settings.bind,
        state_file=settings.state_file,
        tls_cert_file=settings.tls_cert_file,
        tls_key_file=settings.tls_key_file,
        steering_bind=settings.steering_bind,
    )


def _greeting(simulator: Simulator) -> str:
    return f"simulator: API {simulator.url} steering {simulator.steering_url}/_simulator/"


if __name__ == "__main__":
    sys.exit(main(os.environ))
