"""What every store offers, and the words its batches are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, final

import msgspec

LONGEST_LIFETIME_S = 10 * 366 * 86_400
LARGEST_COUNT = 2**53 - 1
"""Counters stay within ± this, the whole numbers that Redis scripts hold exactly."""

_MOST_DIGITS = len(str(LARGEST_COUNT))


class Check(msgspec.Struct, frozen=True, gc=False):
    """Holds when the live value of `key` equals `expected`; None: when there is no live value."""

    key: bytes
    expected: bytes | None


@final
class Put(msgspec.Struct, frozen=True, gc=False):
    """Sets the value; its lifetime of `ttl_s` seconds begins now, whatever was there before."""

    key: bytes
    value: bytes
    ttl_s: float


@final
class Delete(msgspec.Struct, frozen=True, gc=False):
    """Removes the entry; nothing happens when there is none."""

    key: bytes


@final
class Add(msgspec.Struct, frozen=True, gc=False):
    """Adds to a counter, which is 0 while absent and reads as decimal text; its lifetime begins anew.

    For a window of fixed length put the window's number into the key.
    """

    key: bytes
    amount: int
    ttl_s: float


Write = Put | Delete | Add
Batch = tuple[Sequence[Check], Sequence[Write]]
"""What `Store.apply` takes, to be handed on."""


class Applied(NamedTuple):
    """A batch that was applied: the new value of every `Add`, in the batch's order."""

    counters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """How a store is. None where it cannot be told, or not cheaply."""

    reachable: bool
    used_bytes: int | None = None
    bound_bytes: int | None = None
    entries: int | None = None
    """Entries held, those included that have expired but are not swept yet."""
    evicts: bool | None = None
    """Whether live entries may be dropped to make room: fit for a cache, not for records that must last."""


class Store(Protocol):
    """Bytes under keys, shared by processes. Safe for threads; a fork gets a fresh connection by itself.

    Keys are non-empty bytes of any length, values bytes of any length that fits, lifetimes seconds, more than 0 and
    at most `LONGEST_LIFETIME_S`. Each method raises `StoreDown` or `StoreCorrupted` (see `errors`) and takes a bounded
    time. There is no way to list keys: nothing here may cost more as entries grow.
    """

    def get(self, key: bytes) -> bytes | None:
        """The live value; None: absent or expired."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The live values in the order of `keys`, all from one instant."""

    def apply(self, checks: Sequence[Check], writes: Sequence[Write]) -> Applied | None:
        """All writes when all checks hold, else none of them and None. Atomic among all processes.

        A key may stand in one write only. Raises `ValueError` when the batch itself is wrong or an `Add` meets a value
        that is no counter or leaves ± `LARGEST_COUNT`, and `StoreFull`; nothing was applied then.
        """

    def status(self) -> Status:
        """Never raises; costs a round trip or a file look, so not for every request."""

    def close(self) -> None:
        """Lets go of files and connections. May be called twice; everything else raises `StoreDown` afterwards."""


def vet(checks: Sequence[Check], writes: Sequence[Write]) -> None:
    """Raises `ValueError` for a batch that no store could apply."""
    keys = {write.key for write in writes}
    if len(keys) < len(writes):
        raise ValueError("a key stands in two writes of one batch")
    for write in writes:
        if type(write) is not Delete:
            vet_lifetime(write.ttl_s)
            if type(write) is Add:
                vet_count(write.amount)
    keys.update([check.key for check in checks])
    if b"" in keys:
        vet_key(b"")


def vet_key(key: bytes) -> None:
    if not key:
        raise ValueError("a key must not be empty")


def vet_lifetime(ttl_s: float) -> None:
    if not 0 < ttl_s <= LONGEST_LIFETIME_S:
        raise ValueError(f"a lifetime must be more than 0 and at most {LONGEST_LIFETIME_S} seconds")


def vet_count(count: int) -> None:
    if not -LARGEST_COUNT <= count <= LARGEST_COUNT:
        raise ValueError(f"a counter must stay within ±{LARGEST_COUNT}")


def read_count(value: bytes | None) -> int:
    """A counter's number from its stored text; None: 0. Raises `ValueError` for any other value."""
    if value is None:
        return 0
    digits = value[1:] if value[:1] == b"-" else value
    if not digits.isdigit() or len(digits) > _MOST_DIGITS or int(digits) > LARGEST_COUNT:
        raise ValueError("the value under this key is not a counter")
    return int(value)
