"""A REST/JSON gateway in front of FreshBooks Classic's XML API.

Rooms, and the one direction in which they know each other:

    app → gateway.rest → gateway.policy → gateway.store | gateway.upstream → schemas

Leaves: errors, settings, telemetry; below them deadline, secret, trace.

The path of one request:

    JSON → schema → values → codec → envelope → transport → envelope or fault → codec → record → JSON

Records have one shape everywhere, that of their JSON. Every step but the transport is a pure function. Policies are
keyed on the remote procedure call's method and outcome (`gateway.errors.RpcOutcome`), never on an HTTP status.
"""
