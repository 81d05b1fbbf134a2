"""Workers in a hurry, for tests that see to what happens when time or memory is over."""

from __future__ import annotations

from gateway.edge.worker import Worker

HASTY = "--worker-class tests.edge.workers.Hasty"
CRAMPED = "--worker-class tests.edge.workers.Cramped"
CRAMPED_BYTES = 256 * 1024


class Hasty(Worker):
    """Gives up soon."""

    arrive_s = 0.5
    send_s = 0.5
    linger_s = 0.5


class Cramped(Worker):
    """Has little memory for what is still arriving."""

    arrived_bytes_max = CRAMPED_BYTES
