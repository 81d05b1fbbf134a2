"""One request's way to the upstream, alone or in a flight with others."""

from __future__ import annotations

from collections.abc import Callable

from gateway.deadline import Deadline
from gateway.errors import RecordNotFound, UpstreamError
from gateway.policy.copies import Content, content_in
from gateway.policy.flights import Flights
from gateway.policy.keeping import End, Keeping
from gateway.policy.shelf import Place, Seen, Shelf
from gateway.policy.wishes import Wish
from gateway.store.interface import Batch


class Trip:
    """From a look at a place to a content for it. `how` then says what became of it, as in `Cache-Status`.

    `fetch` asks the upstream, `now_s` reads the clock of the stamps.
    """

    def __init__(
        self,
        shelf: Shelf,
        keeping: Keeping,
        place: Place,
        seen: Seen,
        wish: Wish,
        fetch: Callable[[], Content],
        now_s: Callable[[], float],
    ) -> None:
        self._shelf = shelf
        self._keeping = keeping
        self._place = place
        self._seen = seen
        self._wish = wish
        self._fetch = fetch
        self._now_s = now_s
        self._leads = False
        self._fetched_s = 0.0
        self.how = ""

    def alone(self) -> Content:
        """From the upstream, and kept if the stamps are there and do not move. Raises `UpstreamError`."""
        end: End
        try:
            end = content = self.fetch()
        except UpstreamError as error:
            self._keeping.keep(self._place, self._seen, error, self._fetched_s)
            raise
        if self._keeping.keep(self._place, self._seen, end, self._fetched_s):
            self.how = "; stored"
        return content

    def with_others(self, flights: Flights, deadline: Deadline) -> Content:
        """One of those who ask at once asks the upstream. Raises also what another's flight ended with.

        While some record is being made, that another was told of none is not enough: it may have asked before.
        """
        try:
            content, joined = flights.share(self, deadline)
        except RecordNotFound:
            if self._leads or self._seen.all_quiet:
                raise
            return self.alone()
        if joined:
            self.how = "; collapsed"
        return content

    @property
    def name(self) -> bytes:
        """What is fetched, and the stamp it is fetched under."""
        return self._place.key + self._seen.stamp.token

    def departure(self) -> Batch:
        """The stamps as they were seen, and made where they are absent; and still no newer copy."""
        self._seen, batch = self._shelf.departure(self._place, self._seen)
        return batch

    def fetch(self) -> Content:
        self._leads = True
        self._fetched_s = self._now_s()
        return self._fetch()

    def arrival(self, end: End) -> Batch | None:
        return self._keeping.batch(self._place, self._seen, end, self._fetched_s)

    def arrived(self, end: End, *, kept: bool) -> None:
        self._keeping.note(self._place, self._seen, end, kept=kept)
        if kept:
            self.how = "; stored"

    def look_again(self) -> Content | None:
        """What others have brought since the last look, if that will do. Raises `RecordNotFound` and `StoreError`.

        Where a write has begun meanwhile, everybody asks for itself, and gets that.
        """
        before, self._seen = self._seen, self._shelf.look(self._place)
        copy = self._seen.copy
        if copy is not None and self._seen.raw != before.raw and self._wish.is_met_by(copy, self._now_s()):
            self.how = "; collapsed"
            return content_in(copy)
        return None if self._seen.quiet else self.alone()
