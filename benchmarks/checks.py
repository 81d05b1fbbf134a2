"""Whether a contestant does the work: held before anything is timed."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks import record
from benchmarks.plan import Expected, Request
from benchmarks.servers import Answer, Server

CHECKED_NUMBER = 7


@dataclass(frozen=True, slots=True)
class Told:
    """An answer, and what was asked."""

    answer: Answer
    target: str
    headers: Mapping[str, str]


def wrong(server: Server, request: Request) -> str | None:
    """What is wrong with the contestant's answers to this request, asked twice; None: they are right."""
    target, body = (numbered(text, CHECKED_NUMBER) for text in (request.target, request.body))
    try:
        for _ in range(2):
            headers = headers_for(server, request)
            answer = server.ask(request.method, target or "/", body, headers)
            _CHECKS[request.expected](Told(answer, target or "/", headers))
    except (AssertionError, KeyError, ValueError, OSError, http.client.HTTPException) as error:
        return f"{request.method} {target} is not {request.expected.value}: {error!s:.200}"
    return None


def numbered(text: str | None, number: int) -> str | None:
    return text and text.replace("{n}", str(number))


def headers_for(server: Server, request: Request) -> Mapping[str, str]:
    """The contestant's and the request's headers, and its own entity tag where the request is conditional."""
    headers = {**server.headers, **request.headers}
    if not request.conditional:
        return headers
    return {**headers, "If-None-Match": server.ask("GET", request.target).headers["etag"]}


def _is_record(told: Told) -> None:
    assert told.answer.status == 200, f"status {told.answer.status}"
    _is_same(_tidy(json.loads(told.answer.body)), _tidy(record.record(int(told.target.rpartition("/")[2]))))
    assert told.answer.headers.get("etag"), "no ETag"


def _is_page(told: Told) -> None:
    assert told.answer.status == 200, f"status {told.answer.status}"
    page = json.loads(told.answer.body)
    expected = record.page(int(told.target.partition("page=")[2].partition("&")[0]))
    assert {**page, "items": None} == {**expected, "items": None}, "another page or other totals"
    _is_same([_tidy(one) for one in page["items"]], [_tidy(one) for one in expected["items"]])
    assert told.answer.headers.get("etag"), "no ETag"


def _is_created(told: Told) -> None:
    assert told.answer.status == 201, f"status {told.answer.status}"
    created = json.loads(told.answer.body)
    assert told.answer.headers["location"] == f"/clients/{created['id']}", "no Location"
    _is_same(_tidy(created), _tidy(record.record(created["id"])))


def _is_not_modified(told: Told) -> None:
    assert told.answer.status == 304, f"status {told.answer.status}"
    assert not told.answer.body, "a body"
    assert told.answer.headers.get("etag") == told.headers["If-None-Match"], "another ETag"


def _is_xml(told: Told) -> None:
    assert told.answer.status == 200, f"status {told.answer.status}"
    number = b"%d" % CHECKED_NUMBER
    assert b"<client_id>%s<" % number in told.answer.body or b'page="%s"' % number in told.answer.body, "another answer"


_CHECKS: Mapping[Expected, Callable[[Told], None]] = {
    Expected.RECORD: _is_record,
    Expected.PAGE: _is_page,
    Expected.CREATED: _is_created,
    Expected.NOT_MODIFIED: _is_not_modified,
    Expected.XML: _is_xml,
}


def _tidy(client: dict[str, Any]) -> dict[str, Any]:
    """An instant may be written with any offset."""
    return {**client, "updated_at": datetime.fromisoformat(client["updated_at"])}


def _is_same(actual: Any, expected: Any) -> None:
    assert actual == expected, f"another record: {actual!s:.150}"
