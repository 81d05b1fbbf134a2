"""What puts a promise at risk about the place of a store: told at start, before it is too late."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Doubt:
    """`promise` cannot be kept for sure `because` of how the place is, unless somebody does what `remedy` says."""

    promise: str
    because: str
    remedy: str


ONCE = "A create happens at most once per Idempotency-Key."
ALONE = "Changes of one record follow each other, and a create happens at most once per Idempotency-Key."
COHERENT = "What is stored is seen by all workers and survives a crash."
