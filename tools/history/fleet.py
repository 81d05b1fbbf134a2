"""Gateways behind a balancer, replaced one after the other as an orchestrator does it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tools.history.balancer import Balancer
from tools.history.servers import GatewayServer


class Fleet:
    """`gateways` behind `balancer`, which has no health checks of its own: the fleet tells it whom to use."""

    def __init__(self, gateways: Sequence[GatewayServer], balancer: Balancer) -> None:
        self.gateways = gateways
        self.balancer = balancer
        self._turns = itertools.cycle(gateways)
        self.replaced_total = 0

    def replace_next(self) -> None:
        """Told to end, unready, left out, ended with 0, started anew, ready, used again.

        The second TERM stands for the end of the draining: only an orchestrator knows when nobody comes any more.
        Raises `RuntimeError` when a step does not succeed.
        """
        gateway = next(self._turns)
        gateway.terminate()
        gateway.wait_until_unready()
        self.balancer.use([other.address for other in self.gateways if other is not gateway])
        gateway.terminate()
        self._renew(gateway)
        self.balancer.use([one.address for one in self.gateways])

    def replace_next_unannounced(self) -> None:
        """The balancer is told nothing: it finds out from connections that are refused."""
        gateway = next(self._turns)
        gateway.terminate()
        self._renew(gateway)

    def _renew(self, gateway: GatewayServer) -> None:
        gateway.wait_for_end()
        gateway.start()
        self.replaced_total += 1
