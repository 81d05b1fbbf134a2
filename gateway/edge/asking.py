"""Plain reads understood: who asks, for what, and what they have already."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from gateway.edge import plain
from gateway.edge.hot import Hot
from gateway.edge.plain import Fields
from gateway.edge.targets import Target, Targets
from gateway.rest.inbound import Heard, Inbound

_REMEMBERED_MAX = 4096
_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class Wanted:
    """A target, wanted by those who are heard to say the same. `hot` is the answer as it was given last, None if it
    never was."""

    target: Target
    heard: Heard
    hot: Hot | None = None
    keys: tuple[bytes, bytes] = field(init=False)

    def __post_init__(self) -> None:
        place = self.target.sought.place
        self.keys = (place.key, place.stamp_key)


class Ask(NamedTuple):
    """One plain read, which ends at `end`. `fields` is None when no header line is about this request alone;
    `confidential`: its bytes are nobody else's business."""

    wanted: Wanted
    fields: Fields | None
    end: int
    confidential: bool


@dataclass(frozen=True, slots=True)
class _Voice:
    """Everything that header lines say which others may say as well, and what was wanted with them lately."""

    heard: Heard
    wanted: dict[bytes, Wanted] = field(default_factory=dict)


class Asking:
    """Understands plain reads, each way of asking once.

    Nobody's credentials are kept: what has any is remembered under a digest that is keyed for this process.
    """

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self._targets = Targets(inbound.readings)
        self._voices: dict[bytes, _Voice | None] = {}
        self._whole: dict[bytes, Ask] = {}
        self._key = secrets.token_bytes(32)

    def whole(self, data: bytes) -> Ask | None:
        """The plain read that `data` is, no more and no less; None: it is something else."""
        known = self._whole.get(data) or self._whole.get(self._digest(data))
        if known is not None:
            return known
        ask = self.first(data)
        if ask is None or ask.end != len(data):
            return None
        if ask.fields is None:
            _remember(self._whole, self._digest(data) if ask.confidential else data, ask)
        return ask

    def first(self, data: bytes, start: int = 0) -> Ask | None:
        """The plain read that begins at `start`; None: there is none, and the application must see the request."""
        head = plain.split(data, start)
        fields = None if head is None else plain.read(head.fields)
        voice = None if fields is None else self._voice(fields)
        if head is None or fields is None or voice is None:
            return None
        wanted = voice.wanted.get(head.target) or self._find(voice, head.target)
        if wanted is None:
            return None
        own = fields if fields.x_request_id or fields.traceparent or fields.tracestate else None
        return Ask(wanted, own, head.end, fields.authorization is not None or b"ookie" in head.fields)

    def _voice(self, fields: Fields) -> _Voice | None:
        said = "\0".join([text or "" for text in fields[: plain.COMMON_TOTAL]]).encode("ascii")
        digest = self._digest(said)
        if digest not in self._voices:
            _remember(self._voices, digest, self._understand(fields))
        return self._voices[digest]

    def _understand(self, fields: Fields) -> _Voice | None:
        """None when the application must refuse the request."""
        variables = zip(plain.VARIABLES, fields, strict=True)
        heard = self._inbound.hear({name: text for name, text in variables if text is not None})
        return None if heard is None else _Voice(heard)

    def _find(self, voice: _Voice, target: bytes) -> Wanted | None:
        found = self._targets.find(target, voice.heard.token)
        if found is None:
            return None
        wanted = Wanted(found, voice.heard)
        _remember(voice.wanted, target, wanted)
        return wanted

    def _digest(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=self._key, digest_size=16).digest()


def _remember(memory: dict[bytes, _T], name: bytes, what: _T) -> None:
    """A memory that is full forgets everything: what is asked for again is soon back."""
    if len(memory) >= _REMEMBERED_MAX:
        memory.clear()
    memory[name] = what
