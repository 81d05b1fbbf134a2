"""The whole document, put together from its parts."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.resource import Resource
from tools.openapi import errors, headers, operations, probes
from tools.openapi.bodies import Bodies

Node = dict[str, Any]
ROOT = Path(__file__).parents[2]

DESCRIPTION = """\
FreshBooks Classic speaks XML over one single URL. This gateway speaks for it in REST and JSON.
`GET /clients?per_page=2` is a good first call: two clients, and in the `Link` header the way to the rest.

**Who may call** is the operators' choice: callers with an API key (`Authorization: Bearer KEY`), callers with a
FreshBooks token of their own (the user name of Basic credentials), or, on the gateway's own machine, everybody.

**Records.** On reading every key is there, and what is empty is `null`; amounts are decimal numbers in strings. On
writing only what this document names is accepted, and in texts what XML 1.0 can carry (the long pattern). `PATCH`
changes what is named, `PUT` clears what is left out. A write answers with the record as the upstream then has it,
unless `Prefer: return=minimal` spares that.

**Two callers, one record.** `ETag` names the state of a record. In `If-Match` it lets a change happen only if nobody
was faster; in `If-None-Match` it spares the body of a read while nothing changed.

**Errors.** Every answer from 400 up is an `application/problem+json` document (RFC 9457). Its `code` stays the same
for ever, its `type` leads to a page that says what to do, `errors` points at the places that are wrong, `retryable`
says whether the same request may be sent again without harm, and after a failed write `outcome` says what became of it:
`not_applied`, `applied` or `unknown`. A path that does not exist is a 404, a method that a path does not have a 405
with `Allow`. The `X-Request-Id` of an answer is what the gateway's operators ask for when something is odd.

`HEAD` is answered wherever `GET` is, without a body, and `OPTIONS` everywhere.
"""

SECURITY_SCHEMES: Node = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key that the gateway's operators gave out (`GATEWAY_AUTH=keys`).",
    },
    "freshBooksToken": {
        "type": "http",
        "scheme": "basic",
        "description": "The FreshBooks API token as the user name, any password (`GATEWAY_AUTH=passthrough`). It goes "
        "upstream as it is.",
    },
}


def build(resources: Sequence[Resource]) -> Node:
    """The OpenAPI 3.1 document for the resources."""
    return {
        "openapi": "3.1.1",
        "info": _info(),
        "servers": [{"url": "/", "description": "The gateway that this document comes from."}],
        "tags": [*map(operations.tag, resources), probes.TAG],
        "security": [*({name: []} for name in SECURITY_SCHEMES), {}],
        "paths": {**operations.all_path_items(resources), **probes.path_items()},
        "components": {
            "schemas": {**Bodies(resources).schemas, "Problem": errors.schema()},
            "parameters": headers.PARAMETERS,
            "headers": headers.components(),
            "responses": errors.components(),
            "examples": {**operations.examples(resources), **errors.examples()},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _info() -> Node:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "title": "FreshBooks gateway",
        "summary": project["description"],
        "version": project["version"],
        "description": DESCRIPTION,
        "license": {"name": "Apache License 2.0", "identifier": project["license"]},
    }
