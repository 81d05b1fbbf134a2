"""Plain reads understood: who asks, for what, and what they have already."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import msgspec

from gateway.edge import plain
from gateway.edge.hot import Hot
from gateway.edge.plain import Fields
from gateway.edge.targets import Target, Targets
from gateway.rest.inbound import Heard, Inbound

REMEMBERED_MAX = 4096
_Name = TypeVar("_Name")
_What = TypeVar("_What")


@dataclass(slots=True, eq=False)
class Wanted:
    """A target, wanted by those who are heard to say the same. `hot` is the answer as it was given last, None if it
    never was; `keys` are those of the copy and of its stamp, which tell whether it still holds."""

    target: Target
    heard: Heard
    hot: Hot | None = None
    keys: tuple[bytes, bytes] = field(init=False)

    def __post_init__(self) -> None:
        place = self.target.sought.place
        self.keys = (place.key, place.stamp_key)


class Ask(msgspec.Struct, frozen=True):
    """One plain read, which ends at `end`. `fields` is None when no header line is about this request alone;
    `confidential`: its bytes are nobody else's business."""

    wanted: Wanted
    fields: Fields | None
    end: int
    confidential: bool


class _Lines(NamedTuple):
    """Header lines, read. `are_own`: some are about one request alone."""

    voice: bytes
    fields: Fields
    are_own: bool
    are_confidential: bool


class Asking:
    """Understands plain reads, each way of asking once.

    Nobody's credentials are kept: what has any is remembered under a digest that is keyed for this process. A voice is
    everything that header lines say which others may say as well, named by such a digest.
    """

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self._targets = Targets(inbound.readings)
        self._lines: dict[bytes, _Lines] = {}
        self._voices: dict[bytes, Heard | None] = {}
        self._wanted: dict[tuple[bytes, bytes], Wanted] = {}
        self._whole: dict[bytes, Ask] = {}
        self._key = secrets.token_bytes(32)

    def whole(self, data: bytes) -> Ask | None:
        """The plain read that `data` is, no more and no less; None: it is something else."""
        known = self._whole.get(data)
        if known is None and (data.find(b"uthorization: ") >= 0 or data.find(b"ookie: ") >= 0):  # `in` is far slower
            known = self._whole.get(self._digest(data))
        if known is not None:
            return known
        ask = self.first(data)
        if ask is None or ask.end != len(data):
            return None
        if ask.fields is None:
            self._remember(self._whole, self._digest(data) if ask.confidential else data, ask)
        return ask

    def first(self, data: bytes, start: int = 0) -> Ask | None:
        """The plain read that begins at `start`; None: there is none, and the application must see the request."""
        head = plain.split(data, start)
        lines = None if head is None else self._read(head.fields)
        if head is None or lines is None:
            return None
        wanted = self._wanted.get((lines.voice, head.target)) or self._find(lines.voice, lines.fields, head.target)
        if wanted is None:
            return None
        return Ask(wanted, lines.fields if lines.are_own else None, head.end, lines.are_confidential)

    def _read(self, lines: bytes) -> _Lines | None:
        """None: they are not plain."""
        name = self._digest(lines)
        if (known := self._lines.get(name)) is not None:
            return known
        fields = plain.read(lines)
        if fields is None:
            return None
        voice = self._digest("\0".join([text or "" for text in fields[: plain.COMMON_TOTAL]]).encode("ascii"))
        are_own = bool(fields.x_request_id or fields.traceparent or fields.tracestate)
        read = _Lines(voice, fields, are_own, fields.authorization is not None or b"cookie" in lines.lower())
        if not are_own:
            self._remember(self._lines, name, read)
        return read

    def forget(self) -> None:
        """Everything: what is asked for again is soon back."""
        for memory in (self._lines, self._voices, self._wanted, self._whole):
            memory.clear()

    def _find(self, voice: bytes, fields: Fields, target: bytes) -> Wanted | None:
        heard = self._heard(voice, fields)
        found = None if heard is None else self._targets.find(target, heard.token)
        if heard is None or found is None:
            return None
        wanted = Wanted(found, heard)
        self._remember(self._wanted, (voice, target), wanted)
        return wanted

    def _heard(self, voice: bytes, fields: Fields) -> Heard | None:
        """None when the application must refuse the request."""
        if voice not in self._voices:
            variables = zip(plain.VARIABLES, fields, strict=True)
            heard = self._inbound.hear({name: text for name, text in variables if text is not None})
            self._remember(self._voices, voice, heard)
        return self._voices[voice]

    def _remember(self, memory: dict[_Name, _What], name: _Name, what: _What) -> None:
        """What is remembered holds on to what the other memories have, so all are full when one is."""
        if len(memory) >= REMEMBERED_MAX:
            self.forget()
        memory[name] = what

    def _digest(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=self._key, digest_size=16).digest()
