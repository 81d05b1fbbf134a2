"""The one status table: which error is which problem (RFC 9457), and what its page says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway import errors
from gateway.errors import FieldError, GatewayError, InternalDefect, RpcOutcome, UpstreamError, Written

MEDIA_TYPE = "application/problem+json"
_ECHO_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of problem.

    `when` is the trait of the operations that can meet it (see `Operation.traits`); None when a request that meets it
    is no operation's. `transient` says that waiting may be all it takes.
    """

    error: type[GatewayError]
    status: int
    title: str
    meaning: str
    remedy: str
    when: str | None = "any"
    transient: bool = False

    @property
    def code(self) -> str:
        return self.error.code

    @property
    def slug(self) -> str:
        return self.code.replace("_", "-")

    @property
    def type(self) -> str:
        return f"/problems/{self.slug}"


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        errors.MalformedRequest,
        400,
        "The request is not HTTP",
        "The request line or a header is not HTTP/1.1 (RFC 9112), or it says two things about where the body ends. The "
        "connection is closed.",
        "Send the request with a client that speaks HTTP/1.1.",
        when=None,
    ),
    Problem(
        errors.UriTooLong,
        414,
        "The URL is too long",
        "The request line is longer than 4094 bytes. The connection is closed.",
        "Shorten the query.",
        when=None,
    ),
    Problem(
        errors.HeadersTooLarge,
        431,
        "The headers are too large",
        "There are more than 100 headers, one of them is longer than 8190 bytes, or all of them than 64 KiB. The "
        "connection is closed.",
        "Send fewer or shorter headers.",
        when=None,
    ),
    Problem(
        errors.ExpectationUnknown,
        417,
        "The expectation is unknown",
        "`Expect` asks for something else than `100-continue`. The connection is closed.",
        "Leave out the header, or ask for `100-continue`.",
        when=None,
    ),
    Problem(
        errors.TransferCodingUnknown,
        501,
        "The transfer coding is unknown",
        "`Transfer-Encoding` names a coding that the gateway does not read. The connection is closed.",
        "Send the body with a `Content-Length`, or `chunked` alone.",
        when=None,
    ),
    Problem(
        errors.MalformedBody,
        400,
        "The body cannot be read",
        "The body is not JSON, is not an object, or has a key twice. Nothing was sent upstream.",
        "Send one JSON object in UTF-8 (RFC 8259), each key once.",
        when="body",
    ),
    Problem(
        errors.InvalidQuery,
        400,
        "A query parameter is wrong",
        "A query parameter is unknown, repeated, or has a value that is not allowed; `errors` names it.",
        "Correct the parameters that `errors` names.",
    ),
    Problem(
        errors.InvalidHeader,
        400,
        "A request header cannot be read",
        "A request header does not have the form its standard asks for; `errors` names it.",
        "Correct the headers that `errors` names.",
    ),
    Problem(
        errors.Unauthenticated,
        401,
        "Credentials are missing or wrong",
        "The request carries no credentials, or ones that are not accepted.",
        "Send the credentials that the `WWW-Authenticate` header asks for.",
    ),
    Problem(
        errors.Forbidden,
        403,
        "Not allowed",
        "The request was understood and is refused.",
        "Call the gateway by a name of its own machine; it is open to that machine only.",
    ),
    Problem(
        errors.RouteNotFound,
        404,
        "No such route",
        "The gateway has nothing at this path. A record's id is a positive decimal integer without leading zeros.",
        "See /docs for the routes there are.",
        when="item",
    ),
    Problem(
        errors.RecordNotFound,
        404,
        "No such record",
        "There is no record with this id that these credentials may see, or it is deleted.",
        "Check the id. A deleted record is found by listing the folder `deleted`.",
        when="item",
    ),
    Problem(
        errors.MethodNotAllowed,
        405,
        "Method not allowed",
        "The path exists, but not with this method.",
        "Use one of the methods in the `Allow` header.",
        when=None,
    ),
    Problem(
        errors.NotAcceptable,
        406,
        "No acceptable representation",
        "The `Accept` header excludes everything the gateway can answer with.",
        "Accept `application/json`.",
    ),
    Problem(
        errors.PreconditionFailed,
        412,
        "The record has changed",
        "`If-Match` names an older representation than the current one. Nothing was changed.",
        "Read the record again, merge your change, and send it with the new `ETag`.",
        when="change",
    ),
    Problem(
        errors.BodyTooLarge,
        413,
        "The body is too large",
        "The body is longer than 1 MiB.",
        "Send less.",
        when="body",
    ),
    Problem(
        errors.UnsupportedMediaType,
        415,
        "The body's media type is not supported",
        "The route does not read bodies of this `Content-Type` or `Content-Encoding`.",
        "Send one of the types in the `Accept-Post` or `Accept-Patch` header, in UTF-8 and not compressed.",
        when="body",
    ),
    Problem(
        errors.InvalidFields,
        422,
        "Some fields are not valid",
        "The body breaks the schema; `errors` points at each place. Nothing was sent upstream.",
        "Correct the fields that `errors` points at.",
        when="body",
    ),
    Problem(
        errors.FieldsRejected,
        422,
        "The upstream refused the fields",
        "FreshBooks Classic does not accept what was sent; `upstream` has its own words.",
        "Correct the fields that `errors` or `upstream` names.",
    ),
    Problem(
        errors.ActionRefused,
        409,
        "The upstream refused the action",
        "FreshBooks Classic does not allow this action on the record as it is; `upstream` has its own words.",
        "Bring the record into a state that allows the action.",
    ),
    Problem(
        errors.PreconditionRequired,
        428,
        "If-Match is required",
        "This gateway takes changes only together with the `ETag` of the representation they start from.",
        "Read the record, and send its `ETag` in `If-Match`.",
        when="change",
    ),
    Problem(
        errors.RateExceeded,
        429,
        "Too many requests",
        "The caller has made as many requests in this minute as it may. This one was not looked at further.",
        "Go on after the seconds in `Retry-After`.",
        transient=True,
    ),
    Problem(
        errors.KeyInFlight,
        409,
        "A request with this key is being worked on",
        "Another request with the same `Idempotency-Key` has not been answered yet; `outcome` is unknown until it is. "
        "This one sent nothing.",
        "Send the same request again after the seconds in `Retry-After`; it will then get the answer.",
        when="write",
        transient=True,
    ),
    Problem(
        errors.KeyReused,
        422,
        "The key was used with another payload",
        "An `Idempotency-Key` stands for one request. This one came before with another payload.",
        "Use a new key for a new request.",
        when="write",
    ),
    Problem(
        errors.SeveralCandidates,
        409,
        "Several records could be the new one",
        "The answer to the create was lost, and more than one new record has all its fields (`candidates`).",
        "Look at the candidates, and delete what should not be there.",
        when="create",
    ),
    Problem(
        errors.ChangedFromOutside,
        409,
        "The record was changed from outside meanwhile",
        "The change was made, but in the moment between the comparison with `If-Match` and the change somebody changed "
        "other fields of the record past the gateway; `errors` points at them.",
        "Read the record again and see whether both changes go together.",
        when="change",
    ),
    Problem(
        errors.NotCached,
        504,
        "There is no cached copy",
        "`Cache-Control: only-if-cached` forbids asking the upstream, and there is no copy that will do.",
        "Ask without `only-if-cached`.",
        when="read",
    ),
    Problem(
        errors.WriteInDoubt,
        504,
        "It cannot be told whether the write was applied",
        "The write was sent, its answer was lost, and looking for its effect gave no certainty.",
        "Look with the query in `see`. With an `Idempotency-Key` the same request may be sent again: it finds out, and "
        "no record is created twice.",
        when="write",
        transient=True,
    ),
    Problem(
        errors.CircuitOpen,
        503,
        "The upstream is left alone for a while",
        "FreshBooks Classic kept failing, so it is not asked for now. Nothing was sent.",
        "Try again after the seconds in `Retry-After`.",
        transient=True,
    ),
    Problem(
        errors.Overloaded,
        503,
        "The gateway is busy",
        "It has as many requests in hand as it can take. Nothing was sent.",
        "Try again after the seconds in `Retry-After`.",
        transient=True,
    ),
    Problem(
        errors.RecordBusy,
        503,
        "The record is being changed",
        "Changes of one record follow each other, and the one before did not finish in time. Nothing was sent.",
        "Try again after the seconds in `Retry-After`.",
        when="change",
        transient=True,
    ),
    Problem(
        errors.StoreUnavailable,
        503,
        "The gateway's memory cannot be asked",
        "Without it neither an `Idempotency-Key` nor a condition (`If-Match`) can be honoured, so nothing was sent.",
        "Try again after the seconds in `Retry-After`.",
        when="write",
        transient=True,
    ),
    Problem(
        errors.NotReady,
        503,
        "The gateway is not ready",
        "It is about to end, or its store cannot be asked; `readiness` says which. Requests are served as well as they "
        "can be.",
        "Send requests to another gateway until `/readyz` answers 200.",
        when=None,
        transient=True,
    ),
    Problem(
        errors.CredentialsRejected,
        502,
        "The upstream rejects the gateway's credentials",
        "FreshBooks Classic does not accept the API token that the gateway is configured with.",
        "Tell the gateway's operators. With credentials of your own (passthrough) this is a 401 instead.",
    ),
    Problem(
        errors.GarbledAnswer,
        502,
        "The upstream's answer makes no sense",
        "The answer is not the API's: a web page, a redirect, foreign XML, or too much of it.",
        "Tell the gateway's operators. After a write, `outcome` says whether it may have been applied.",
        transient=True,
    ),
    Problem(
        errors.UpstreamFailed,
        502,
        "The upstream failed",
        "FreshBooks Classic broke while working, or reported a fault that nobody knows.",
        "Try again later. After a write, `outcome` says whether it may have been applied.",
        transient=True,
    ),
    Problem(
        errors.AnswerLost,
        502,
        "The upstream's answer was lost",
        "The request went out and the connection broke before its answer was complete.",
        "After a write, look whether it was applied before you send it again.",
        transient=True,
    ),
    Problem(
        errors.NotSent,
        503,
        "The upstream cannot be reached",
        "No connection to FreshBooks Classic could be made, so nothing was sent.",
        "Try again after the seconds in `Retry-After`.",
        transient=True,
    ),
    Problem(
        errors.Throttled,
        503,
        "The upstream takes no more calls for now",
        "FreshBooks Classic answered that there were too many calls. Nothing was changed.",
        "Try again after the seconds in `Retry-After`.",
        transient=True,
    ),
    Problem(
        errors.UpstreamUnavailable,
        503,
        "The upstream is unavailable",
        "FreshBooks Classic is in maintenance or overloaded, and did not take the request on.",
        "Try again after the seconds in `Retry-After`.",
        transient=True,
    ),
    Problem(
        errors.DeadlinePassed,
        504,
        "The deadline passed",
        "There was no answer from FreshBooks Classic in the time the request may take.",
        "After a write, `outcome` says whether it may have been applied. A read may be sent again.",
        transient=True,
    ),
    Problem(
        InternalDefect,
        500,
        "A defect of the gateway",
        "Something went wrong that should not be possible.",
        "Tell the gateway's operators the `request_id`.",
    ),
)

BY_CODE: Mapping[str, Problem] = {problem.code: problem for problem in PROBLEMS}
BY_SLUG: Mapping[str, Problem] = {problem.slug: problem for problem in PROBLEMS}
RETRY_AFTER_S = 5
"""What `Retry-After` says with 503 when the upstream said nothing."""


def document(error: GatewayError, *, instance: str, request_id: str, writes: bool, harmless: bool) -> dict[str, Any]:
    """The problem document for an error met at the path `instance` by a request that `writes`.

    `harmless` says that sending a write again changes nothing more, even if it was applied.
    """
    problem = BY_CODE[error.code]
    body: dict[str, Any] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": printable(error.detail),
        "instance": quote(printable(instance), safe="/:@!$&'()*+,;="),
        "code": problem.code,
        "request_id": request_id,
        "retryable": problem.transient and (not writes or harmless or error.written is Written.NOT_APPLIED),
    }
    if writes:
        body["outcome"] = error.written.value
    if error.errors:
        body["errors"] = [_place(one) for one in error.errors]
    if isinstance(error, UpstreamError) and error.fault is not None:
        body["upstream"] = {"code": error.fault.code, "message": printable(error.fault.message)}
    if isinstance(error, errors.NotReady):
        body["readiness"] = error.readiness
    if error.see:
        body["see"] = error.see
    if error.candidates:
        body["candidates"] = list(error.candidates)
    return body


def headers(error: GatewayError) -> dict[str, str]:
    """The response headers of an error: its own, and `Retry-After` with every 503."""
    wait_s = error.retry_after_s
    if wait_s is None and BY_CODE[error.code].status == 503:
        wait_s = RETRY_AFTER_S
    return error.headers | ({"Retry-After": str(wait_s)} if wait_s is not None else {})


def outcome_label(error: GatewayError) -> str | None:
    """The outcome of the remote procedure call that failed, for the log; None when there was none."""
    outcome: RpcOutcome | None = error.outcome if isinstance(error, UpstreamError) else None
    return outcome.value if outcome else None


def printable(text: str) -> str:
    """A caller's or the upstream's text, made safe to be repeated: no lone surrogates, and not for ever."""
    return text[:_ECHO_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _place(error: FieldError) -> dict[str, str]:
    named = {
        "pointer": error.pointer,
        "parameter": error.parameter,
        "header": error.header,
        "code": error.code,
        "detail": error.detail,
        "suggestion": error.suggestion,
    }
    shown = {name: printable(value) for name, value in named.items() if value is not None}
    if "pointer" in shown:
        shown["pointer"] = shown["pointer"].removesuffix("~")  # an escape cut in two
    return shown
