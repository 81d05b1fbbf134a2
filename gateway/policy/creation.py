"""Creating a record at most once, and finding out what became of a create whose answer was lost."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.deadline import Deadline
from gateway.errors import SeveralCandidates, UpstreamError, WriteInDoubt, Written
from gateway.policy import reconciliation
from gateway.policy.idempotency import LIFETIME_S, Reservation
from gateway.policy.reconciliation import Before, Findings
from gateway.store.errors import StoreError
from gateway.store.interface import Add, Check, Put, Store, Write
from gateway.telemetry import Log, Metrics
from gateway.upstream.freshbooks import Errand, FreshBooks
from schemas.resource import Resource

_FINDING_OUT_SHARE = 0.25
_FINDING_OUT_MAX_S = 2.0
_TWINS_MARGIN_S = 2.0


class Creation:
    """Creates records. `settle_s` is how long a create may still be on its way after its answer was lost.

    Each id that a request has made or adopted is marked in the store, so that no other request adopts it; and creates
    that the same query would find are counted while they are under way: the record of one could be taken for the
    other's.
    """

    def __init__(
        self,
        freshbooks: FreshBooks,
        store: Store,
        account: bytes,
        settle_s: float,
        metrics: Metrics,
        log: Log,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._freshbooks = freshbooks
        self._store = store
        self._account = account
        self._settle_s = settle_s
        self._metrics = metrics
        self._log = log
        self._now_s = now_s

    def create(self, resource: Resource, values: Mapping[str, Any], errand: Errand) -> int:
        """Creates without a key: sent once, and looked for once, within the deadline, when the answer was lost.

        Raises the create's own error when looking for it was not possible, and as `_settle` says.
        """
        twins = self._twins(resource, values)
        sent_s = self._now_s()
        self._note([self._under_way(twins, +1, errand)])
        try:
            key = self._freshbooks.create(resource, values, _with_time_left(errand))
        except UpstreamError as error:
            try:
                if error.written is not Written.UNKNOWN or not reconciliation.can_find(resource, values):
                    raise
                return self._look_once(resource, values, errand, twins, sent_s, error)
            finally:
                self._note([self._under_way(twins, -1, errand)])
        self._note([self._under_way(twins, -1, errand), self._mark(resource, key, b"answered")])
        return key

    def create_keyed(
        self, resource: Resource, values: Mapping[str, Any], errand: Errand, reservation: Reservation
    ) -> int:
        """Creates for a key: at most once, whatever was lost or died on the way.

        Raises `WriteInDoubt` or `SeveralCandidates` when it cannot be told what happened, and the create's own error
        when it failed without effect; the key is free again then.
        """
        twins = self._twins(resource, values)
        if reservation.entry.sent_s is None:
            return self._send(resource, values, errand, reservation, twins)
        entry = reservation.entry
        found = self._find_or_give_up(resource, values, errand, reservation)
        if not found.matching and not found.alike and self._now_s() >= (entry.sent_s or 0) + self._settle_s:
            return self._send(resource, values, errand, reservation, twins)
        return self._settle(resource, values, reservation, found, twins_elsewhere=self._are_more_than(0, twins))

    def _send(
        self,
        resource: Resource,
        values: Mapping[str, Any],
        errand: Errand,
        reservation: Reservation,
        twins: bytes,
    ) -> int:
        try:
            before = reconciliation.look_before(self._freshbooks, resource, values, errand)
        except UpstreamError as error:
            error.written = reservation.without_effect()
            reservation.free()
            raise
        reservation.sent(sorted(before.ids), before.oldest, [self._under_way(twins, +1, errand)])
        ended: list[Write] = [self._under_way(twins, -1, errand)]
        try:
            key = self._freshbooks.create(resource, values, _with_time_left(errand))
        except UpstreamError as error:
            if error.written is not Written.UNKNOWN:
                error.written = reservation.without_effect()
                reservation.free(ended)
                raise
            return self._find_own(resource, values, errand, reservation, ended, twins)
        except BaseException:
            reservation.unknown(ended)
            raise
        reservation.made(key, (), [self._mark(resource, key, reservation.name), *ended])
        return key

    def _find_own(
        self,
        resource: Resource,
        values: Mapping[str, Any],
        errand: Errand,
        reservation: Reservation,
        ended: list[Write],
        twins: bytes,
    ) -> int:
        """The create is no longer under way, but while its twins are, their record could be taken for ours."""
        self._note(ended)
        found = self._find_or_give_up(resource, values, errand, reservation)
        return self._settle(resource, values, reservation, found, twins_elsewhere=self._are_more_than(0, twins))

    def _find_or_give_up(
        self, resource: Resource, values: Mapping[str, Any], errand: Errand, reservation: Reservation
    ) -> Findings:
        entry = reservation.entry
        if not reconciliation.can_find(resource, values):
            reservation.unknown()
            raise self._in_doubt(resource, values)
        try:
            before = Before(frozenset(entry.before), entry.oldest)
            found = reconciliation.find(self._freshbooks, resource, values, errand, before, entry.sent_s or 0.0)
        except UpstreamError as error:
            self._metrics.reconciliations.labels("impossible").inc()
            reservation.unknown()
            raise self._in_doubt(resource, values) from error
        return self._without_others(resource, found, reservation.name)

    def _settle(
        self,
        resource: Resource,
        values: Mapping[str, Any],
        reservation: Reservation,
        found: Findings,
        *,
        twins_elsewhere: bool,
    ) -> int:
        """Adopts the one record that matches. Raises `SeveralCandidates` or `WriteInDoubt`."""
        if len(found.matching) == 1 and not twins_elsewhere:
            key = found.matching[0]
            mark = self._mark(resource, key, reservation.name)
            if any(reservation.made(key, [Check(mark.key, held)], [mark]) for held in (None, reservation.name)):
                self._metrics.reconciliations.labels("adopted").inc()
                return key
        reservation.unknown()
        if len(found.matching) > 1:
            self._metrics.reconciliations.labels("several").inc()
            raise SeveralCandidates("Several records could be the one that was asked for.", candidates=found.matching)
        self._metrics.reconciliations.labels("none").inc()
        raise self._in_doubt(resource, values)

    def _look_once(
        self,
        resource: Resource,
        values: Mapping[str, Any],
        errand: Errand,
        twins: bytes,
        sent_s: float,
        lost: UpstreamError,
    ) -> int:
        """Without a key nothing was looked at beforehand, so only a record that is surely newer is adopted."""
        try:
            found = reconciliation.find(self._freshbooks, resource, values, errand, Before(), sent_s)
            found = self._without_others(resource, found, b"")
            fresh = [
                key
                for key in found.matching
                if reconciliation.made_since(self._freshbooks, resource, key, errand, sent_s)
            ]
        except UpstreamError:
            self._metrics.reconciliations.labels("impossible").inc()
            lost.see = reconciliation.question(resource, values)
            raise lost from None
        if len(fresh) == 1 and not self._are_more_than(1, twins) and self._adopt(resource, fresh[0]):
            self._metrics.reconciliations.labels("adopted").inc()
            return fresh[0]
        self._metrics.reconciliations.labels("several" if len(fresh) > 1 else "none").inc()
        if len(fresh) > 1:
            raise SeveralCandidates("Several records could be the one that was asked for.", candidates=tuple(fresh))
        raise self._in_doubt(resource, values)

    def _without_others(self, resource: Resource, found: Findings, name: bytes) -> Findings:
        """Leaves out what other requests have made or adopted."""
        keys = [*found.matching, *found.alike]
        try:
            marks = self._store.get_many([self._mark_key(resource, key) for key in keys]) if keys else []
        except StoreError:
            marks = [None] * len(keys)
        free = {key for key, mark in zip(keys, marks, strict=True) if mark is None or mark == name}
        return Findings(
            tuple(key for key in found.matching if key in free), tuple(key for key in found.alike if key in free)
        )

    def _adopt(self, resource: Resource, key: int) -> bool:
        mark = self._mark_key(resource, key)
        try:
            return self._store.apply([Check(mark, None)], [Put(mark, b"answered", LIFETIME_S)]) is not None
        except StoreError:
            return False

    def _in_doubt(self, resource: Resource, values: Mapping[str, Any]) -> WriteInDoubt:
        detail = "The create was sent and it cannot be told whether it was applied."
        return WriteInDoubt(detail, see=reconciliation.question(resource, values))

    def _mark(self, resource: Resource, key: int, name: bytes) -> Put:
        return Put(self._mark_key(resource, key), name, LIFETIME_S)

    def _mark_key(self, resource: Resource, key: int) -> bytes:
        return b":".join([b"made", self._account, resource.name.encode(), b"%d" % key])

    def _twins(self, resource: Resource, values: Mapping[str, Any]) -> bytes:
        """Where creates are counted whose records the same query would find, whatever else they submit.

        Two bytes of a hash: a value that shares them by chance only makes an answer more careful, and a reader of the
        store learns next to nothing.
        """
        found_by = str(values.get(resource.found_by or "") or "").strip().casefold()
        bucket = hashlib.blake2b(found_by.encode("utf-8", "surrogatepass"), digest_size=2).hexdigest()
        return b":".join([b"creating", self._account, resource.name.encode(), bucket.encode()])

    def _under_way(self, twins: bytes, change: int, errand: Errand) -> Add:
        return Add(twins, change, errand.deadline.remaining_s() + _TWINS_MARGIN_S)

    def _are_more_than(self, own: int, twins: bytes) -> bool:
        """Whether others than `own` are under way; so it is assumed when the store cannot be asked."""
        try:
            return int(self._store.get(twins) or b"0") > own
        except StoreError:
            return True

    def _note(self, writes: list[Write]) -> None:
        """What helps others and is not needed for this request's own truth."""
        try:
            self._store.apply([], writes)
        except StoreError as error:
            self._log.warning("creation_not_noted", error=type(error).__name__)


def _with_time_left(errand: Errand) -> Errand:
    """The errand with a part of its time kept back, to find out what happened should the answer get lost."""
    remaining_s = errand.deadline.remaining_s()
    kept_s = min(remaining_s * _FINDING_OUT_SHARE, _FINDING_OUT_MAX_S)
    return msgspec.structs.replace(errand, deadline=Deadline(errand.deadline.at_s - kept_s))
