"""Answers that are not the API's own: put in its place, or made of it."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from simulator.answers import Answer, Fault, authentication_failed, content_type, fault_answer, html_answer
from simulator.switches import Switches
from simulator.xml_io import DECLARATION, NAMESPACE


def _html_page(_params: Mapping[str, Any], _form: Switches) -> Answer:
    return html_answer(200, "Welcome")


def _redirect(params: Mapping[str, Any], _form: Switches) -> Answer:
    location = "https://www.freshbooks.com/deactivated" if params["deactivated"] else params["location"]
    return html_answer(302, "Moved", (("Location", location),))


def _unauthorized(_params: Mapping[str, Any], form: Switches) -> Answer:
    return fault_answer(authentication_failed(), form)


def _forbidden_api(_params: Mapping[str, Any], _form: Switches) -> Answer:
    return html_answer(400, "API access is not enabled for this account")


def _maintenance(params: Mapping[str, Any], _form: Switches) -> Answer:
    return html_answer(503, "Down for maintenance", _retry_after(params))


def _server_error(params: Mapping[str, Any], _form: Switches) -> Answer:
    return html_answer(params["status"], "Something went wrong")


def _throttle(params: Mapping[str, Any], form: Switches) -> Answer:
    if form.throttle_form == "fault":
        answer = fault_answer(Fault(form.throttle_code, "Too many requests."), form)
        return replace(answer, headers=(*answer.headers, *_retry_after(params)))
    status = {"http_429": 429, "http_503": 503}[form.throttle_form]
    return html_answer(status, "Too many requests", _retry_after(params))


def _unknown_fault(params: Mapping[str, Any], form: Switches) -> Answer:
    return fault_answer(Fault(params["code"], params["text"]), form)


def _custom_body(params: Mapping[str, Any], _form: Switches) -> Answer:
    body = params["text"].encode() if params["base64"] is None else base64.b64decode(params["base64"])
    return Answer(params["status"], body, tuple(params["headers"].items()))


def _retry_after(params: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return () if params["retry_after"] is None else (("Retry-After", params["retry_after"]),)


def _wrong_namespace(answer: Answer, params: Mapping[str, Any]) -> Answer:
    """Also where the switch leaves the namespace out: then it is put in."""
    body, wrong = answer.body, params["namespace"].encode()
    if NAMESPACE.encode() in body:
        return replace(answer, body=body.replace(NAMESPACE.encode(), wrong, 1))
    return replace(answer, body=body.replace(b"<response", b'<response xmlns="' + wrong + b'"', 1))


def _wrong_root(answer: Answer, params: Mapping[str, Any]) -> Answer:
    name = params["name"].encode()
    body = answer.body.replace(b"<response", b"<" + name, 1).replace(b"<fb:response", b"<fb:" + name, 1)
    return replace(answer, body=body.replace(b"response>", name + b">"))


def _not_xml(answer: Answer, _params: Mapping[str, Any]) -> Answer:
    return replace(answer, body=b"Fatal error: allowed memory size exhausted in <b>api.php</b> on line 7")


def _doctype(answer: Answer, _params: Mapping[str, Any]) -> Answer:
    declaration = DECLARATION.encode()
    entity = b'<!DOCTYPE response [<!ENTITY secret "expanded">]>\n'
    body = answer.body.replace(declaration, declaration + entity, 1)
    return replace(answer, body=body.replace(b"</email>", b"&secret;</email>", 1))


def _gzip(answer: Answer, _params: Mapping[str, Any]) -> Answer:
    headers = (*answer.headers, ("Content-Encoding", "gzip"))
    return replace(answer, body=gzip.compress(answer.body), headers=headers)


def _empty(answer: Answer, _params: Mapping[str, Any]) -> Answer:
    return replace(answer, status=200, body=b"", headers=(content_type(Switches()),))


REPLACED: Mapping[str, Callable[[Mapping[str, Any], Switches], Answer]] = {
    "html_page": _html_page,
    "redirect": _redirect,
    "unauthorized": _unauthorized,
    "forbidden_api": _forbidden_api,
    "maintenance": _maintenance,
    "server_error": _server_error,
    "throttle": _throttle,
    "unknown_fault": _unknown_fault,
    "custom_body": _custom_body,
}
GARBLED: Mapping[str, Callable[[Answer, Mapping[str, Any]], Answer]] = {
    "wrong_namespace": _wrong_namespace,
    "wrong_root": _wrong_root,
    "not_xml": _not_xml,
    "doctype": _doctype,
    "gzip": _gzip,
    "empty": _empty,
}
