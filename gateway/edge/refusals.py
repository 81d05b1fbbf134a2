"""What gunicorn refuses before the application is asked, as problem documents like all other errors."""

from __future__ import annotations

from gunicorn.http import errors as http

from gateway.edge import wire
from gateway.errors import (
    ExpectationUnknown,
    GatewayError,
    HeadersTooLarge,
    InternalDefect,
    MalformedRequest,
    TransferCodingUnknown,
    UriTooLong,
)
from gateway.rest import Recorder, defects, headers
from gateway.rest.answers import of_error
from gateway.rest.context import RequestContext
from gateway.telemetry import Log
from gateway.telemetry.tally import Tally

UNREAD = "-"
"""The method of a request that was not understood, in the log."""

_OURS = (http.ConfigurationProblem, http.InvalidResponseHeader, http.InvalidResponseHeaderName)  # type: ignore[attr-defined]
"""Refusals for which the caller is not to blame, though gunicorn derives them from those for which it is."""
_CALLERS: tuple[tuple[type[Exception], type[GatewayError], str], ...] = (
    (http.LimitRequestLine, UriTooLong, "The request line is longer than the gateway reads."),
    (http.LimitRequestHeaders, HeadersTooLarge, "The headers are more, or longer, than the gateway reads."),
    (http.ExpectationFailed, ExpectationUnknown, "Nothing but 100-continue can be expected."),
    (
        http.UnsupportedTransferCoding,
        TransferCodingUnknown,
        "The body comes in a coding that the gateway does not read.",
    ),
    (http.ParseException, MalformedRequest, "The request cannot be read as HTTP/1.1."),
)


class Refusals:
    """Answers in place of the application; each is counted and logged like any other. Nothing of the request is
    repeated: what was not understood has no known end, and may hold anything."""

    def __init__(self, recorder: Recorder, log: Log) -> None:
        self._recorder = recorder
        self._log = log

    def answer(self, refused: BaseException) -> bytes:
        """The whole answer to a request that ended with this exception of gunicorn's, or with a defect of ours."""
        tally = Tally(self._recorder.take_up(None, None))
        context = RequestContext(headers.repeatable_id(None), UNREAD, "", None, tally)
        context.error = self._error(refused, context.request_id)
        answer = of_error(context.error, context)
        context.status = answer.status
        self._recorder.begin()
        try:
            self._recorder.record(context)
        finally:
            self._recorder.end()
        return wire.last(answer, context.request_id, tally.trace.traceparent)

    def _error(self, refused: BaseException, request_id: str) -> GatewayError:
        if not isinstance(refused, _OURS):
            for kind, error, detail in _CALLERS:
                if isinstance(refused, kind):
                    return error(detail)
        defects.report(self._log, refused, request_id)
        return InternalDefect("The gateway met a defect of its own.")
