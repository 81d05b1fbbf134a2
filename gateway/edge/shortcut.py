"""Plain reads, answered without the framework: from the cache at once, or by the operation itself.

What is answered here is what the application would have answered, header for header: the operations, authentication and
the judgement of headers are the application's own. What header lines say and what a target means is found out once and
remembered.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from flask import Request
from werkzeug.exceptions import HTTPException

from gateway.edge import plain, wire
from gateway.edge.plain import Fields
from gateway.edge.targets import Target, Targets
from gateway.errors import GatewayError, InternalDefect
from gateway.policy.cache import Cache
from gateway.policy.wishes import ANYTHING
from gateway.rest import Inbound, auth, defects, headers
from gateway.rest.answers import Answer, of_error
from gateway.rest.context import RequestContext
from gateway.rest.framing import cache_event
from gateway.secret import Secret
from gateway.telemetry import Log
from gateway.telemetry.tally import Tally

_VOICES_MAX = 4096
_TARGETS_MAX = 4096


@dataclass(frozen=True, slots=True)
class Voice:
    """What header lines say that may be heard again: whose they are, and what their sender has already (`known`).

    `targets` are those that the sender asked for lately.
    """

    token: Secret
    known: frozenset[str] | None
    targets: dict[bytes, Target] = field(default_factory=dict)


class PlainRead(NamedTuple):
    """A plain read; it ends at `end`. `fields` is None when nothing in its header lines is about this request alone."""

    voice: Voice
    target: Target
    fields: Fields | None
    end: int


class Shortcut:
    """Answers plain reads. `inline`: the cache is so near that the loop may ask it.

    Nobody's credentials are kept: what was heard is remembered under a digest that is keyed for this process.
    """

    def __init__(self, inbound: Inbound, cache: Cache, log: Log, *, inline: bool) -> None:
        self._inbound = inbound
        self._cache = cache
        self._log = log
        self._inline = inline
        self._targets = Targets(inbound.readings)
        self._heading = wire.Heading(inbound.vary)
        self._voices: dict[bytes, Voice | None] = {}
        self._key = secrets.token_bytes(32)

    def recognise(self, data: bytes, start: int) -> PlainRead | None:
        """The plain read that begins at `start`; None: there is none, and the application must see the request."""
        head = plain.split(data, start)
        if head is None:
            return None
        digest = hashlib.blake2b(head.fields, key=self._key, digest_size=16).digest()
        voice, fields = self._voices.get(digest), None
        if voice is None:
            voice, fields = self._hear(digest, head.fields)
        if voice is None:
            return None
        target = voice.targets.get(head.target) or self._find(voice, head.target)
        return None if target is None else PlainRead(voice, target, fields, head.end)

    def at_hand(self, read: PlainRead) -> Sequence[bytes] | None:
        """The answer, as parts to be sent, if the cache has it at hand; None: it must be asked for."""
        if not self._inline:
            return None
        shown = self._cache.at_hand(read.target.sought.place)
        if shown is None:
            return None
        context = self._context(read)
        answer = read.target.reading.shown(read.target.sought, read.voice.known, shown)
        self._cache.count_hit()
        return self._finish(context, answer)

    def answer(self, read: PlainRead) -> Sequence[bytes]:
        """The answer, as parts to be sent, from wherever it has to come."""
        context = self._context(read)
        recorder = self._inbound.recorder
        recorder.begin()
        try:
            with self._inbound.admission.place():
                errand = self._inbound.admission.errand(read.voice.token, context)
                answer = read.target.reading.answer(read.target.sought, read.voice.known, ANYTHING, errand)
        except GatewayError as error:
            context.error = auth.as_callers_see(error, self._inbound.mode)
            answer = of_error(context.error, context)
        except Exception as error:  # noqa: BLE001  a defect of ours is told like any other error
            defects.report(self._log, error, context.request_id)
            context.error = InternalDefect("The gateway met a defect of its own.")
            answer = of_error(context.error, context)
        finally:
            recorder.end()
        return self._finish(context, answer)

    def _context(self, read: PlainRead) -> RequestContext:
        said, target = read.fields or plain.NOTHING, read.target
        tally = Tally(self._inbound.recorder.take_up(said.traceparent, said.tracestate))
        request_id = headers.repeatable_id(said.x_request_id)
        return RequestContext(request_id, "GET", target.path, target.route, tally, target.label)

    def _finish(self, context: RequestContext, answer: Answer) -> Sequence[bytes]:
        context.status = answer.status
        context.cache = cache_event(answer.headers.get("Cache-Status"))
        self._inbound.recorder.record(context)
        return self._heading.around(answer, context)

    def _hear(self, digest: bytes, lines: bytes) -> tuple[Voice | None, Fields | None]:
        """Who says these header lines; None when they are not plain, or when the application must refuse them.

        Lines that are about one request alone will not be heard again, and are not remembered.
        """
        fields = plain.read(lines)
        voice = None if fields is None else self._understand(fields)
        if fields is not None and (fields.x_request_id or fields.traceparent or fields.tracestate):
            return voice, fields
        if len(self._voices) >= _VOICES_MAX:
            self._voices.clear()
        self._voices[digest] = voice
        return voice, None

    def _understand(self, fields: Fields) -> Voice | None:
        said = Request({name: value for name, value in zip(plain.VARIABLES, fields, strict=True) if value is not None})
        try:
            identity = self._inbound.authenticate(said)
            headers.check_accepts_json(said)
            return Voice(identity.token, headers.entity_tags(said, "If-None-Match"))
        except (GatewayError, HTTPException):
            return None

    def _find(self, voice: Voice, target: bytes) -> Target | None:
        found = self._targets.find(target, voice.token)
        if found is not None:
            if len(voice.targets) >= _TARGETS_MAX:
                voice.targets.clear()
            voice.targets[target] = found
        return found
