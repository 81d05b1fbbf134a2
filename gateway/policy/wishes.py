"""What a caller wants of the cache."""

from __future__ import annotations

import msgspec

from gateway.policy.copies import Copy


class Wish(msgspec.Struct, frozen=True, gc=False):
    """What a caller's `Cache-Control` asks for. `max_age_s` is None when any fresh copy will do."""

    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age_s: int | None = None

    def is_met_by(self, copy: Copy, now_s: float) -> bool:
        """Whether a true copy will do."""
        if self.no_cache or self.no_store or now_s >= copy.fresh_until_s:
            return False
        return self.max_age_s is None or now_s - copy.fetched_s <= self.max_age_s


ANYTHING = Wish()
