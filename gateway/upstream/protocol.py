"""The upstream's envelopes and faults: bytes out, an element or an error back. Pure.

Source: the vendor's pages on the API's request and response format. Observed: codes and texts of faults in answers
recorded from, or asserted against, the live service.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import TypeAlias

import msgspec
from lxml import etree

from gateway.errors import (
    ActionRefused,
    AnswerLost,
    CredentialsRejected,
    Fault,
    FieldsRejected,
    GarbledAnswer,
    RecordNotFound,
    Throttled,
    UpstreamError,
    UpstreamFailed,
    UpstreamUnavailable,
    Written,
)
from gateway.upstream.decoding import local_name

NOT_FOUND_CODE = 50010
_FAULT_PARTS = ("error", "code", "field")
_BLANKS_AND_BOM = b" \t\r\n\xef\xbb\xbf"
_SPACE = b' xmlns="http://www.freshbooks.com/api/"'
_BEFORE_SPACE = re.compile(rb"(?:<\?xml [^<>]*\?>[ \t\r\n]*)?<response(?=" + re.escape(_SPACE) + b' status="ok">)')
_RESPONSE_TAGS = {"{http://www.freshbooks.com/api/}response", "response"}
"""Observed: the root is in this namespace, under whatever prefix. Source: before August 2009 it was in none."""
_PARSERS = threading.local()
Element: TypeAlias = etree._Element


class Answer(msgspec.Struct, frozen=True):
    """What came back over HTTP. `headers` have lower-case names. `framed` is False when only the end of the connection
    marked the end of the body, so that a body cut short looks whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    framed: bool = True

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, {len(self.body)} bytes)"


def envelope(method: str, content: str) -> bytes:
    """The request document for a method. Observed: the root has no namespace, and UTF-8 is required."""
    return f'<?xml version="1.0" encoding="utf-8"?>\n<request method="{method}">{content}</request>'.encode()


def read_answer(answer: Answer) -> Element:
    """The `<response>` of a successful call. Raises an `UpstreamError` for everything else."""
    _refuse_redirect(answer)
    root = parse(answer.body)
    if root is None or root.tag not in _RESPONSE_TAGS:
        raise _not_a_response(answer, root)
    match root.get("status"):
        case "ok" if 200 <= answer.status < 300:
            return root
        case "fail":
            raise _fault_error(_read_fault(root), answer)
    raise GarbledAnswer("The upstream answered with an envelope that says neither ok nor fail.")


def parse(body: bytes) -> Element | None:
    """The root of a document. None when it is no XML document, or one with a DOCTYPE, which the API never sends.

    Blanks before the XML declaration are let pass; libxml2 would refuse them.
    """
    body = _without_space(body.lstrip(_BLANKS_AND_BOM))
    try:
        root = etree.fromstring(body, _parser(drop_blanks=_is_plain(body)))
    except (etree.LxmlError, ValueError):
        return None
    return None if root.getroottree().docinfo.internalDTD is not None else root


def _without_space(body: bytes) -> bytes:
    """The document without its default namespace, if that is the API's: lxml would make a long name for every element,
    of which only the local part is looked at (`local_name`)."""
    found = _BEFORE_SPACE.match(body)
    return body if found is None else body[: found.end()] + body[found.end() + len(_SPACE) :]


def _is_plain(body: bytes) -> bool:
    """Whether there is nothing but elements and text, in an encoding that has ASCII's bytes.

    Only then libxml2 may drop the blanks between elements, which halves the cost of a page: before CDATA, a comment or
    a processing instruction it would take the first blanks of a text for such. Single bytes are looked for first,
    because that is ten times as fast and mostly enough, and with `find`, because `in` first takes them for a number.
    """
    has_marks = body.find(b"!") >= 0 and body.find(b"<!") >= 0
    return not has_marks and not _has_instructions(body) and body.find(b"\0") < 0


def _has_instructions(body: bytes) -> bool:
    """Whether there are processing instructions beside the XML declaration."""
    marks_total = body.count(b"?")
    if marks_total == 0 or (marks_total == 2 and body.startswith(b"<?xml ")):
        return False
    return body.count(b"<?") != body.count(b"<?xml ")


def _parser(*, drop_blanks: bool) -> etree.XMLParser:
    """One parser of each kind a thread, since parsers cannot be shared. Entities stay unresolved, documents bounded."""
    kind = "dropping" if drop_blanks else "keeping"
    parser: etree.XMLParser | None = getattr(_PARSERS, kind, None)
    if parser is None:
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            remove_blank_text=drop_blanks,
        )
        setattr(_PARSERS, kind, parser)
    return parser


def _refuse_redirect(answer: Answer) -> None:
    """Inferred from public clients: unknown and deactivated accounts are redirected to a web page before any work."""
    if 300 <= answer.status < 400:
        why = (
            "says that the account is deactivated" if "deactivated" in answer.headers.get("location", "") else "is odd"
        )
        raise GarbledAnswer(f"The upstream answered with a redirect, which {why}.", written=Written.NOT_APPLIED)


def _not_a_response(answer: Answer, root: Element | None) -> UpstreamError:
    """What an answer that is not the API's says, by its HTTP status: the only thing left to go by."""
    if (error := _by_status(answer)) is not None:
        return error
    if root is None and not answer.framed:
        return AnswerLost("The upstream's answer ended too early.")
    what = "XML that is not the API's" if root is not None else "something that is not its XML"
    return GarbledAnswer(f"The upstream answered with {what} (HTTP {answer.status}).")


def _by_status(answer: Answer) -> UpstreamError | None:
    """Inferred from public clients: 400 where the API is not enabled, 404 on a wrong path, 503 in maintenance."""
    match answer.status:
        case 401:
            return CredentialsRejected("The upstream rejected the credentials.")
        case 429:
            return Throttled("The upstream takes no more calls for now.", retry_after_s=_retry_after_s(answer))
        case 503:
            detail = "The upstream is in maintenance or overloaded."
            return UpstreamUnavailable(detail, retry_after_s=_retry_after_s(answer))
        case 400 | 403 | 404 | 405 | 413 | 414 | 415 | 431:
            detail = f"The upstream refused the request before its API (HTTP {answer.status})."
            return GarbledAnswer(detail, written=Written.NOT_APPLIED)
        case status if status >= 500:
            return UpstreamFailed(f"The upstream failed (HTTP {status}).")
    return None


def _retry_after_s(answer: Answer) -> int | None:
    seconds = answer.headers.get("retry-after", "")
    return int(seconds) if re.fullmatch("[0-9]{1,5}", seconds) else None


def _read_fault(root: Element) -> Fault:
    """Observed: single faults only. Of several, the first of each element counts."""
    texts: dict[str, str] = {}
    for child in root.iter():
        if (name := local_name(child.tag)) in _FAULT_PARTS and name not in texts:
            texts[name] = "".join(child.itertext()).strip()
    code = texts.get("code", "")
    return Fault(
        code=int(code) if re.fullmatch("[0-9]{1,9}", code, re.ASCII) else None,
        words=texts.get("error", ""),
        field=texts.get("field") or None,
    )


_FAMILIES: Mapping[int, tuple[type[UpstreamError], str]] = {
    2: (CredentialsRejected, "The upstream rejected the credentials."),
    4: (FieldsRejected, "The upstream refused the fields that were sent."),
    5: (ActionRefused, "The upstream refused the action."),
}
"""The families are read off the known codes: 1xxxx system, 2xxxx authentication, 4xxxx request and fields, 5xxxx
resource."""


def _fault_error(fault: Fault, answer: Answer) -> UpstreamError:
    """The one fault table: which error a fault is. The code of `Invalid node` is unknown, so its text decides."""
    family = 4 if fault.message.startswith("Invalid node") else (fault.code or 0) // 10_000
    if fault.code == NOT_FOUND_CODE:
        deleted = "is deleted" in fault.message
        return RecordNotFound("The record is deleted." if deleted else "There is no such record.", fault=fault)
    if family in _FAMILIES:
        error, detail = _FAMILIES[family]
        return error(detail, fault=fault)
    if answer.status in (401, 429, 503) and (refusal := _by_status(answer)) is not None:
        refusal.fault = fault
        return refusal
    if family == 1:
        detail = "The upstream reported a fault of its system or account."
        return UpstreamFailed(detail, fault=fault, written=Written.NOT_APPLIED)
    return UpstreamFailed("The upstream reported a fault that nobody knows.", fault=fault)
