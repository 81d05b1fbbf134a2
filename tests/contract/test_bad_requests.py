"""Paths, queries and headers that are wrong."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from simulator.server import Simulator
from tests.contract.expectations import ROUTES, body_for, json_of, refused
from tests.support.gateway import Caller

BAD_IDS = {
    "zero": "0",
    "leading zero": "013",
    "negative": "-13",
    "plus": "+13",
    "fraction": "13.0",
    "exponent": "1e1",
    "hexadecimal": "0xd",
    "word": "jane",
    "blank before": "%2013",
    "blank behind": "13%20",
    "line break": "13%0A",
    "NUL": "13%00",
    "underscore": "1_3",
    "Arabic digits": quote("١٣"),
    "full-width digits": quote("１３"),
    "Devanagari digit": "1" + quote("३"),
    "superscript": "1" + quote("³"),
    "nineteen digits": "1" * 19,
    "ten thousand digits": "1" * 10_000,
    "not UTF-8": "%ff",
    "encoded surrogate": "%ED%A0%80",
    "U+FFFE": quote("\ufffe"),
    "invalid encoding": "%zz",
    "cut encoding": "13%2",
    "two ids": "13,14",
    "quoted": "%2213%22",
    "parameters": "13;v=1",
    "extension": "13.json",
    "encoded slash": "13%2F",
    "dot": "%2E",
    "dots": "%2E%2E",
    "encoded traversal": "..%2F..%2Fetc%2Fpasswd",
    "SQL": quote("1' OR '1'='1"),
    "template": quote("{{7*7}}"),
    "markup": quote("<script>alert(1)</script>"),
}


@pytest.mark.parametrize("key", BAD_IDS.values(), ids=BAD_IDS)
def test_an_id_that_is_none_is_404(caller: Caller, simulator: Simulator, key: str) -> None:
    """A positive decimal in ASCII digits has one way to be written; all else names nothing."""
    for method in ["GET", "PATCH", "PUT", "DELETE"]:
        refused(caller.request(method, f"/clients/{key}", **body_for(method)), 404, "no_such_route", simulator)


@pytest.mark.parametrize(
    "path",
    [
        "/clients/",
        "/clients/13/",
        "/clients/13/contacts",
        "//clients",
        "/clients//13",
        "//clients//13",
        "/clients/13//",
        "///",
        "/Clients",
        "/CLIENTS/13",
        "/clients/./13",
        "/clients/../clients",
        "/./clients",
        "/../../etc/passwd",
        "/static/docs.js",
        "/static/../app.py",
        "/docs/../app.py",
        "/docs/",
        "/docs/..",
        "/docs/docs.html",
        "/docs/swagger-ui.js.map",
        "/docs/index.html",
        "/problems/",
        "/problems/no-such-problem",
        "/problems/not_found",
        "/problems/Not-Found",
        "/livez/",
        "/openapi",
        "/openapi.yml",
        "/app.py",
        "/.git/config",
        "/.env",
        "/favicon.ico",
        "/robots.txt",
        "/client",
        "/clients.json",
        "/cli\x00ents",
        "/clients\n",
        "/clients\r\nX: y",
        "/\ufffe",
        "/\ud83c\udf89",
        "/" + "x" * 10_000,
    ],
)
def test_an_unknown_path_is_404(caller: Caller, simulator: Simulator, path: str) -> None:
    """No guessing: no redirect to a tidier path, no file of the program."""
    raw = path.encode("utf-8", "surrogatepass").decode("latin-1")
    response = caller.request("GET", "/nowhere", environ_overrides={"PATH_INFO": raw})
    body = refused(response, 404, "no_such_route", simulator)
    assert body["instance"].isascii()
    assert len(body["instance"]) < 4000


@pytest.mark.parametrize(
    "path, instance",
    [
        ("/nö/<x> y", "/n%C3%B6/%3Cx%3E%20y"),
        ("/a%2Fb", "/a/b"),
        ("/100%25", "/100%25"),
        ("/x:y@z!$&'()*+,;=~", "/x:y@z!$&'()*+,;=~"),
    ],
)
def test_the_instance_of_a_problem_is_a_uri(caller: Caller, path: str, instance: str) -> None:
    """RFC 9457 §3.1.5: the path, encoded as URIs are."""
    assert json_of(caller.get(path))["instance"] == instance


BAD_QUERIES: list[tuple[str, str, str]] = [
    ("page=0", "page", "out_of_range"),
    ("page=-1", "page", "out_of_range"),
    ("page=1.5", "page", "out_of_range"),
    ("page=1e3", "page", "out_of_range"),
    ("page=", "page", "out_of_range"),
    ("page", "page", "out_of_range"),
    ("page=+1", "page", "out_of_range"),
    ("page=%2B1", "page", "out_of_range"),
    ("page=1%20", "page", "out_of_range"),
    ("page=1_000", "page", "out_of_range"),
    ("page=0x1", "page", "out_of_range"),
    ("page=two", "page", "out_of_range"),
    ("page=" + quote("٣"), "page", "out_of_range"),
    ("page=" + quote("３"), "page", "out_of_range"),
    ("page=" + quote("²"), "page", "out_of_range"),
    ("page=1000000001", "page", "out_of_range"),
    ("page=" + "9" * 5000, "page", "out_of_range"),
    ("page=1%00", "page", "out_of_range"),
    ("per_page=0", "per_page", "out_of_range"),
    ("per_page=101", "per_page", "out_of_range"),
    ("per_page=-25", "per_page", "out_of_range"),
    ("per_page=all", "per_page", "out_of_range"),
    ("per_page=", "per_page", "out_of_range"),
    ("per_page=" + quote("٢٥"), "per_page", "out_of_range"),
    ("folder=", "folder", "required"),
    ("folder=Active", "folder", "invalid_choice"),
    ("folder=trash", "folder", "invalid_choice"),
    ("folder=active,archived", "folder", "invalid_choice"),
    ("email=", "email", "required"),
    ("username=", "username", "required"),
    ("notes=", "notes", "required"),
    ("email=%00", "email", "invalid_character"),
    ("username=a%1Fb", "username", "invalid_character"),
    ("notes=" + quote("\ufffe"), "notes", "invalid_character"),
    ("notes=" + quote("\uffff"), "notes", "invalid_character"),
    ("folder=%08", "folder", "invalid_character"),
    ("updated_from=", "updated_from", "required"),
    ("updated_from=yesterday", "updated_from", "invalid_format"),
    ("updated_from=2009", "updated_from", "invalid_format"),
    ("updated_from=2009-08", "updated_from", "invalid_format"),
    ("updated_from=2009-13-01", "updated_from", "invalid_format"),
    ("updated_from=2009-02-29", "updated_from", "invalid_format"),
    ("updated_from=2009-08-12T09:00:00", "updated_from", "invalid_format"),
    ("updated_from=2009-08-12T09:00:00+02:00", "updated_from", "invalid_format"),
    ("updated_from=2009-08-12T24:00:00Z", "updated_from", "invalid_format"),
    ("updated_from=2009-08-12T09:61:00Z", "updated_from", "invalid_format"),
    ("updated_from=2009-08-12T09:00:00%2B25:00", "updated_from", "invalid_format"),
    ("updated_from=2009-08-12T09:00Z", "updated_from", "invalid_format"),
    ("updated_from=20090812T090000Z", "updated_from", "invalid_format"),
    ("updated_from=2009-W33-3", "updated_from", "invalid_format"),
    ("updated_from=0000-00-00", "updated_from", "invalid_format"),
    ("updated_from=1250064000", "updated_from", "invalid_format"),
    ("updated_from=" + quote("٢٠٠٩-٠٨-١٢"), "updated_from", "invalid_format"),
    ("updated_to=12.08.2009", "updated_to", "invalid_format"),
    ("updated_to=2009-08-12%00", "updated_to", "invalid_character"),
    ("updated_to=2009-08-12%0A", "updated_to", "invalid_format"),
    ("pages=2", "pages", "unknown_parameter"),
    ("Page=2", "Page", "unknown_parameter"),
    ("page%20=2", "page ", "unknown_parameter"),
    ("page[]=2", "page[]", "unknown_parameter"),
    ("limit=5", "limit", "unknown_parameter"),
    ("client_id=13", "client_id", "unknown_parameter"),
    ("password=x", "password", "unknown_parameter"),
    ("_schema=1", "_schema", "unknown_parameter"),
    ("=1", "", "unknown_parameter"),
    ("=", "", "unknown_parameter"),
    ("%00=1", "\0", "unknown_parameter"),
    (quote("é") + "=1", "é", "unknown_parameter"),
    ("page=1&page=1", "page", "repeated"),
    ("page=1&page=2", "page", "repeated"),
    ("page=1&p%61ge=2", "page", "repeated"),
    ("email=a@b.example&folder=active&email=c@d.example", "email", "repeated"),
    ("x=1&x=2", "x", "repeated"),
    ("email=%", "email", "invalid_encoding"),
    ("email=%4", "email", "invalid_encoding"),
    ("email=%zz", "email", "invalid_encoding"),
    ("email=%u0041", "email", "invalid_encoding"),
    ("email=100%", "email", "invalid_encoding"),
    ("email=%ff", "email", "invalid_encoding"),
    ("email=%C3", "email", "invalid_encoding"),
    ("email=%C0%AF", "email", "invalid_encoding"),
    ("email=%ED%A0%80", "email", "invalid_encoding"),
    ("email=%F4%90%80%80", "email", "invalid_encoding"),
    ("%ff=1", "%ff", "invalid_encoding"),
    ("pa%=1", "pa%", "invalid_encoding"),
]


@pytest.mark.parametrize("query, name, code", BAD_QUERIES, ids=lambda value: str(value)[:40])
def test_a_bad_query_is_400_and_names_the_parameter(
    caller: Caller, simulator: Simulator, query: str, name: str, code: str
) -> None:
    """Unknown, repeated, empty, misspelt, mistyped, badly encoded."""
    response = caller.get("/clients", query_string=query)
    body = refused(response, 400, "invalid_query", simulator, {"parameter": name, "code": code})
    assert len(body["errors"]) == 1


@pytest.mark.parametrize(
    "query, allowed",
    [
        ("folder=trash", "active, archived, deleted"),
        ("per_page=101", "from 1 to 100"),
        ("page=0", "from 1 to 1000000000"),
        ("updated_to=x", "2009-08-12T09:00:00-04:00 or 2009-08-12"),
        ("sort=name", "email, username, notes, folder, updated_from, updated_to"),
    ],
)
def test_a_bad_query_says_what_is_allowed(caller: Caller, query: str, allowed: str) -> None:
    """So that the next attempt can be right."""
    assert allowed in json_of(caller.get(f"/clients?{query}"))["errors"][0]["detail"]


@pytest.mark.parametrize(
    "name, meant", [("pag", "page"), ("perpage", "per_page"), ("e-mail", "email"), ("updatedfrom", "updated_from")]
)
def test_a_misspelt_parameter_gets_a_suggestion(caller: Caller, name: str, meant: str) -> None:
    """As fields do."""
    assert json_of(caller.get(f"/clients?{name}=1"))["errors"][0]["suggestion"] == meant


def test_all_that_is_wrong_with_a_query_is_told_at_once(caller: Caller, simulator: Simulator) -> None:
    """One round trip for the caller."""
    response = caller.get("/clients?page=0&per_page=0&sort=x&folder=y")
    body = refused(response, 400, "invalid_query", simulator)
    assert {one["parameter"] for one in body["errors"]} == {"page", "per_page", "sort", "folder"}


def test_raw_bytes_in_a_query_are_400(caller: Caller, simulator: Simulator) -> None:
    """A query is ASCII (RFC 3986)."""
    for raw in ("email=é", "email=\xff", "email=\U0001f389", "email= ", "email=\x01"):
        response = caller.get("/clients", environ_overrides={"QUERY_STRING": raw.encode().decode("latin-1")})
        refused(response, 400, "invalid_query", simulator, {"parameter": "email", "code": "invalid_encoding"})


def test_a_query_of_very_many_parameters_is_400(caller: Caller, simulator: Simulator) -> None:
    """Before any of them is looked at."""
    for query in ("&".join(f"x{i}=1" for i in range(51)), "&".join(["page=1"] * 1000)):
        body = refused(caller.get(f"/clients?{query}"), 400, "invalid_query", simulator)
        assert "more than 50" in body["detail"]


@pytest.mark.parametrize("query", ["&", "&&page=1&", "page=1&&per_page=5"])
def test_empty_parts_of_a_query_are_nothing(caller: Caller, query: str) -> None:
    """As URL parsers have it."""
    assert caller.get(f"/clients?{query}").status_code == 200


@pytest.mark.parametrize("query", ["page=1", "x=1", "fields=id", "="])
def test_other_routes_take_no_parameters(caller: Caller, simulator: Simulator, query: str) -> None:
    """Whatever it is, it would do nothing."""
    for route in [route for route in ROUTES if route != ("GET", "/clients")]:
        method, path = route
        response = caller.request(method, f"{path}?{query}", **body_for(method))
        name = query.partition("=")[0]
        refused(response, 400, "invalid_query", simulator, {"parameter": name, "code": "unknown_parameter"})


EXCLUDING = [
    "text/html",
    "application/xml",
    "application/problem+json",
    "application/json;q=0",
    "application/json;q=0, */*",
    "application/*;q=0, */*",
    "*/*;q=0",
    "text/*",
    "application/json;q=0.000",
    "image/png, text/html;q=0.9",
    "json",
    "rubbish",
]


@pytest.mark.parametrize("accept", EXCLUDING)
def test_an_accept_that_excludes_json_is_406(caller: Caller, simulator: Simulator, accept: str) -> None:
    """Told before anything is done, in the one form there is for problems."""
    for route in ROUTES:
        response = caller.request(*route, headers={"Accept": accept}, **body_for(route[0]))
        refused(response, 406, "not_acceptable", simulator)


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/*",
        "*/*",
        "text/html, */*;q=0.1",
        "application/json;q=0.001",
        "application/json; charset=utf-8",
        "application/json;charset=utf-8;q=0.5, text/plain",
        "application/problem+json, application/json",
        "application/json, */*;q=0",
        "text/html;q=1, application/json;q=0.1",
        "",
        " ",
    ],
)
def test_an_accept_that_lets_json_pass_is_answered(caller: Caller, accept: str) -> None:
    """By name, by wildcard, with parameters, or by saying nothing."""
    assert caller.get("/clients/13", headers={"Accept": accept}).status_code == 200


BAD_TAGS = [
    "",
    " ",
    "abc",
    '"abc',
    'abc"',
    "'abc'",
    '"a" "b"',
    '"a",',
    ',"a"',
    'w/"a"',
    'W/ "a"',
    '*, "a"',
    "**",
    '"a b"',
]
BAD_TAGS += ['"\x7f"', "W/abc", '"a", b', '"a";x', '""x""']


@pytest.mark.parametrize("tag", BAD_TAGS)
@pytest.mark.parametrize(
    "method, path, header",
    [
        ("GET", "/clients", "If-None-Match"),
        ("GET", "/clients/13", "If-None-Match"),
        ("PATCH", "/clients/13", "If-Match"),
        ("PUT", "/clients/13", "If-Match"),
        ("DELETE", "/clients/13", "If-Match"),
    ],
)
def test_a_precondition_that_cannot_be_read_is_400(
    caller: Caller, simulator: Simulator, method: str, path: str, header: str, tag: str
) -> None:
    """Never taken for absent: a write would go through that should not; the header is named."""
    response = caller.request(method, path, headers={header: tag}, **body_for(method))
    refused(response, 400, "invalid_header", simulator, {"header": header, "code": "invalid_precondition"})


@pytest.mark.parametrize("host", ["..", "a" * 300, ".a", "a..b"])
def test_a_host_that_is_none_is_400(caller: Caller, simulator: Simulator, host: str) -> None:
    """Said of the header, not of the body."""
    response = caller.get("/clients/13", headers={"Host": host})
    refused(response, 400, "invalid_header", simulator, {"header": "Host"})


@pytest.mark.parametrize(
    "name, value",
    [
        ("Prefer", 'a="' * 2000),
        ("Prefer", "a" * 8000 + '"'),
        ("Prefer", "a=" + " " * 4000 + '"x'),
        ("If-None-Match", '"a",' * 2000 + "x"),
        ("If-None-Match", "W/" * 4000),
        ("Accept", "a/b;" * 2000),
        ("Accept", "a/b," * 2000 + "*/*"),
        ("Authorization", "Basic " + "A" * 8000),
        ("X-Request-Id", "x" * 8000),
        ("Content-Type", "application/json;" + "a=b;" * 1500),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.timeout(20)
def test_a_long_and_odd_header_is_answered_promptly(caller: Caller, name: str, value: str) -> None:
    """No pattern that takes for ever."""
    for _ in range(20):
        assert caller.get("/clients/9", headers={name: value}).status_code in (400, 404, 406)


def test_everything_at_once_still_gets_one_answer(caller: Caller, simulator: Simulator) -> None:
    """The order is: who, what is accepted, what is asked, what is sent."""
    everything: dict[str, Any] = {
        "headers": {"Accept": "text/html", "If-Match": "x", "Content-Encoding": "gzip"},
        "data": b"\xff",
        "content_type": "text/plain",
    }
    refused(caller.patch("/clients/13?x=1", **everything), 406, "not_acceptable", simulator)
    del everything["headers"]["Accept"]
    refused(caller.patch("/clients/13?x=1", **everything), 400, "invalid_query", simulator)
    refused(caller.patch("/clients/13", **everything), 415, "unsupported_media_type", simulator)
