"""The problems (RFC 9457) in the document: their schema, an example of each, and the answers they make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway import errors
from gateway.errors import FieldError, GatewayError, Written
from gateway.rest import problems
from gateway.rest.operations import OPERATIONS, Operation
from gateway.rest.problems import MEDIA_TYPE, PROBLEMS, Problem
from tools.openapi.headers import answer_headers

Node = dict[str, Any]

_REQUEST_ID = "8d2f0c9ab3a04e0f9f0d6f8b2c1e4a57"
_MISSING_FIELD = errors.Fault(40040, "Missing required field: 'email'.")
READINESS_EXAMPLE: Node = {
    "draining": False,
    "store": {"coordination": "ok", "records": "ok", "cache": "ok"},
    "upstream": "closed",
}
_SAMPLES: Sequence[GatewayError] = (
    errors.MalformedBody("The body is not JSON: Expecting value at line 1, column 11."),
    errors.InvalidQuery(
        "A query parameter is unknown or has a bad value.",
        errors=[FieldError("out_of_range", "Must be a whole number from 1 to 100.", parameter="per_page")],
    ),
    errors.InvalidHeader(
        "If-Match cannot be read.",
        errors=[
            FieldError(
                "invalid_precondition",
                'Must be * or entity tags in double quotes, such as "33a64df5".',
                header="If-Match",
            )
        ],
    ),
    errors.InvalidFields(
        "Some fields are not valid.",
        errors=[
            FieldError("invalid_email", "Must be an e-mail address.", pointer="/email"),
            FieldError(
                "unknown_field",
                'Unknown field. Did you mean "first_name"?',
                pointer="/fist_name",
                suggestion="first_name",
            ),
        ],
    ),
    errors.RecordNotFound(
        "There is no such record.", fault=errors.Fault(50010, "'client_id' not found. Client not found.")
    ),
    errors.FieldsRejected(
        "The upstream refused the fields that were sent.",
        fault=_MISSING_FIELD,
        errors=[FieldError("refused_by_upstream", _MISSING_FIELD.message, pointer="/email")],
    ),
    errors.ActionRefused(
        "The upstream refused the action.", fault=errors.Fault(50020, "Failed to delete client. Request failed.")
    ),
    errors.CredentialsRejected(
        "The upstream rejected the credentials.", fault=errors.Fault(20010, "Authentication failed.")
    ),
    errors.DeadlinePassed("There was no answer in time.", sent=True),
    errors.WriteInDoubt(
        "The write was sent and it cannot be told whether it was applied.", see="/clients?email=ada%40example.com"
    ),
    errors.ChangedFromOutside(
        "The change was made, and somebody else changed the record past the gateway at the same moment.",
        errors=[
            FieldError(
                "changed_from_outside",
                "Somebody changed this field past the gateway at the same moment.",
                pointer="/organization",
            )
        ],
    ),
    errors.NotReady("The gateway is about to end.", {**READINESS_EXAMPLE, "draining": True}),
    errors.SeveralCandidates("Several records could be the one that was asked for.", candidates=(61, 62)),
)
_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    428: "Precondition Required",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
"""RFC 9110 §15 and RFC 6585. Python's own table says something else in every other version."""
_SOMETIMES_WITH = {errors.ChangedFromOutside: ("ETag",), errors.RecordNotFound: ("Cache-Status", "Age")}
_ALWAYS_WITH_STATUS = {
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    412: ("ETag",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}


def schema() -> Node:
    """The one shape of every answer from 400 up."""
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "What went wrong, for machines and people (RFC 9457). Every answer from 400 up has this shape.",
        "required": ["type", "title", "status", "detail", "instance", "code", "request_id", "retryable"],
        "properties": {
            "type": {
                "type": "string",
                "format": "uri-reference",
                "enum": [problem.type for problem in PROBLEMS],
                "description": "The page that says what this kind of problem means and what to do.",
            },
            "title": {**text, "description": "The kind of problem, in words."},
            "status": {"type": "integer", "enum": sorted({problem.status for problem in PROBLEMS})},
            "detail": {**text, "description": "What went wrong this time."},
            "instance": {**text, "description": "The path that was asked for."},
            "code": {
                "type": "string",
                "enum": [problem.code for problem in PROBLEMS],
                "description": "The kind of problem, for programs. It stays the same for ever.",
            },
            "request_id": {**text, "description": "The answer's `X-Request-Id`, to tell to the gateway's operators."},
            "retryable": {
                "type": "boolean",
                "description": "Whether the very same request may be sent again without harm.",
            },
            "outcome": {
                "type": "string",
                "enum": [written.value for written in Written],
                "description": "Only when the request writes: what became of the write.",
            },
            "errors": {
                "type": "array",
                "minItems": 1,
                "description": "The places of the request that are wrong, where they are known.",
                "items": _place(),
            },
            "upstream": {
                "type": "object",
                "description": "FreshBooks Classic's own words, when it was the one to refuse.",
                "required": ["code", "message"],
                "properties": {"code": {"type": ["integer", "null"]}, "message": text},
                "additionalProperties": False,
            },
            "see": {
                **text,
                "format": "uri-reference",
                "description": "The query that tells what became of a write whose outcome is unknown.",
            },
            "candidates": {
                "type": "array",
                "minItems": 2,
                "items": {"type": "integer", "minimum": 1},
                "description": "The ids of the records that a create of unknown outcome may have made.",
            },
            "readiness": {**readiness(), "description": "Why the gateway is not ready."},
        },
    }


def readiness() -> Node:
    """What a gateway says of whether requests should come to it."""
    state = {"type": "string", "enum": ["ok", "down"]}
    return {
        "type": "object",
        "required": ["draining", "store", "upstream"],
        "properties": {
            "draining": {"type": "boolean", "description": "Whether it is about to end."},
            "store": {
                "type": "object",
                "description": "Whether each part of what workers share can be asked.",
                "additionalProperties": state,
            },
            "upstream": {
                "type": "string",
                "enum": ["closed", "open", "half_open"],
                "description": "The circuit before the upstream; it decides nothing here.",
            },
        },
    }


def _place() -> Node:
    text = {"type": "string"}
    where = {
        "pointer": {**text, "format": "json-pointer", "description": "Into the body (RFC 6901)."},
        "parameter": {**text, "description": "A query parameter."},
        "header": {**text, "description": "A request header."},
    }
    return {
        "type": "object",
        "description": "One thing that is wrong. Exactly one of `pointer`, `parameter` and `header` says where.",
        "required": ["code", "detail"],
        "properties": {
            **where,
            "code": {**text, "description": "What is wrong, for programs."},
            "detail": {**text, "description": "What is wrong, in words."},
            "suggestion": {**text, "description": "The name that was probably meant."},
        },
        "oneOf": [{"required": [name]} for name in where],
        "additionalProperties": False,
    }


def responses(operation: Operation) -> dict[str, Node]:
    """References to the answers of an operation from 400 up, by status."""
    names = {status: _shared_name(status, operation) for status in _statuses(operation)}
    return {str(status): {"$ref": f"#/components/responses/{name}"} for status, name in names.items()}


def components() -> dict[str, Node]:
    """The answers from 400 up by name: those of the operations, and three to requests that are no operation's."""
    shared = {
        _shared_name(status, operation): _operation_response(status, operation)
        for operation in OPERATIONS
        for status in _statuses(operation)
    }
    no_operations = (errors.RouteNotFound, errors.MethodNotAllowed, errors.NotReady)
    apart = {error.__name__: error for error in no_operations}
    return dict(sorted(shared.items())) | {
        name: _response([problems.BY_CODE[error.code]], None) for name, error in apart.items()
    }


def _statuses(operation: Operation) -> list[int]:
    return sorted({problem.status for problem in PROBLEMS if problem.when in operation.traits})


def _operation_response(status: int, operation: Operation) -> Node:
    met = [problem for problem in PROBLEMS if problem.status == status and problem.when in operation.traits]
    return _response(met, operation)


def _shared_name(status: int, operation: Operation) -> str:
    """Operations of one family share an answer when it is the same for all of them that have it."""
    family = [one for one in OPERATIONS if _family(one) == _family(operation) and status in _statuses(one)]
    is_shared = all(_operation_response(status, one) == _operation_response(status, operation) for one in family)
    return f"{_PHRASES[status].title().replace(' ', '')}.{_family(operation) if is_shared else operation.name}"


def _family(operation: Operation) -> str:
    """Problems tell more about a write, and something else about a deletion."""
    if not operation.writes:
        return "read"
    return "delete" if operation.name == "delete" else "write"


def _response(met: Sequence[Problem], operation: Operation | None) -> Node:
    status = met[0].status
    required = [*_ALWAYS_WITH_STATUS.get(status, ())]
    if status == 415 and operation is not None:
        required.append("Accept-Patch" if operation.http_method == "PATCH" else "Accept-Post")
    optional = tuple(name for problem in met for name in _SOMETIMES_WITH.get(problem.error, ()))
    narrowed: Node = {"properties": {"status": {"const": status}, "code": {"enum": [problem.code for problem in met]}}}
    if silent := [problem.code for problem in met if not _tells_outcome(problem, operation)]:
        if len(silent) < len(met):
            narrowed |= {"if": {"properties": {"code": {"enum": silent}}}, "else": {"required": ["outcome"]}}
    else:
        narrowed["required"] = ["outcome"]
    examples = {problem.code: {"$ref": f"#/components/examples/{_name(problem, operation)}"} for problem in met}
    body = {"schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}, "examples": examples}
    return {
        "description": "\n".join([f"{_PHRASES[status]}\n", *map(_line, met)]),
        "headers": answer_headers("Cache-Control", *required, optional=optional),
        "content": {MEDIA_TYPE: body},
    }


def _tells_outcome(problem: Problem, operation: Operation | None) -> bool:
    """Every problem of an operation that writes, but for the one that says there is no such operation."""
    return operation is not None and operation.writes and problem.error is not errors.RouteNotFound


def _line(problem: Problem) -> str:
    return f"- [`{problem.code}`]({problem.type}): {problem.meaning}"


def examples() -> dict[str, Node]:
    """An example of every problem, and another one where writing or deleting makes a difference."""
    met = [(problem, one) for problem in PROBLEMS for one in OPERATIONS if problem.when in one.traits]
    apart = [(problem, None) for problem in PROBLEMS if problem.when is None or problem.error is errors.RouteNotFound]
    named: dict[str, Node] = {}
    for problem, one in [*met, *apart]:
        named.setdefault(_name(problem, one), _example(problem, one))
    return named


def _name(problem: Problem, operation: Operation | None) -> str:
    """What an operation's example of a problem is called: they differ by what is said about the write."""
    if operation is not None and _tells_outcome(problem, operation):
        return f"{problem.code}.{_family(operation)}"
    return problem.code


def _example(problem: Problem, operation: Operation | None) -> Node:
    value = problems.document(
        _sample(problem),
        instance=_instance(problem, operation),
        request_id=_REQUEST_ID,
        writes=_tells_outcome(problem, operation),
        harmless=operation is not None and operation.name == "delete",
    )
    return {"summary": problem.title, "value": value}


def _instance(problem: Problem, operation: Operation | None) -> str:
    if problem.error is errors.RouteNotFound:
        return "/clients/013"
    if problem.error is errors.NotReady:
        return "/readyz"
    return "/clients/13" if operation is None or operation.on_record else "/clients"


def _sample(problem: Problem) -> GatewayError:
    """An error of the kind; what has no sample of its own is told with the problem's meaning."""
    made = [sample for sample in _SAMPLES if type(sample) is problem.error]
    return made[0] if made else problem.error(_first_sentence(problem.meaning))


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".") + "."
