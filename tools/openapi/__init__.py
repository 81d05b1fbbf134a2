"""The OpenAPI document, generated: `python -m tools.openapi` writes openapi.yaml and openapi.json.

Nothing about a record, a route or a problem is written down here a second time. The schemas come from
`schemas.RESOURCES`, the operations from `gateway.rest.resources.OPERATIONS`, the errors from
`gateway.rest.problems.PROBLEMS`; only prose is at home here.

There is no general marshmallow-to-OpenAPI converter behind it, because the house field types carry their own JSON
Schema: a converter would have to be taught each of them, and would guess wrong where it was not.
"""
