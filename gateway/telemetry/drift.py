"""Where the upstream's records are no longer what was declared."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics

_NAMES_REMEMBERED = 1000


class Drift:
    """Notices elements that nobody declared, and declared ones that are gone: counts each, logs each name once."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log
        self._seen: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()

    def reporter(self, resource: str) -> Callable[[str], None]:
        """What to call with the name of each unknown element of a resource's records."""
        counter = self._metrics.unknown_elements.labels(resource)
        return lambda element: self._report("unknown_upstream_element", resource, element, counter.inc)

    def missing_reporter(self, resource: str) -> Callable[[str], None]:
        """What to call with the name of each declared element that a record of a resource lacks."""
        counter = self._metrics.missing_elements.labels(resource)
        return lambda element: self._report("missing_upstream_element", resource, element, counter.inc)

    def _report(self, event: str, resource: str, element: str, count: Callable[[], None]) -> None:
        count()
        if self._is_new(event, resource, element):
            self._log.warning(event, resource=resource, element=element[:100])

    def _is_new(self, event: str, resource: str, element: str) -> bool:
        name = (event, resource, element)
        with self._lock:
            if name in self._seen or len(self._seen) >= _NAMES_REMEMBERED:
                return False
            self._seen.add(name)
            return True
