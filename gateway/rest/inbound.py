"""What the application is made of, for a server that takes some of its steps without the framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.rest.admission import Admission
from gateway.rest.auth import Authenticate
from gateway.rest.framing import Recorder
from gateway.rest.reading import Reading


@dataclass(frozen=True, slots=True)
class Inbound:
    """The parts that reads need. `mode` is that of authentication; `vary` is the `Vary` of what reads answer."""

    authenticate: Authenticate
    admission: Admission
    readings: Sequence[Reading]
    recorder: Recorder
    mode: str
    vary: str
