"""Plain reads, answered without the framework: from the cache at once, or by the operation itself.

What is answered here is what the application would have answered, header for header: the operations, authentication and
the judgement of headers are the application's own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext

from gateway.edge import plain, wire
from gateway.edge.asking import Ask, Asking, Wanted
from gateway.edge.hot import Hot, Snapshot, SnapshotId, TakeSnapshot, Uncounted
from gateway.errors import GatewayError, InternalDefect
from gateway.policy.cache import Cache, Shown
from gateway.policy.copies import Copy
from gateway.policy.shelf import Seen
from gateway.policy.wishes import ANYTHING
from gateway.rest import Inbound, auth, defects, headers
from gateway.rest.answers import Answer, of_error
from gateway.rest.context import RequestContext
from gateway.rest.framing import cache_event
from gateway.store.errors import StoreError
from gateway.telemetry import Log
from gateway.telemetry.tally import Tally

HOT_BYTES_MAX = 16 * 1024 * 1024
"""What answers that were given lately may hold in memory; beyond, all are worked out anew."""


AtHand = Sequence[bytes] | Seen | None
"""An answer, as parts to be sent; or what was seen where there is none; None: nothing could be seen."""


class Shortcut:
    """Answers plain reads. `snapshot` shows the cache's store; None where that is too far away to be waited for."""

    def __init__(self, inbound: Inbound, cache: Cache, snapshot: TakeSnapshot | None, log: Log) -> None:
        self._inbound = inbound
        self._cache = cache
        self._snapshot = snapshot
        self._log = log
        self._heading = wire.Heading(inbound.vary)
        self._new_lines = wire.NewLines()
        self.asking = Asking(inbound)
        self._uncounted: dict[tuple[str, str, int], Uncounted] = {}
        self._hot_bytes = 0
        self._counts_alone = inbound.recorder.counts_hits_alone

    def at_hand(self, asks: Sequence[Ask], started_s: float) -> list[AtHand]:
        """For each that asks what the cache has at hand. They came in at `started_s` of the monotonic clock, and those
        for whom there is an answer are counted as answered. For the loop alone.
        """
        nothing: list[AtHand] = [None] * len(asks)
        if self._snapshot is None or self._cache.is_off():
            return nothing
        try:
            snapshot = self._snapshot()
            try:
                answers = self._answers(asks, snapshot, self._cache.now_s())
            finally:
                snapshot.close()
        except StoreError:
            return nothing
        self._count(time.monotonic() - started_s)
        return answers

    def _answers(self, asks: Sequence[Ask], snapshot: Snapshot, now_s: float) -> list[AtHand]:
        seen, second = snapshot.id, int(now_s)
        answers: list[AtHand] = []
        for ask in asks:
            wanted, hot = ask.wanted, ask.wanted.hot
            if hot is None or hot.seen != seen or now_s >= hot.until_s or hot.second != second:
                found = snapshot.values(wanted.keys, now_s)
                hot = self._heated(wanted, found, seen, now_s)
                if hot is None:
                    answers.append(self._look(wanted, found, snapshot, now_s))
                    continue
            answers.append(self._answered(ask, hot))
        return answers

    def _look(self, wanted: Wanted, found: list[bytes | None], snapshot: Snapshot, now_s: float) -> Seen:
        """What the operation goes by, of which `found` is the first."""
        place = wanted.target.sought.place
        rest = snapshot.values(self._cache.keys(place)[len(found) :], now_s)
        return self._cache.seen(place, [*found, *rest])

    def _answered(self, ask: Ask, hot: Hot) -> Sequence[bytes]:
        if self._counts_alone and ask.fields is None:
            hot.uncounted.total += 1
            return hot.form.filled(self._new_lines.take())
        context = self._context(ask)
        context.status, context.cache = hot.uncounted.kind[2], "hit"
        self._inbound.recorder.record(context)
        self._inbound.recorder.count_cache_hits(1)
        return _filled(hot.form, context)

    def _count(self, duration_s: float) -> None:
        """Counts the hits since the last time, each of which took about `duration_s` seconds."""
        for uncounted in self._uncounted.values():
            if uncounted.total:
                self._inbound.recorder.count_hits(*uncounted.kind, uncounted.total, duration_s)
                uncounted.total = 0

    @property
    def is_near(self) -> bool:
        """Whether the loop may do what the cache asks of its store."""
        return self._snapshot is not None

    def answer(self, ask: Ask, seen: Seen | None = None) -> Sequence[bytes]:
        """The answer, as parts to be sent, from wherever it has to come. For a thread, or for a task if `is_near`.

        `seen` is what `at_hand` has seen; None: nobody has looked yet.
        """
        context, recorder = self._context(ask), self._inbound.recorder
        recorder.begin()
        try:
            answer = self._ask(ask.wanted, seen, context)
            context.status, context.cache = answer.status, cache_event(answer.headers.get("Cache-Status"))
            recorder.record(context)
        finally:
            recorder.end()
        return _filled(self._heading.form(answer), context)

    def _heated(self, wanted: Wanted, found: list[bytes | None], seen: SnapshotId, now_s: float) -> Hot | None:
        """What was answered last, if it still holds, or what is to be answered now; None: that is not at hand."""
        hot = wanted.hot
        if hot is None or hot.found != found or now_s >= hot.until_s:
            copy = self._cache.at_hand(wanted.target.sought.place, found)
            hot = None if copy is None else self._formed(wanted, found, copy, now_s)
        elif hot.second != int(now_s):
            hot = self._formed(wanted, found, hot.copy, now_s)
        if hot is not None:
            hot.seen = seen
        if hot is not wanted.hot:
            self._keep(wanted, hot)
        return hot

    def _keep(self, wanted: Wanted, hot: Hot | None) -> None:
        old, wanted.hot = wanted.hot, hot
        self._hot_bytes += (hot.bytes_total if hot else 0) - (old.bytes_total if old else 0)
        if self._hot_bytes > HOT_BYTES_MAX:
            self.asking.forget()
            self._hot_bytes = 0

    def _formed(self, wanted: Wanted, found: list[bytes | None], copy: Copy, now_s: float) -> Hot:
        target = wanted.target
        shown = Shown(copy.content, copy.hit_status(now_s), copy.age_s(now_s))
        answer = target.reading.shown(target.sought, wanted.heard.known, shown)
        kind = (target.label, target.route, answer.status)
        uncounted = self._uncounted.setdefault(kind, Uncounted(*kind))
        until_s = self._cache.at_hand_until_s(copy)
        return Hot(found, (0, 0), until_s, copy, int(now_s), self._heading.form(answer), uncounted)

    def _ask(self, wanted: Wanted, seen: Seen | None, context: RequestContext) -> Answer:
        inbound, target = self._inbound, wanted.target
        try:
            with nullcontext() if self.is_near else inbound.admission.place():
                errand = inbound.admission.errand(wanted.heard.token, context)
                return target.reading.answer(target.sought, wanted.heard.known, ANYTHING, errand, seen)
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


def _filled(form: wire.Form, context: RequestContext) -> Sequence[bytes]:
    return form.filled(wire.own_lines(context.request_id, context.tally.trace.traceparent))
