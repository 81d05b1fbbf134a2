"""Everything that can go wrong, as one tree named by who must act.

    GatewayError
    ├── CallerError              the caller must change the request
    │   ├── MalformedRequest         not HTTP/1.1 as it is read here
    │   ├── UriTooLong               a longer request line than is read
    │   ├── HeadersTooLarge          more or longer headers than are read
    │   ├── ExpectationUnknown       something else is expected than leave to go on
    │   ├── TransferCodingUnknown    a body in a coding that is not read
    │   ├── MalformedBody            not JSON, not an object, a key twice
    │   ├── InvalidQuery             a query parameter is unknown, repeated or bad
    │   ├── InvalidHeader            a request header cannot be read
    │   ├── Unauthenticated          no or wrong credentials
    │   ├── Forbidden                understood, and refused
    │   ├── RouteNotFound            no such route
    │   ├── MethodNotAllowed         the route exists, not with this method
    │   ├── NotAcceptable            nothing the caller accepts can be produced
    │   ├── UnsupportedMediaType     the body is not of a type the route reads
    │   ├── BodyTooLarge             more bytes than the gateway reads
    │   ├── InvalidFields            the body breaks the schema
    │   ├── RateExceeded             the caller's minute is used up
    │   ├── KeyInFlight              a request with this Idempotency-Key is being worked on
    │   ├── KeyReused                this Idempotency-Key came with another payload
    │   ├── PreconditionFailed       If-Match names an older representation
    │   └── PreconditionRequired     If-Match is required here
    ├── UpstreamError            the call to FreshBooks Classic did not succeed
    │   ├── RecordNotFound           no such record, or it is deleted
    │   ├── FieldsRejected           a fault about fields
    │   ├── ActionRefused            a fault about the action
    │   ├── CredentialsRejected      the credentials of the call are refused
    │   ├── Throttled                too many calls
    │   ├── UpstreamUnavailable      maintenance
    │   ├── UpstreamFailed           it broke, or reported a fault nobody knows
    │   ├── GarbledAnswer            an answer that is not the API's
    │   ├── CircuitOpen              it is not asked, because it kept failing
    │   ├── Overloaded               it is not asked, because too many calls are in flight
    │   ├── NotSent                  nothing reached it
    │   ├── AnswerLost               sent, then no complete answer
    │   └── DeadlinePassed           no time left
    ├── WriteInDoubt             nobody can tell whether a write was applied
    ├── ChangedFromOutside       a conditional write met a change that came past the gateway
    ├── NotCached                the caller wants no call upstream, and there is no copy
    ├── SeveralCandidates        several records could be the one that a lost create made
    └── OperatorError            we or those who run the gateway must act
        ├── RecordBusy               another change of the record does not finish
        ├── StoreUnavailable         the shared memory cannot be asked, so a promise cannot be kept
        ├── NotReady                 requests should go to another gateway
        └── InternalDefect           a defect of ours

An `UpstreamError` knows two things every policy is keyed on: the `outcome` of the remote procedure call, and what
became of the write it carried, if it was one (`written`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

_MESSAGE_CHARACTERS = 300


class RpcOutcome(StrEnum):
    """How one remote procedure call ended, the only thing policies look at.

    Never the HTTP status: the upstream answers a missing client, a bad field and success alike with 200.
    """

    OK = "ok"
    REJECTED = "rejected"
    NOT_FOUND = "not_found"
    AUTH = "auth"
    THROTTLED = "throttled"
    UPSTREAM_ERROR = "upstream_error"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    GARBLED = "garbled"


class Written(StrEnum):
    """What became of a write that was answered with an error."""

    NOT_APPLIED = "not_applied"
    APPLIED = "applied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one place of a request.

    Exactly one of `pointer` (RFC 6901, into the body), `parameter` (query) and `header` says where.
    `suggestion` is the name that was probably meant; None when nothing comes near.
    """

    code: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """The upstream's own words about a failed call. `code` is None when the fault carried none.

    `words` are kept as they came, because a secret in them is only found whole; `message` is what others are shown.
    """

    code: int | None
    words: str = dataclasses.field(repr=False)
    field: str | None = None

    @property
    def message(self) -> str:
        """The words on one line, at most 300 characters of them."""
        return " ".join("".join(c if c.isprintable() else " " for c in self.words).split())[:_MESSAGE_CHARACTERS]

    def without(self, secret: str) -> Fault:
        """The fault with every occurrence of a secret blotted out."""
        field = self.field.replace(secret, "[secret]") if self.field else None
        return Fault(self.code, self.words.replace(secret, "[secret]"), field)


class GatewayError(Exception):
    """The root: an error with a stable `code`, told to callers with `detail`.

    `retry_after_s` is how many seconds to wait before asking again; None when nobody knows.
    `headers` are response headers the error asks for, such as `Allow`. `see` is the path of a query that would tell
    more; None when there is none. `candidates` are the ids of records that the error is about.
    """

    code: ClassVar[str]
    written: Written = Written.NOT_APPLIED

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        retry_after_s: int | None = None,
        see: str | None = None,
        candidates: Sequence[int] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.retry_after_s = retry_after_s
        self.see = see
        self.candidates = tuple(candidates)


class CallerError(GatewayError):
    """The request itself must change before it can succeed. Nothing was sent upstream."""


class MalformedRequest(CallerError):
    code = "malformed_request"


class UriTooLong(CallerError):
    code = "uri_too_long"


class HeadersTooLarge(CallerError):
    code = "headers_too_large"


class ExpectationUnknown(CallerError):
    code = "expectation_unknown"


class TransferCodingUnknown(CallerError):
    code = "transfer_coding_unknown"


class MalformedBody(CallerError):
    code = "malformed_body"


class InvalidQuery(CallerError):
    code = "invalid_query"


class InvalidHeader(CallerError):
    code = "invalid_header"


class Unauthenticated(CallerError):
    code = "unauthenticated"


class Forbidden(CallerError):
    code = "forbidden"


class RouteNotFound(CallerError):
    code = "no_such_route"


class MethodNotAllowed(CallerError):
    code = "method_not_allowed"


class NotAcceptable(CallerError):
    code = "not_acceptable"


class UnsupportedMediaType(CallerError):
    code = "unsupported_media_type"


class BodyTooLarge(CallerError):
    code = "body_too_large"


class InvalidFields(CallerError):
    code = "invalid_fields"


class RateExceeded(CallerError):
    code = "rate_exceeded"


class KeyInFlight(CallerError):
    """What becomes of the write is up to the request that works on the key."""

    code = "key_in_flight"
    written = Written.UNKNOWN


class KeyReused(CallerError):
    code = "key_reused"


class PreconditionFailed(CallerError):
    code = "precondition_failed"


class PreconditionRequired(CallerError):
    code = "precondition_required"


class UpstreamError(GatewayError):
    """The remote procedure call did not end in success.

    `fault` is what the upstream said; None when it said nothing of its own kind. `final` says that repeating the call
    at once is pointless.
    """

    outcome: RpcOutcome
    final: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        fault: Fault | None = None,
        written: Written | None = None,
        errors: Sequence[FieldError] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(detail, errors=errors, retry_after_s=retry_after_s)
        self.fault = fault
        if written is not None:
            self.written = written

    def blot_out(self, secret: str) -> None:
        """Removes a secret that the upstream's words repeat."""
        if self.fault is not None and secret:
            self.fault = self.fault.without(secret)


class RecordNotFound(UpstreamError):
    """`in_doubt` says that an earlier attempt of the same call may have deleted the record."""

    in_doubt: bool = False
    code = "not_found"
    outcome = RpcOutcome.NOT_FOUND


class FieldsRejected(UpstreamError):
    code = "fields_rejected"
    outcome = RpcOutcome.REJECTED


class ActionRefused(UpstreamError):
    code = "action_refused"
    outcome = RpcOutcome.REJECTED


class CredentialsRejected(UpstreamError):
    code = "upstream_credentials_rejected"
    outcome = RpcOutcome.AUTH


class Throttled(UpstreamError):
    code = "upstream_throttled"
    outcome = RpcOutcome.THROTTLED


class UpstreamUnavailable(UpstreamError):
    """Maintenance: HTTP 503 says that the service did not take the request on."""

    code = "upstream_unavailable"
    outcome = RpcOutcome.UPSTREAM_ERROR


class UpstreamFailed(UpstreamError):
    """It broke while working, or reported a fault nobody knows: the write may have happened."""

    code = "upstream_failed"
    outcome = RpcOutcome.UPSTREAM_ERROR
    written = Written.UNKNOWN


class GarbledAnswer(UpstreamError):
    """A complete answer that is not the API's: HTML, a redirect, foreign XML, too much of it."""

    code = "upstream_garbled"
    outcome = RpcOutcome.GARBLED
    written = Written.UNKNOWN


class NotSent(UpstreamError):
    """The request cannot have reached the upstream whole, so it cannot have acted on it."""

    code = "upstream_unreachable"
    outcome = RpcOutcome.NOT_SENT


class CircuitOpen(UpstreamError):
    """The upstream kept failing, so it is left alone for a while."""

    code = "circuit_open"
    outcome = RpcOutcome.NOT_SENT
    final = True


class Overloaded(UpstreamError):
    """The gateway has as many requests in hand as it can take. Nothing was sent."""

    code = "overloaded"
    outcome = RpcOutcome.NOT_SENT
    final = True


class AnswerLost(UpstreamError):
    """The request went out whole and no complete answer came back: it may have been acted on."""

    code = "upstream_answer_lost"
    outcome = RpcOutcome.UNKNOWN
    written = Written.UNKNOWN


class DeadlinePassed(UpstreamError):
    """Time ran out; `sent` says whether the request was out by then."""

    code = "deadline_passed"

    def __init__(self, detail: str, *, sent: bool) -> None:
        super().__init__(detail, written=Written.UNKNOWN if sent else Written.NOT_APPLIED)
        self.outcome = RpcOutcome.UNKNOWN if sent else RpcOutcome.NOT_SENT


class WriteInDoubt(GatewayError):
    """The write was sent, and it cannot be told whether it was applied. `see` names the query that would tell."""

    code = "write_in_doubt"
    written = Written.UNKNOWN


class SeveralCandidates(GatewayError):
    """Several records could be the one that a create of unknown outcome made (`candidates`)."""

    code = "several_candidates"
    written = Written.UNKNOWN


class ChangedFromOutside(GatewayError):
    """Between the comparison of a conditional write and the write itself the record changed, past the gateway."""

    code = "changed_from_outside"
    written = Written.APPLIED


class NotCached(GatewayError):
    """`Cache-Control: only-if-cached`, and nothing is cached."""

    code = "not_cached"


class OperatorError(GatewayError):
    """We, or those who run the gateway, must act."""


class RecordBusy(OperatorError):
    """Another change of the same record did not finish in time. Nothing was sent."""

    code = "record_busy"


class StoreUnavailable(OperatorError):
    """The memory that workers share cannot be asked, so what was asked for cannot be promised. Nothing was sent."""

    code = "store_unavailable"


class NotReady(OperatorError):
    """Requests should go to another gateway; `readiness` says what is known, in values for JSON."""

    code = "not_ready"

    def __init__(self, detail: str, readiness: Mapping[str, object]) -> None:
        super().__init__(detail)
        self.readiness = dict(readiness)


class InternalDefect(OperatorError):
    """A defect of ours. The caller learns the request id and nothing more."""

    code = "internal_defect"
    written = Written.UNKNOWN
