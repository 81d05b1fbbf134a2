"""The circuit breaker of an upstream account, shared through the store.

While all is well it only reads. When the store cannot be asked the circuit counts as closed: a lost memory must not
keep callers from a healthy upstream.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import msgspec

from gateway.errors import CircuitOpen, UpstreamError
from gateway.store.errors import StoreError
from gateway.store.interface import Check, Delete, Put, Store
from gateway.telemetry import Metrics
from gateway.upstream import breaker
from gateway.upstream.breaker import CLOSED, Admission, Circuit, Sign
from gateway.upstream.decoding import Node
from gateway.upstream.remote import Remote
from gateway.upstream.transport import Call

_TTL_S = 600.0
_CHANGES_MAX = 8
_TRIAL_MARGIN_S = 1.0

_read_circuit = msgspec.json.Decoder(Circuit).decode


class SharedCircuit:
    """The circuit under one key of a store. `clock` reads seconds that all sharers agree on."""

    def __init__(self, store: Store, account: bytes, metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._key = b"circuit:" + account
        self._metrics = metrics
        self._clock = clock

    def around(self, remote: Remote) -> Remote:
        """The remote procedure call, refused with `CircuitOpen` while the circuit is open."""

        def call_guarded(call: Call) -> Node:
            trial_until_s = self._enter(call)
            allowed_s = call.deadline.remaining_s()
            sign = Sign.NOTHING
            try:
                element = remote(call)
                sign = Sign.WELL
            except UpstreamError as error:
                sign = breaker.sign_of(error, allowed_s)
                raise
            finally:
                self._leave(sign, trial_until_s)
            return element

        return call_guarded

    def state(self) -> Circuit:
        """The circuit now; closed when the store cannot be asked."""
        try:
            return _decode(self._store.get(self._key))
        except StoreError:
            return CLOSED

    def _enter(self, call: Call) -> float | None:
        """Until when the call is the trial; None when it is none. Raises `CircuitOpen`."""
        try:
            raw = self._store.get(self._key)
            if raw is None:
                return None
            circuit, now_s = _decode(raw), self._clock()
            admission = breaker.admit(circuit, now_s)
            if admission is Admission.SEND:
                return None
            until_s = now_s + call.deadline.remaining_s() + _TRIAL_MARGIN_S
            if admission is Admission.TRY and self._swap(raw, breaker.trying(circuit, until_s)):
                return until_s
        except StoreError:
            return None
        self._metrics.circuit_refusals.inc()
        wait_s = max(1, math.ceil(breaker.wait_s(circuit, now_s)))
        raise CircuitOpen("The upstream is not asked for now, because it kept failing.", retry_after_s=wait_s)

    def _leave(self, sign: Sign, trial_until_s: float | None) -> None:
        try:
            for _ in range(_CHANGES_MAX):
                raw = self._store.get(self._key)
                if raw is None and sign is not Sign.SICK:
                    return
                before = _decode(raw)
                now = breaker.after(before, sign, trial_until_s=trial_until_s, now_s=self._clock())
                if now == before or self._swap(raw, now):
                    return
        except StoreError:
            return

    def _swap(self, raw: bytes | None, circuit: Circuit) -> bool:
        write = Delete(self._key) if circuit == CLOSED else Put(self._key, msgspec.json.encode(circuit), _TTL_S)
        return self._store.apply([Check(self._key, raw)], [write]) is not None


def _decode(raw: bytes | None) -> Circuit:
    """What cannot be read, such as the entry of another version, counts as closed."""
    try:
        return CLOSED if raw is None else _read_circuit(raw)
    except msgspec.DecodeError:
        return CLOSED
