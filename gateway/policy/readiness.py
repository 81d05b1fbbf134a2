"""Whether requests should come to this gateway."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.policy.circuit import SharedCircuit
from gateway.store.errors import StoreError
from gateway.store.interface import Store
from gateway.upstream import breaker

LOOK_MEMORY_S = 1.0
_KEY = b"readiness"


@dataclass(frozen=True, slots=True)
class Condition:
    """How the gateway is. `stores` says of each whether it can be asked. `upstream`, the circuit's phase, is shown and
    decides nothing: with a sick upstream another gateway would do no better."""

    draining: bool
    stores: Mapping[str, bool]
    upstream: str

    @property
    def is_ready(self) -> bool:
        return not self.draining and all(self.stores.values())


class Readiness:
    """Looks at the stores at most once in `LOOK_MEMORY_S`, however many ask; stores that hang cost their timeouts."""

    def __init__(
        self,
        stores: Mapping[str, Store],
        circuit: SharedCircuit,
        drains: Callable[[], bool],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`drains` says whether the gateway is about to end; `clock` is the circuit's."""
        self._stores = stores
        self._circuit = circuit
        self._drains = drains
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen: tuple[Mapping[str, bool], str] | None = None
        self._seen_until_s = 0.0

    def condition(self) -> Condition:
        """That the gateway is draining is never remembered, always looked at."""
        stores, upstream = self._look()
        return Condition(self._drains(), stores, upstream)

    def _look(self) -> tuple[Mapping[str, bool], str]:
        with self._lock:
            if self._seen is None or self._monotonic() >= self._seen_until_s:
                stores = {name: _answers(store) for name, store in self._stores.items()}
                self._seen = stores, breaker.phase(self._circuit.state(), self._clock())
                self._seen_until_s = self._monotonic() + LOOK_MEMORY_S
            return self._seen


def _answers(store: Store) -> bool:
    try:
        store.get(_KEY)
    except StoreError:
        return False
    return True
