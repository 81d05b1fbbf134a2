"""The records callers work with, each declared once.

One declaration drives validation (marshmallow), XML out and in (the codec) and the OpenAPI document. The shape of a
record is the same everywhere: the names of its JSON.
"""

from __future__ import annotations

from schemas.client import CLIENT
from schemas.resource import Resource

RESOURCES: tuple[Resource, ...] = (CLIENT,)
