"""What became of the request with this key: a durable record, written before anything is sent.

    reserved → sent → done            the answer is kept and replayed
                    → unknown         the next request with the key finds out
    reserved → (free)                 failed without effect: the key may be used anew

A record belongs to the request that is working on it until `until_s`, which lies after that request's deadline; then
its owner is dead, and the next request with the key takes over where it stopped.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.deadline import Deadline
from gateway.errors import KeyInFlight, KeyReused, StoreUnavailable, Written
from gateway.secret import Secret
from gateway.store.errors import StoreError
from gateway.store.interface import Check, Delete, Put, Store, Write
from gateway.store.lease import new_owner
from gateway.telemetry import Log, Metrics

LIFETIME_S = 24 * 3600.0
_MARGIN_S = 2.0


class Answer(msgspec.Struct, frozen=True):
    """A response to replay. `body` is None when it must be made anew from the record."""

    status: int
    body: bytes | None
    headers: dict[str, str]


class Entry(msgspec.Struct, frozen=True):
    """The record of one key.

    `fingerprint` tells payloads apart. `sent_s` is when the write was sent, None before; `before` are the ids that the
    reconciliation must leave out, `oldest` the smallest id that was looked at when there were too many to look at all.
    `made` is the id of the record that was created.
    """

    state: str
    fingerprint: str
    owner: str
    until_s: float
    sent_s: float | None = None
    before: tuple[int, ...] = ()
    oldest: int = 0
    made: int | None = None
    answer: Answer | None = None


_read_entry = msgspec.json.Decoder(Entry).decode


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a key is valid, as the name of its record."""

    key: bytes


def keyed_hash(credential: Secret, *parts: str) -> str:
    """A hash that tells nothing about its parts to who does not know the credential, such as a reader of the store."""
    secret = credential.digest()
    digest = hashlib.blake2b(key=secret, digest_size=20)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def fingerprint(credential: Secret, route: str, payload: Any) -> str:
    """What a payload is recognised by, whatever the order of its keys. The hash is keyed: it reveals no password."""
    canonical = msgspec.json.encode(payload, order="sorted").decode()
    return keyed_hash(credential, route, canonical)


class Reservation:
    """One request's hold on its key. Every step fails when another request has taken over in the meantime."""

    def __init__(self, store: Store, scope: Scope, entry: Entry, raw: bytes, book: Idempotency) -> None:
        self._store = store
        self._scope = scope
        self._raw = raw
        self._book = book
        self.entry = self._taken = entry
        self.found = entry.state
        """The state in which the record was when this request took it: `reserved` for a new one."""

    @property
    def in_doubt(self) -> bool:
        """Whether an earlier request with the key left open what became of it."""
        return self.found != "reserved"

    @property
    def name(self) -> bytes:
        """What others may know this key by."""
        return self._scope.key

    def sent(self, before: Sequence[int], oldest: int, also: Sequence[Write] = ()) -> None:
        """To be recorded before anything is sent. Raises `StoreUnavailable` or `KeyInFlight`: then nothing may be."""
        changed = msgspec.structs.replace(
            self.entry, state="sent", sent_s=self._book.now_s(), before=tuple(before), oldest=oldest
        )
        self._must(changed, also)

    def made(self, key: int, checks: Sequence[Check] = (), also: Sequence[Write] = ()) -> bool:
        """Records the id of the record that was created. False: it could not be recorded, or a check failed."""
        answer = Answer(201, None, {})
        return self._try(msgspec.structs.replace(self.entry, state="done", made=key, answer=answer), checks, also)

    def done(self, answer: Answer) -> None:
        """Keeps the answer for replays. A store that cannot be asked changes nothing about what happened."""
        self._try(msgspec.structs.replace(self.entry, state="done", answer=answer))

    def unknown(self, also: Sequence[Write] = ()) -> None:
        """Gives the key up with its outcome open: the next request may find out."""
        self._try(msgspec.structs.replace(self.entry, state="unknown", until_s=0.0), (), also)

    def without_effect(self) -> Written:
        """What is to be said of the write when this request had no effect: that of an earlier one may be open."""
        return Written.UNKNOWN if self.in_doubt else Written.NOT_APPLIED

    def free(self, also: Sequence[Write] = ()) -> None:
        """The request failed without effect. What it found open stays so, as it was."""
        if self.in_doubt:
            self._try(msgspec.structs.replace(self._taken, state="unknown", until_s=0.0), (), also)
            return
        try:
            self._store.apply([Check(self._scope.key, self._raw)], [Delete(self._scope.key), *also])
        except StoreError as error:
            self._book.lost(error)

    def _must(self, entry: Entry, also: Sequence[Write]) -> None:
        try:
            swapped = self._swap(entry, (), also)
        except StoreError as error:
            raise StoreUnavailable("The record of the Idempotency-Key cannot be kept now.") from error
        if not swapped:
            raise KeyInFlight("Another request with this Idempotency-Key has taken over.", retry_after_s=1)

    def _try(self, entry: Entry, checks: Sequence[Check] = (), also: Sequence[Write] = ()) -> bool:
        try:
            return self._swap(entry, checks, also)
        except StoreError as error:
            self._book.lost(error)
            return False

    def _swap(self, entry: Entry, checks: Sequence[Check], also: Sequence[Write]) -> bool:
        raw = msgspec.json.encode(entry)
        mine = Check(self._scope.key, self._raw)
        if self._store.apply([mine, *checks], [Put(self._scope.key, raw, LIFETIME_S), *also]) is None:
            return False
        self.entry, self._raw = entry, raw
        return True


class Idempotency:
    """The book of keys of an upstream account, in a durable store.

    `now_s` reads seconds that all sharers of the store agree on.
    """

    def __init__(
        self, store: Store, account: bytes, metrics: Metrics, log: Log, now_s: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._account = account
        self._metrics = metrics
        self._log = log
        self.now_s = now_s

    def scope(self, credential: Secret, route: str, key: str) -> Scope:
        """One credential and one route. The record's name reveals neither the key nor the credential."""
        return Scope(b":".join([b"idempotency", self._account, keyed_hash(credential, route, key).encode()]))

    def begin(self, scope: Scope, print_: str, deadline: Deadline) -> Reservation | Answer | int:
        """What a request with this key and payload is to do.

        An `Answer` is to be replayed; an id means that the record was created and its answer is to be made from it;
        with a `Reservation` the request goes on. Raises `KeyReused` for another payload, `KeyInFlight` while another
        request works on the key, `StoreUnavailable` when the book cannot be read or written: it fails closed.
        """
        try:
            for _ in range(3):
                raw = self._store.get(scope.key)
                entry = None if raw is None else _read_entry(raw)
                outcome = self._take(scope, raw, entry, print_, deadline)
                if outcome is not None:
                    return outcome
        except (StoreError, msgspec.MsgspecError) as error:
            raise StoreUnavailable("The record of the Idempotency-Key cannot be kept now.") from error
        raise KeyInFlight("Another request with this Idempotency-Key is being worked on.", retry_after_s=1)

    def lost(self, error: StoreError) -> None:
        """Notes that the book could not be written after the fact."""
        self._log.warning("idempotency_record_not_written", error=type(error).__name__)

    def _take(
        self, scope: Scope, raw: bytes | None, entry: Entry | None, print_: str, deadline: Deadline
    ) -> Reservation | Answer | int | None:
        if entry is not None and entry.fingerprint != print_:
            self._count("reused")
            raise KeyReused("This Idempotency-Key was used with another payload.")
        if entry is not None and entry.state == "done" and entry.answer is not None:
            self._count("replayed")
            return entry.answer if entry.answer.body is not None or entry.made is None else entry.made
        now_s = self.now_s()
        if entry is not None and now_s < entry.until_s:
            self._count("in_flight")
            wait_s = max(1, min(60, round(entry.until_s - now_s)))
            raise KeyInFlight("A request with this Idempotency-Key is being worked on.", retry_after_s=wait_s)
        return self._own(scope, raw, entry, print_, deadline)

    def _own(
        self, scope: Scope, raw: bytes | None, entry: Entry | None, print_: str, deadline: Deadline
    ) -> Reservation | None:
        """Takes a free key, or one whose owner is dead. None: somebody else was faster."""
        until_s = self.now_s() + deadline.remaining_s() + _MARGIN_S
        owner = new_owner().hex()
        if entry is None:
            mine = Entry("reserved", print_, owner, until_s)
        else:
            mine = msgspec.structs.replace(entry, owner=owner, until_s=until_s)
        packed = msgspec.json.encode(mine)
        if self._store.apply([Check(scope.key, raw)], [Put(scope.key, packed, LIFETIME_S)]) is None:
            return None
        self._count("new" if entry is None else "taken_over")
        return Reservation(self._store, scope, mine, packed, self)

    def _count(self, result: str) -> None:
        self._metrics.idempotency.labels(result).inc()
