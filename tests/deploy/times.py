"""How long a gateway takes to end, and how deployments write times."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from gateway.settings import Settings
from tests.support.pages import ROOT

END_SPARE_S = 10
"""What a deployment must leave beyond that: for a machine under load, and for the last bytes to go out."""

_GRACE = re.compile(r"^graceful_timeout = .*upstream_deadline_s.* \+ (\d+)$", re.MULTILINE)
_DEFAULTS = {field.name.upper(): field.metadata["default"] for field in dataclasses.fields(Settings)}


def grace_s() -> float:
    """What gunicorn.conf.py adds to the deadline for requests in hand."""
    found = _GRACE.search((ROOT / "gunicorn.conf.py").read_text(encoding="utf-8"))
    assert found is not None
    return float(found[1])


def end_s(environment: Mapping[str, str]) -> float:
    """The longest a gateway with this environment takes from TERM to its end."""
    drain_s, deadline_s = (
        float(environment.get(name) or _DEFAULTS[name]) for name in ("GATEWAY_DRAIN_S", "UPSTREAM_DEADLINE_S")
    )
    return drain_s + deadline_s + grace_s()


def seconds(text: str) -> float:
    """Of `30s`, as compose and nginx write it."""
    found = re.fullmatch(r"(\d+)s", text)
    assert found is not None, f"{text} is not in seconds"
    return float(found[1])
