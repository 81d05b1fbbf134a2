"""HTTP/1.1 as gunicorn speaks it: connections, bodies, and what it refuses by itself."""

from __future__ import annotations

import pytest

from simulator.server import Simulator
from tests.integration.wire import Answer, Line, ask, head
from tests.support.document import committed_document
from tests.support.server import GatewayProcess

MIB = 1024 * 1024
POST = "POST /clients HTTP/1.1"
JSON = {"Content_Type": "application/json"}


def chunks(*parts: bytes, end: bool = True) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + (b"0\r\n\r\n" if end else b"")


def problem(answer: Answer, status: int, code: str) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == code
    assert answer.json["request_id"] == answer.headers["x-request-id"]


def assert_alive(gateway: GatewayProcess) -> None:
    assert ask(gateway, "GET", "/clients/13").status == 200


def test_the_five_operations_work_over_a_real_connection(gateway: GatewayProcess, simulator: Simulator) -> None:
    """From creation to deletion."""
    created = ask(gateway, "POST", "/clients", b'{"email": "r@example.com", "notes": "]]> \xc3\xa9 & \\ud83c\\udf89"}')
    assert created.status == 201
    where = created.headers["location"]
    assert ask(gateway, "GET", where).json["notes"] == "]]> é & 🎉"
    assert ask(gateway, "PATCH", where, b'{"first_name": "R"}').json["first_name"] == "R"
    assert ask(gateway, "PUT", where, b'{"email": "s@example.com"}').json["first_name"] is None
    assert created.json["id"] in [item["id"] for item in ask(gateway, "GET", "/clients?per_page=5").json["items"]]
    deleted = ask(gateway, "DELETE", where)
    assert (deleted.status, deleted.body) == (204, b"")
    problem(ask(gateway, "DELETE", where), 404, "not_found")


def test_a_connection_carries_many_requests(gateway: GatewayProcess) -> None:
    """Successes, errors, HEAD, 204 and 304, with and without bodies: each answer ends where it ends."""
    with Line(gateway) as line:
        line.send(head("GET /clients/13 HTTP/1.1"))
        tag = line.answer().headers["etag"]
        for method, path, extra, body, status in [
            ("GET", "/clients/13", {}, b"", 200),
            ("HEAD", "/clients/13", {}, b"", 200),
            ("GET", "/clients/13", {"If_None_Match": tag}, b"", 304),
            ("GET", "/clients/9", {}, b"", 404),
            ("GET", "/nothing", {}, b"", 404),
            ("OPTIONS", "/clients", {}, b"", 204),
            ("POST", "/clients", JSON, b"{", 400),
            ("POST", "/clients", {"Content_Type": "text/plain"}, b"never read", 415),
            ("POST", "/nothing", JSON, b'{"never": "read"}', 404),
            ("GET", "/livez", {}, b"a body where none belongs", 200),
            ("PATCH", "/clients/13", JSON, b'{"notes": "x"}', 200),
            ("DELETE", "/clients/13", {}, b"", 204),
            ("GET", "/clients/13", {}, b"", 404),
        ]:
            line.send(head(f"{method} {path} HTTP/1.1", Content_Length=len(body), **extra) + body)
            answer = line.answer(method)
            assert (answer.status, answer.headers["connection"]) == (status, "keep-alive"), (method, path)


def test_requests_sent_ahead_are_answered_in_order(gateway: GatewayProcess) -> None:
    """Pipelining: each answer has the id of its request."""
    with Line(gateway) as line:
        paths = ["/clients/13", "/clients/0", "/livez", "/clients/9", "/clients?page=0", "/clients?per_page=1"]
        line.send(b"".join(head(f"GET {path} HTTP/1.1", X_Request_Id=f"id-{n}") for n, path in enumerate(paths)))
        answers = [line.answer() for _ in paths]
    assert [answer.headers["x-request-id"] for answer in answers] == [f"id-{n}" for n in range(6)]
    assert [answer.status for answer in answers] == [200, 404, 200, 404, 400, 200]


def test_a_chunked_body_is_read(gateway: GatewayProcess) -> None:
    """However it is cut, also within a character, with trailers."""
    body = '{"email": "é@example.com", "notes": "ok"}'.replace("é@", "e@").encode() + b" "
    for parts in ([body], [bytes([one]) for one in body], [body[:10], body[10:]]):
        with Line(gateway) as line:
            line.send(head(POST, Transfer_Encoding="chunked", **JSON) + chunks(*parts))
            assert line.answer().status == 201


def test_a_mebibyte_in_chunks_is_read_and_one_byte_more_is_413(gateway: GatewayProcess, simulator: Simulator) -> None:
    """A body of undeclared length is counted while it comes: it is refused, not cut and taken for whole."""
    shell = b'{"email": "big@example.com"}'
    for more, status in ((0, 201), (1, 413)):
        body = shell + b" " * (MIB - len(shell) + more)
        parts = [body[at : at + 65536] for at in range(0, len(body), 65536)]
        with Line(gateway) as line:
            line.send(head(POST, Transfer_Encoding="chunked", **JSON) + chunks(*parts))
            answer = line.answer()
        assert answer.status == status
    problem(answer, 413, "body_too_large")
    assert simulator.ledger.summary()["by_method"] == {"client.create": 1, "client.get": 1}


def test_after_a_body_that_is_too_long_the_connection_is_closed_or_in_step(gateway: GatewayProcess) -> None:
    """What is left of the body is never taken for a request."""
    inner = head("DELETE /clients/13 HTTP/1.1")
    body = b" " * (MIB + 1) + inner
    with Line(gateway) as line:
        line.send(head(POST, Content_Length=len(body), **JSON) + body + head("GET /livez HTTP/1.1", Connection="close"))
        problem(line.answer(), 413, "body_too_large")
        rest = line.rest()
    assert rest == b"" or (rest.startswith(b"HTTP/1.1 200 ") and rest.endswith(b'{"status":"ok"}'))
    assert_alive(gateway)


def test_an_endless_body_is_refused_before_its_end(gateway: GatewayProcess) -> None:
    """The answer comes while the rest has not been sent."""
    with Line(gateway) as line:
        line.send(head(POST, Transfer_Encoding="chunked", **JSON) + chunks(*[b" " * 65536] * 17, end=False))
        problem(line.answer(), 413, "body_too_large")
    with Line(gateway) as line:
        line.send(head(POST, Content_Length=10**15, **JSON) + b"{")
        problem(line.answer(), 413, "body_too_large")


@pytest.mark.parametrize("sent", [b'{"email": "cut@example.com"}', b'{"email": "cut@exa', b"", b"{}"])
@pytest.mark.parametrize("declared", [100, MIB])
def test_a_body_that_breaks_off_is_400_though_it_looks_whole(
    gateway: GatewayProcess, simulator: Simulator, declared: int, sent: bytes
) -> None:
    """Shorter than its `Content-Length`: nobody knows what the rest would have said."""
    with Line(gateway) as line:
        line.send(head(POST, Content_Length=declared, **JSON) + sent)
        line.end()
        problem(line.answer(), 400, "malformed_body")
    assert simulator.ledger.summary()["total"] == 0


BAD_CHUNKS = {
    "no number": b"zz\r\n{}\r\n0\r\n\r\n",
    "negative": b"-2\r\n{}\r\n0\r\n\r\n",
    "0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "empty size": b"\r\n{}\r\n0\r\n\r\n",
    "longer than said": b"1\r\n{}\r\n0\r\n\r\n",
    "missing end": b'1c\r\n{"email": "cut@example.com"}\r\n',
    "cut within": b"1c\r\n{",
    "cut size": b"1c",
    "huge size": b"ffffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
def test_a_badly_framed_body_is_400(gateway: GatewayProcess, simulator: Simulator, data: bytes) -> None:
    """A problem of the caller's, not a defect of ours; and nothing behind it is taken for a request."""
    with Line(gateway) as line:
        line.send(head(POST, Transfer_Encoding="chunked", **JSON) + data)
        line.end()
        problem(line.answer(), 400, "malformed_body")
        assert line.is_closed()
    assert simulator.ledger.summary()["total"] == 0
    assert_alive(gateway)


def test_a_caller_that_waits_for_leave_gets_it(gateway: GatewayProcess) -> None:
    """`Expect: 100-continue`."""
    body = b'{"email": "polite@example.com"}'
    with Line(gateway) as line:
        line.send(head(POST, Expect="100-continue", Content_Length=len(body), **JSON))
        line.send(body)
        assert line.answer().status == 201


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_a_name_rebound_to_this_machine_is_refused(gateway: GatewayProcess, simulator: Simulator, host: str) -> None:
    """Over the real wire as well."""
    problem(ask(gateway, "GET", "/clients", Host=host), 403, "forbidden")
    assert simulator.ledger.summary()["total"] == 0


def test_a_path_of_two_slashes_is_another_path(gateway: GatewayProcess, simulator: Simulator) -> None:
    """No redirect, no tidying."""
    for path in ("//clients", "//clients/13", "/clients//13"):
        problem(ask(gateway, "GET", path), 404, "no_such_route")
    assert simulator.ledger.summary()["total"] == 0


def test_headers_with_underscores_do_not_stand_for_others(gateway: GatewayProcess) -> None:
    """CGI's names would make them the same."""
    with Line(gateway) as line:
        line.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX_Request_Id: evil\r\n\r\n")
        assert line.answer().headers["x-request-id"] != "evil"


REFUSED = {
    400: "malformed_request",
    414: "uri_too_long",
    417: "expectation_unknown",
    431: "headers_too_large",
    501: "transfer_coding_unknown",
}
EDGES: dict[str, tuple[bytes, int]] = {
    "no request line": (b"GARBAGE\r\n\r\n", 400),
    "method in small letters": (head("get /livez HTTP/1.1"), 400),
    "HTTP/3.0": (head("GET /livez HTTP/3.0"), 400),
    "blank in the path": (head("GET /clients /13 HTTP/1.1"), 400),
    "raw bytes in the path": (b"GET /clients/\xd9\xa1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "raw bytes in the query": (b"GET /clients?email=\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "two hosts": (head("GET /livez HTTP/1.1", host="evil.example"), 400),
    "a header without a colon": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nnocolon\r\n\r\n", 400),
    "a blank before the colon": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX : y\r\n\r\n", 400),
    "a folded header": (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: y\r\n z\r\n\r\n", 400),
    "NUL in a header": (head("GET /livez HTTP/1.1", X="a\0b"), 400),
    "length and chunks": (head(POST, Content_Length=5, Transfer_Encoding="chunked") + b"0\r\n\r\n", 400),
    "two lengths": (head(POST, Content_Length=2, content_length=3) + b"{}", 400),
    "negative length": (head(POST, Content_Length=-1) + b"{}", 400),
    "signed length": (head(POST, Content_Length="+2") + b"{}", 400),
    "unknown transfer coding": (head(POST, Transfer_Encoding="xchunked"), 501),
    "unknown expectation": (head(POST, Expect="banana", Content_Length=2) + b"{}", 417),
    "a header of 9000 bytes": (head("GET /livez HTTP/1.1", X="x" * 9000), 431),
    "two hundred headers": (head("GET /livez HTTP/1.1", **{f"X{n}": n for n in range(200)}), 431),
    "a line of 9000 bytes": (head(f"GET /{'x' * 9000} HTTP/1.1"), 414),
    "a head of 70000 bytes without an end": (
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X%d: %s\r\n" % (n, b"x" * 7000) for n in range(10)),
        431,
    ),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "PROXY protocol": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + head("GET /livez HTTP/1.1"), 400),
}


@pytest.mark.parametrize("data, status", EDGES.values(), ids=EDGES)
def test_what_is_no_request_is_refused_by_the_server_and_ends_the_connection(
    gateway: GatewayProcess, simulator: Simulator, data: bytes, status: int
) -> None:
    """Before the application is asked, at once, with a problem that repeats nothing; and no call upstream."""
    with Line(gateway) as line:
        line.send(data)
        answer = line.answer()
        problem(answer, status, REFUSED[status])
        committed_document().validator("/components/schemas/Problem").validate(answer.json)
        assert answer.headers["connection"] == "close"
        assert line.is_closed()
    assert simulator.ledger.summary()["total"] == 0
    assert_alive(gateway)


@pytest.mark.parametrize("data", [b"", b"GET", b"GET /livez HTTP/1.1\r\nHost: loc", head(POST, Content_Length=5)])
def test_a_caller_that_hangs_up_does_no_harm(gateway: GatewayProcess, simulator: Simulator, data: bytes) -> None:
    """At whatever point."""
    for _ in range(5):
        with Line(gateway) as line:
            line.send(data)
    assert_alive(gateway)
    assert [entry.method for entry in simulator.ledger.calls()] == ["client.get"]
