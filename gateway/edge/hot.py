"""Answers from the cache at once, with what was worked out for the last one of the same kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gateway.edge.wire import Form
from gateway.policy.copies import Copy

Found = Sequence[bytes | None]
Peek = Callable[[Sequence[bytes]], Found]
"""Reads the live entries under keys, all at one instant. Raises `StoreError`."""


class Hot(NamedTuple):
    """An answer from a copy that was at hand until `until_s`, as it was found in the store.

    In another `second` than this one, the form of the answer says another age.
    """

    found: Found
    until_s: float
    copy: Copy
    second: int
    form: Form
    status: int
