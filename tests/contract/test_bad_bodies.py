"""Bodies that are no JSON object, not of a type we read, or too long."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest

from simulator.server import Simulator
from tests.contract.expectations import WITH_BODY, json_of, refused
from tests.support.gateway import Caller

MIB = 1024 * 1024
JSON = "application/json"


def send(caller: Caller, route: tuple[str, str], data: bytes, content_type: str | None = JSON, **options: Any) -> Any:
    return caller.request(*route, data=data, content_type=content_type, **options)


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "blanks": b" \r\n\t ",
    "cut": b'{"email": "a@b.exam',
    "cut after a comma": b'{"email": "a@b.example",',
    "trailing comma": b'{"email": "a@b.example",}',
    "two objects": b"{} {}",
    "rubbish behind": b'{"email": "a@b.example"} x',
    "single quotes": b"{'email': 'a@b.example'}",
    "bare key": b'{email: "a@b.example"}',
    "comment": b'{"email": "a@b.example" /* x */}',
    "form": b"email=a%40b.example",
    "xml": b"<client><email>a@b.example</email></client>",
    "NUL": b"\x00",
    "raw line break in a text": b'{"notes": "a\nb"}',
    "raw NUL in a text": b'{"notes": "a\x00b"}',
    "bad escape": rb'{"notes": "\x41"}',
    "short escape": rb'{"notes": "\u12"}',
    "word": b"hello",
    "Python's None": b'{"notes": None}',
    "NaN": b'{"notes": NaN}',
    "Infinity": b'{"notes": Infinity}',
    "-Infinity": b'{"notes": -Infinity}',
    "1e999": b'{"notes": 1e999}',
    "-1e999": b'{"notes": -1e999}',
    "leading zero": b'{"notes": 007}',
    "plus": b'{"notes": +1}',
    "hexadecimal": b'{"notes": 0x10}',
    "bare fraction": b'{"notes": .5}',
    "open fraction": b'{"notes": 1.}',
    "number of 1001 digits": b'{"notes": ' + b"9" * 1001 + b"}",
    "number of 900000 digits": b'{"notes": ' + b"9" * 900_000 + b"}",
    "negative number of 5000 digits": b'{"notes": -' + b"9" * 5000 + b"}",
    "Arabic digits": '{"notes": ١٢}'.encode(),
    "half a million brackets": b"[" * 500_000,
    "deep lists": b'{"notes": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "Latin-1": '{"notes": "é"}'.encode("latin-1"),
    "UTF-16": '{"notes": "x"}'.encode("utf-16"),
    "UTF-32": '{"notes": "x"}'.encode("utf-32-le"),
    "byte order mark": b'\xef\xbb\xbf{"email": "a@b.example"}',
    "cut UTF-8": b'{"notes": "\xf0\x9f\x8e"}',
    "overlong UTF-8": b'{"notes": "\xc0\xaf"}',
    "UTF-8 surrogate": b'{"notes": "\xed\xa0\x80"}',
    "beyond Unicode": b'{"notes": "\xf4\x90\x80\x80"}',
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_json_is_400(caller: Caller, simulator: Simulator, data: bytes) -> None:
    """Strict JSON in UTF-8, with finite numbers of a sane length and depth."""
    for route in WITH_BODY:
        refused(send(caller, route, data), 400, "malformed_body", simulator)


@pytest.mark.parametrize("value", [[], [{"email": "a@b.example"}], "text", 13, 1.5, True, False, None])
def test_json_that_is_no_object_is_400(caller: Caller, simulator: Simulator, value: object) -> None:
    """And the problem points at the whole."""
    for route in WITH_BODY:
        place = {"pointer": "", "code": "not_an_object"}
        refused(send(caller, route, json.dumps(value).encode()), 400, "malformed_body", simulator, place)


TWICE = {
    "at the top": (b'{"email": "a@b.example", "email": "a@b.example"}', "email"),
    "different values": (b'{"email": "a@b.example", "notes": "1", "notes": null}', "notes"),
    "written differently": (rb'{"email": "a@b.example", "\u0065mail": "x@b.example"}', "email"),
    "in an address": (b'{"email": "a@b.example", "primary_address": {"city": "A", "city": "A"}}', "city"),
    "in a contact": (b'{"contacts": [{"email": "a@b.example", "id": 1, "id": 2}]}', "id"),
    "in something unknown": (b'{"x": {"y": [{"z": 1, "z": 2}]}}', "z"),
    "of no characters": (b'{"": 1, "": 2}', '""'),
    "of a lone surrogate": (rb'{"\ud800": 1, "\ud800": 2}', "?"),
}


@pytest.mark.parametrize("data, key", TWICE.values(), ids=TWICE)
def test_a_key_twice_is_400_and_named(caller: Caller, simulator: Simulator, data: bytes, key: str) -> None:
    """Which of the two was meant is nobody's guess."""
    for route in WITH_BODY:
        body = refused(send(caller, route, data), 400, "malformed_body", simulator, {"code": "duplicate_key"})
        assert key in body["detail"]


@pytest.mark.parametrize(
    "data, place",
    [
        (b'{"notes": NaN}', "not_json"),
        (b'{"notes": 1e999}', "number_too_large"),
        (b'{"notes": ' + b"9" * 1001 + b"}", "number_too_long"),
    ],
)
def test_a_number_that_cannot_be_meant_is_said_to_be_one(
    caller: Caller, simulator: Simulator, data: bytes, place: str
) -> None:
    """Each with a code of its own."""
    refused(send(caller, ("POST", "/clients"), data), 400, "malformed_body", simulator, {"code": place})


def test_the_place_of_a_syntax_error_is_told(caller: Caller, simulator: Simulator) -> None:
    """Line and column, not the text around it: that may be a password."""
    data = b'{"email": "a@b.example",\n "password": "hunter2" "x"}'
    body = refused(send(caller, ("POST", "/clients"), data), 400, "malformed_body", simulator)
    assert "line 2, column 24" in body["detail"]
    assert "hunter2" not in str(body)


WRONG_TYPES = {
    "missing": None,
    "text": "text/plain",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data; boundary=x",
    "XML": "application/xml",
    "JSON lines": "application/jsonl",
    "another suffix": "application/vnd.api+json",
    "text/json": "text/json",
    "JSON patch": "application/json-patch+json",
    "two": "application/json, application/json",
    "anything": "*/*",
    "Latin-1": "application/json; charset=iso-8859-1",
    "UTF-16": "application/json; charset=utf-16",
    "rubbish": ";;;",
    "not ASCII": "application/jsön",
}


@pytest.mark.parametrize("content_type", WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_a_wrong_media_type_is_415_and_says_which_are_right(
    caller: Caller, simulator: Simulator, content_type: str | None
) -> None:
    """`Accept-Patch` or `Accept-Post`, though the body itself would be right."""
    for route in WITH_BODY:
        response = send(caller, route, b'{"email": "a@b.example"}', content_type)
        refused(response, 415, "unsupported_media_type", simulator)
        if route[0] == "PATCH":
            assert response.headers["Accept-Patch"] == "application/merge-patch+json, application/json"
        else:
            assert response.headers["Accept-Post"] == "application/json"


@pytest.mark.parametrize("route", [("POST", "/clients"), ("PUT", "/clients/13")], ids="".join)
def test_a_merge_patch_is_for_patch_alone(caller: Caller, simulator: Simulator, route: tuple[str, str]) -> None:
    """Whoever sends one means a part."""
    response = send(caller, route, b'{"email": "a@b.example"}', "application/merge-patch+json")
    refused(response, 415, "unsupported_media_type", simulator)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x", "identity, gzip"])
def test_a_compressed_body_is_415(caller: Caller, simulator: Simulator, encoding: str) -> None:
    """Said by its header, whether it is compressed or not (RFC 9110 §8.4)."""
    for route in WITH_BODY:
        data = gzip.compress(b'{"email": "a@b.example"}')
        response = send(caller, route, data, headers={"Content-Encoding": encoding})
        refused(response, 415, "unsupported_media_type", simulator)
        assert response.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_a_body_that_says_it_is_not_compressed_is_read(caller: Caller, encoding: str) -> None:
    """The identity is no encoding."""
    response = send(caller, ("POST", "/clients"), b'{"email": "a@b.example"}', headers={"Content-Encoding": encoding})
    assert response.status_code == 201


def padded(length_bytes: int) -> bytes:
    """A valid body of so many bytes."""
    shell = b'{"email": "a@b.example", "notes": ""}'
    return shell.replace(b'""', b'"' + b"x" * (length_bytes - len(shell)) + b'"')


def test_a_body_of_a_mebibyte_is_read(caller: Caller) -> None:
    """The bound itself is inside."""
    for route in WITH_BODY:
        assert len(padded(MIB)) == MIB
        response = send(caller, route, padded(MIB))
        assert response.status_code in (200, 201)
        assert len(json_of(response)["notes"]) > MIB - 100


@pytest.mark.parametrize("length_bytes", [MIB + 1, 3 * MIB])
def test_a_longer_body_is_413(caller: Caller, simulator: Simulator, length_bytes: int) -> None:
    """Whatever is in it."""
    for route in WITH_BODY:
        refused(send(caller, route, padded(length_bytes)), 413, "body_too_large", simulator)


def test_a_longer_body_of_undeclared_length_is_413(caller: Caller, simulator: Simulator) -> None:
    """Counted while it is read: chunked bodies have no `Content-Length`."""
    for route in WITH_BODY:
        endless = {"wsgi.input": io.BytesIO(padded(MIB + 1)), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        response = caller.request(*route, content_type=JSON, environ_overrides=endless)
        refused(response, 413, "body_too_large", simulator)


def test_a_declared_length_alone_is_413(caller: Caller, simulator: Simulator) -> None:
    """Nothing of it needs to have come."""
    claimed = {"CONTENT_LENGTH": str(10**15)}
    response = caller.post("/clients", data=b"{}", content_type=JSON, environ_overrides=claimed)
    refused(response, 413, "body_too_large", simulator)


def test_the_media_type_is_looked_at_before_the_body(caller: Caller, simulator: Simulator) -> None:
    """What will not be read is not counted."""
    refused(
        send(caller, ("POST", "/clients"), b"x" * (2 * MIB), "text/plain"), 415, "unsupported_media_type", simulator
    )
