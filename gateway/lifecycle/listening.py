"""How a listener is closed without losing a connection that somebody has already.

The kernel takes connections before a process does, and when the last process lets go of a listener it resets those
that nobody has taken, with whatever was sent on them. So first it is told to answer no new ones, then what waits is
taken, and then whoever comes is refused: a refused caller knows that it may try elsewhere.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

EMPTIED_WITHIN_S = 1.0
_POLL_S = 0.01
_SO_ATTACH_FILTER = 26  # Source: asm-generic/socket.h; Python does not name it
_INSTRUCTION = struct.Struct("HBBI")
_PASS_UNLESS_NEW = (
    (0x30, 0, 0, 13),  # load the flags of the TCP header
    (0x45, 0, 1, 0x10),  # is ACK among them?
    (0x06, 0, 0, 0xFFFFFFFF),  # yes: pass, it belongs to a connection that has begun
    (0x06, 0, 0, 0),  # no: drop; its sender tries again a second later
)


def refuse(listeners: Sequence[Any]) -> None:
    """From now on connections to these listeners of gunicorn's are refused, in all processes that share them."""
    for listener in listeners:
        _drop_new(listener)
    give_up_at_s = time.monotonic() + EMPTIED_WITHIN_S
    while any(listener.get_backlog() > 0 for listener in listeners) and time.monotonic() < give_up_at_s:
        time.sleep(_POLL_S)
    for listener in listeners:
        listener.shutdown(socket.SHUT_RD)


def _drop_new(listener: Any) -> None:
    """Where a system has no such filters, the few connections of this instant may be lost."""
    with _program() as program:
        try:
            listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        except OSError:
            pass


@contextmanager
def _program() -> Iterator[bytes]:
    """A `struct sock_fprog`, which points to the instructions. Source: linux/filter.h."""
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*one) for one in _PASS_UNLESS_NEW))
    yield struct.pack("HP", len(_PASS_UNLESS_NEW), ctypes.addressof(code))
