"""The inbound side: HTTP and JSON. Builds the Flask application from its parts."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from flask import Flask, Response, g, request
from werkzeug.exceptions import BadHost, HTTPException, SecurityError
from werkzeug.routing import BaseConverter

from gateway import errors
from gateway.errors import FieldError, GatewayError
from gateway.policy.cache import Cache
from gateway.policy.rates import Rates
from gateway.policy.readiness import Readiness
from gateway.rest import answers, auth, cors, defects, headers, listeners, probes, resources
from gateway.rest.admission import Admission
from gateway.rest.body import BODY_BYTES_MAX
from gateway.rest.changing import Changing, Safety
from gateway.rest.context import RequestContext, current
from gateway.rest.framing import Recorder, cache_event
from gateway.rest.inbound import Inbound
from gateway.rest.probes import Documents
from gateway.rest.reading import Reading
from gateway.settings import Settings
from gateway.telemetry import Log, Metrics
from gateway.telemetry.tally import Tally
from gateway.upstream.bulkhead import Bulkhead
from gateway.upstream.freshbooks import FreshBooks
from schemas.resource import Resource

__all__ = ["Documents", "Inbound", "Recorder", "Safety", "build"]

VARYING = ("Accept", "Authorization")
"""The request headers that what an operation answers depends on, those of other origins aside."""


class KeyConverter(BaseConverter):
    """A record's id in a path: a positive decimal number in ASCII digits, written the one way it can be."""

    regex = "[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> int:
        return int(value)


def build(
    settings: Settings,
    freshbooks: FreshBooks,
    cache: Cache,
    safety: Safety,
    rates: Rates,
    readiness: Readiness,
    kinds: Sequence[Resource],
    metrics: Metrics,
    log: Log,
    documents: Documents,
    recorder: Recorder,
) -> Flask:
    """The application that serves the operations of each kind of resource, the probes and the document."""
    app = Flask("gateway", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = BODY_BYTES_MAX + 1  # a body of undeclared length is cut there without a word
    app.url_map.merge_slashes = False
    app.url_map.converters["key"] = KeyConverter
    refused = metrics.overload_refusals.labels("callers")
    places = Bulkhead(_places(settings.gateway_threads), wait_s=0, refused=refused)
    authenticate = auth.authenticator(settings)
    admission = Admission(authenticate, rates, settings.upstream_deadline_s, places)
    readings = [Reading(kind, admission, freshbooks, cache) for kind in kinds]
    required = settings.gateway_require_if_match
    for kind, reading in zip(kinds, readings, strict=True):
        changing = Changing(kind, admission, freshbooks, cache, safety, log, require_if_match=required)
        resources.register(app, kind, admission, reading, changing)
    probes.register(app, documents, metrics, readiness)
    _frame_requests(app, settings, recorder)
    listeners.keep_apart(app, settings.metrics_bind)
    _handle_errors(app, settings, log)
    vary = ", ".join([*VARYING, *(["Origin"] if settings.gateway_cors_origins else [])])
    app.extensions["inbound"] = Inbound(authenticate, admission, readings, recorder, settings.gateway_auth, vary)
    return app


def _places(threads: int) -> int:
    """How many requests for records a process takes at a time: some threads stay free for probes and refusals."""
    return max(1, threads - max(2, threads // 8))


def _frame_requests(app: Flask, settings: Settings, recorder: Recorder) -> None:
    """What surrounds every request: its id and trace, the headers of every answer, its count and its log line."""

    @app.before_request
    def begin() -> None:
        route = _template(request.url_rule.rule) if request.url_rule else None
        is_tidy = not request.environ.get("PATH_INFO", "").startswith("//")  # werkzeug would take it for one slash
        tally = Tally(recorder.take_up(request.headers.get("traceparent"), request.headers.get("tracestate")))
        request_id = headers.request_id(request)
        g.context = RequestContext(request_id, request.method, request.path, route if is_tidy else None, tally)
        recorder.begin()
        if not is_tidy:
            raise errors.RouteNotFound("There is nothing at this path.")

    @app.after_request
    def finish(response: Response) -> Response:
        context = current()
        _complete(response, context, settings)
        context.status = response.status_code
        context.cache = cache_event(response.headers.get("Cache-Status"))
        recorder.record(context)
        return response

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if "context" in g:
            recorder.end()


@functools.cache
def _template(rule: str) -> str:
    """A route as callers know it: `/clients/{id}`."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def _complete(response: Response, context: RequestContext, settings: Settings) -> None:
    response.headers["X-Request-Id"] = context.request_id
    response.headers["traceparent"] = context.tally.trace.traceparent
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if request.method == "OPTIONS" and response.status_code == 200:
        response.status_code = 204
        response.headers["Allow"] = ", ".join(sorted(response.allow))
    if response.status_code in (204, 304):
        response.headers.pop("Content-Type", None)
    if context.operation:
        response.headers.setdefault("Cache-Control", answers.PRIVATE)
        response.vary.update(VARYING)
    cors.add_headers(request, response, settings.gateway_cors_origins)


def _handle_errors(app: Flask, settings: Settings, log: Log) -> None:
    @app.errorhandler(GatewayError)
    def known(error: GatewayError) -> Response:
        return _problem(auth.as_callers_see(error, settings.gateway_auth))

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        return _problem(_from_werkzeug(error))

    @app.errorhandler(Exception)
    def defect(error: Exception) -> Response:
        defects.report(log, error)
        return _problem(errors.InternalDefect("The gateway met a defect of its own."))


def _problem(error: GatewayError) -> Response:
    current().error = error
    return answers.problem(error)


def _from_werkzeug(error: HTTPException) -> GatewayError:
    """The framework's own refusals as ours."""
    match error.code:
        case 405:
            allowed = sorted({*(getattr(error, "valid_methods", None) or ()), "OPTIONS"})
            return errors.MethodNotAllowed("The path does not have this method.", headers={"Allow": ", ".join(allowed)})
        case 404:
            return errors.RouteNotFound("There is nothing at this path.")
        case 413:
            return errors.BodyTooLarge(f"The body is longer than {BODY_BYTES_MAX} bytes.")
        case 400 if isinstance(error, BadHost | SecurityError):
            place = FieldError("invalid_host", "Must be the name or address of a host.", header="Host")
            return errors.InvalidHeader("Host cannot be read.", errors=[place])
        case 400:
            return errors.MalformedBody("The request could not be read.")
    return errors.InternalDefect("The gateway met a defect of its own.")
