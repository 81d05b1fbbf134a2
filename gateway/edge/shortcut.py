"""Plain reads, answered without the framework: from the cache at once, or by the operation itself.

What is answered here is what the application would have answered, header for header: the operations, authentication and
the judgement of headers are the application's own.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.edge import plain, wire
from gateway.edge.asking import Ask, Asking, Wanted
from gateway.edge.hot import Found, Hot, Peek
from gateway.errors import GatewayError, InternalDefect
from gateway.policy.cache import Cache, Shown
from gateway.policy.copies import Copy
from gateway.policy.wishes import ANYTHING
from gateway.rest import Inbound, auth, defects, headers
from gateway.rest.answers import Answer, of_error
from gateway.rest.context import RequestContext
from gateway.rest.framing import cache_event
from gateway.store.errors import StoreError
from gateway.telemetry import Log
from gateway.telemetry.tally import Tally


class Shortcut:
    """Answers plain reads. `peek` reads the cache's store where that is so near that the loop may wait for it; None
    where it is not."""

    def __init__(self, inbound: Inbound, cache: Cache, peek: Peek | None, log: Log) -> None:
        self._inbound = inbound
        self._cache = cache
        self._peek = peek
        self._log = log
        self._heading = wire.Heading(inbound.vary)
        self._ids = wire.Ids()
        self.asking = Asking(inbound)
        self._hits: dict[tuple[str, str, int], int] = {}
        self._counts_alone = inbound.recorder.counts_hits_alone

    def at_hand(self, ask: Ask) -> Sequence[bytes] | None:
        """The answer, as parts to be sent, if the cache has it at hand; None: it must be asked for.

        For the loop alone. The hit is counted by `count`.
        """
        wanted = ask.wanted
        hot = self._heated(wanted)
        if hot is None:
            return None
        if self._counts_alone and ask.fields is None:
            kind = (wanted.target.label, wanted.target.route, hot.status)
            self._hits[kind] = self._hits.get(kind, 0) + 1
            return hot.form.filled(*self._ids.take())
        context = self._context(ask)
        context.status, context.cache = hot.status, "hit"
        self._inbound.recorder.record(context)
        self._inbound.recorder.count_cache_hits(1)
        return self._filled(hot.form, context)

    def count(self, duration_s: float) -> None:
        """Counts the hits since the last time, each of which took about `duration_s` seconds. To be called before their
        answers are sent."""
        if self._hits:
            hits, self._hits = self._hits, {}
            self._inbound.recorder.count_hits(hits, duration_s)

    def answer(self, ask: Ask) -> Sequence[bytes]:
        """The answer, as parts to be sent, from wherever it has to come. For threads."""
        context, recorder = self._context(ask), self._inbound.recorder
        recorder.begin()
        try:
            answer = self._ask(ask.wanted, context)
            context.status, context.cache = answer.status, cache_event(answer.headers.get("Cache-Status"))
            recorder.record(context)
        finally:
            recorder.end()
        return self._filled(self._heading.form(answer), context)

    def _heated(self, wanted: Wanted) -> Hot | None:
        """What was answered last, if it still holds, or what is to be answered now."""
        if self._peek is None or self._cache.is_off():
            return None
        place = wanted.target.sought.place
        try:
            found = self._peek((place.key, place.stamp_key))
        except StoreError:
            return None
        hot, now_s = wanted.hot, self._cache.now_s()
        if hot is None or hot.found != found or now_s >= hot.until_s:
            hot = self._new(wanted, found, now_s)
        elif hot.second != int(now_s):
            hot = self._formed(wanted, found, hot.copy, now_s)
        wanted.hot = hot
        return hot

    def _new(self, wanted: Wanted, found: Found, now_s: float) -> Hot | None:
        try:
            copy = self._cache.at_hand(wanted.target.sought.place, found)
        except StoreError:
            return None
        return None if copy is None else self._formed(wanted, found, copy, now_s)

    def _formed(self, wanted: Wanted, found: Found, copy: Copy, now_s: float) -> Hot:
        target = wanted.target
        shown = Shown(copy.content, copy.hit_status(now_s), copy.age_s(now_s))
        answer = target.reading.shown(target.sought, wanted.known, shown)
        until_s = self._cache.at_hand_until_s(copy)
        return Hot(found, until_s, copy, int(now_s), self._heading.form(answer), answer.status)

    def _ask(self, wanted: Wanted, context: RequestContext) -> Answer:
        inbound, target = self._inbound, wanted.target
        try:
            with inbound.admission.place():
                errand = inbound.admission.errand(wanted.token, context)
                return target.reading.answer(target.sought, wanted.known, ANYTHING, errand)
        except GatewayError as error:
            context.error = auth.as_callers_see(error, inbound.mode)
        except Exception as error:  # noqa: BLE001  a defect of ours is told like any other error
            defects.report(self._log, error, context.request_id)
            context.error = InternalDefect("The gateway met a defect of its own.")
        return of_error(context.error, context)

    def _context(self, ask: Ask) -> RequestContext:
        said, target = ask.fields or plain.NOTHING, ask.wanted.target
        tally = Tally(self._inbound.recorder.take_up(said.traceparent, said.tracestate))
        request_id = headers.repeatable_id(said.x_request_id)
        return RequestContext(request_id, "GET", target.path, target.route, tally, target.label)

    def _filled(self, form: wire.Form, context: RequestContext) -> Sequence[bytes]:
        return form.filled(context.request_id.encode("ascii"), context.tally.trace.traceparent.encode("ascii"))
