"""What becomes of a fetch in the cache: for how long a content is kept, and what contradicts a copy ends it."""

from __future__ import annotations

import random

from gateway.errors import RecordNotFound, RpcOutcome, UpstreamError
from gateway.policy.copies import Content, missing_content
from gateway.policy.shelf import Place, Seen, Shelf
from gateway.store.interface import Batch
from gateway.telemetry import Metrics

MISSING_TTL_S = 5.0
JITTER = 0.15
_CONTRADICTING = frozenset({RpcOutcome.AUTH, RpcOutcome.REJECTED})

End = Content | UpstreamError
"""How a fetch ended."""


class Keeping:
    """Keeps contents on a shelf, fresh for about `ttl_s` seconds and at hand until they are `stale_s` seconds old."""

    def __init__(self, shelf: Shelf, metrics: Metrics, *, ttl_s: float, stale_s: float) -> None:
        self._shelf = shelf
        self._filled = metrics.cache.labels("fill")
        self._refused = metrics.cache.labels("refused_fill")
        self._ttl_s = ttl_s
        self._stale_s = stale_s

    def batch(self, place: Place, seen: Seen, end: End, fetched_s: float) -> Batch | None:
        """What to apply for how a fetch ended that began at `fetched_s`, after the look; None: nothing can be kept."""
        content = _content(end)
        if content is None:
            return self._shelf.removal(place) if seen.found and _contradicts(end) else None
        if content.missing:
            fresh_s = kept_s = min(MISSING_TTL_S, self._ttl_s)
        else:
            fresh_s = self._ttl_s * random.uniform(1 - JITTER, 1)
            kept_s = max(fresh_s, self._stale_s)
        return self._shelf.batch(place, seen, content, fetched_s, fresh_s, kept_s)

    def note(self, place: Place, seen: Seen, end: End, *, kept: bool) -> None:
        """Counts, and takes away a copy that the end of the fetch has contradicted and not replaced."""
        if not isinstance(end, UpstreamError) or isinstance(end, RecordNotFound):
            (self._filled if kept else self._refused).inc()
        if seen.found and not kept and _contradicts(end):
            self._shelf.apply(self._shelf.removal(place))

    def keep(self, place: Place, seen: Seen, end: End, fetched_s: float) -> bool:
        """Both, in a batch of its own. False: nothing was kept."""
        batch = self.batch(place, seen, end, fetched_s)
        kept = batch is not None and self._shelf.apply(batch)
        self.note(place, seen, end, kept=kept)
        return kept


def _content(end: End) -> Content | None:
    if isinstance(end, Content):
        return end
    return missing_content(end) if isinstance(end, RecordNotFound) else None


def _contradicts(end: End) -> bool:
    return isinstance(end, RecordNotFound) or (isinstance(end, UpstreamError) and end.outcome in _CONTRADICTING)
