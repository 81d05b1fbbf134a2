"""What the application is made of, for a server that takes some of its steps without the framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Request
from werkzeug.exceptions import HTTPException

from gateway.errors import GatewayError
from gateway.rest import headers
from gateway.rest.admission import Admission
from gateway.rest.auth import Authenticate
from gateway.rest.framing import Recorder
from gateway.rest.reading import Reading
from gateway.secret import Secret


@dataclass(frozen=True, slots=True)
class Heard:
    """What header lines say: on whose behalf a read is, and which representations its sender has already, None where it
    does not say."""

    token: Secret
    known: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Inbound:
    """The parts that reads need. `mode` is that of authentication; `vary` is the `Vary` of what reads answer."""

    authenticate: Authenticate
    admission: Admission
    readings: Sequence[Reading]
    recorder: Recorder
    mode: str
    vary: str

    def hear(self, variables: Mapping[str, str]) -> Heard | None:
        """What headers say, under the names that WSGI gives them; None when a request with these is to be refused."""
        said = Request(dict(variables))
        try:
            identity = self.authenticate(said)
            headers.check_accepts_json(said)
            return Heard(identity.token, headers.entity_tags(said, "If-None-Match"))
        except (GatewayError, HTTPException):
            return None
