"""Faults, and the order in which the service looks for them."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

from simulator.server import Simulator
from tests.simulator.api_caller import ApiCaller, basic, request

AUTHENTICATION = ("20010", "Authentication failed.")
ILL_FORMED = ("40010", "Your XML is not formatted correctly.")


def fault_document(code: str, text: str) -> bytes:
    """Observed: the envelope of live faults, byte for byte."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<response xmlns="http://www.freshbooks.com/api/" status="fail">\n'
        f"  <error>{text}</error>\n  <code>{code}</code>\n</response>\n"
    ).encode()


def test_no_credentials_are_challenged(sim: Simulator) -> None:
    """401, the Basic challenge of the live service, and the XML fault."""
    with ApiCaller(sim.url, None) as nobody:
        reply = nobody.get(13)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Basic realm="FreshBooks"'
    assert reply.headers["content-type"] == "application/xml"
    assert reply.body == fault_document(*AUTHENTICATION)


@pytest.mark.parametrize(
    "header",
    [
        basic("wrong"),
        basic(""),
        "Basic",
        "Basic ###",
        "Basic /////w==",
        "Bearer demo-admin",
        'OAuth realm="",oauth_token="demo-admin"',
    ],
)
def test_credentials_that_are_none_of_ours(sim: Simulator, header: str) -> None:
    """401, and the ledger calls the token `other`."""
    with ApiCaller(sim.url, None) as nobody:
        reply = nobody.send(request("client.list"), Authorization=header)
    assert (reply.status, reply.fault) == (401, AUTHENTICATION)
    assert sim.ledger.calls()[-1].token == "other"


@pytest.mark.parametrize("password", ["X", "x", "", "anything : at all"])
def test_the_password_is_not_looked_at(sim: Simulator, password: str) -> None:
    """Client libraries send X, x or nothing."""
    with ApiCaller(sim.url, None) as nobody:
        nobody.send(request("client.list"), Authorization=basic("demo-admin", password)).ok()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<request",
        b"no xml",
        b'<request method="client.list">',
        b'<request method="client.list"></request><!-- more --><x/>',
        '<request method="client.list"><notes>é</notes></request>'.encode("latin-1"),
        '<?xml version="1.0" encoding="utf-16"?><request method="client.list"/>'.encode("utf-16"),
        b'<request method="client.list"><notes>&#0;</notes></request>',
        b'<request method="client.list"><notes>&undeclared;</notes></request>',
        b'<!DOCTYPE r [<!ENTITY e "x">]><request method="client.list"><notes>&e;</notes></request>',
        b'<request method="client.list">' + b"<a>" * 200_000,
        b'<query method="client.list"/>',
        b'<request xmlns="http://www.freshbooks.com/api/" method="client.list"/>',
    ],
)
def test_a_body_that_is_no_request(admin: ApiCaller, body: bytes) -> None:
    """Fault 40010 with HTTP 200, as seen live."""
    reply = admin.send(body)
    assert (reply.status, reply.body) == (200, fault_document(*ILL_FORMED))


@pytest.mark.parametrize("method", ["client.undo", "invoice.list", "", "CLIENT.GET"])
def test_an_unknown_method(admin: ApiCaller, method: str) -> None:
    """A fault whose code is a switch."""
    assert admin.send(request(method)).fault == ("40020", "Unknown method.")


def test_a_request_without_a_method(admin: ApiCaller) -> None:
    assert admin.send(b"<request/>").fault == ("40020", "Unknown method.")


@pytest.mark.parametrize(
    "body, field",
    [
        (request("client.get"), "client_id"),
        (request("client.get", "<client_id></client_id>"), "client_id"),
        (request("client.delete", "<client_id/>"), "client_id"),
        (request("client.update", "<client><notes>x</notes></client>"), "client_id"),
        (request("client.update"), "client"),
        (request("client.create"), "client"),
        (request("client.create", "<client><first_name>A</first_name></client>"), "email"),
        (request("client.create", "<client><email/></client>"), "email"),
        (
            request("client.create", "<client><email>a@b.example</email><contacts><contact/></contacts></client>"),
            "email",
        ),
        (request("client.update", "<client><client_id>13</client_id><email/></client>"), "email"),
    ],
)
def test_a_required_field_is_missing(admin: ApiCaller, body: str, field: str) -> None:
    """Absent and empty are the same."""
    assert admin.send(body).body == fault_document("40040", f"Missing required field: '{field}'.")


@pytest.mark.parametrize(
    "body, field",
    [
        (request("client.create", "<client><email>none</email></client>"), "email"),
        (request("client.create", "<client><email>a@b.c</email><language>klingon</language></client>"), "language"),
        (
            request("client.create", "<client><email>a@b.c</email><currency_code>usd</currency_code></client>"),
            "currency_code",
        ),
        (request("client.list", "<folder>bin</folder>"), "folder"),
        (request("client.list", "<updated_from>yesterday</updated_from>"), "updated_from"),
        (request("client.list", "<updated_to>2009-13-01 00:00:00</updated_to>"), "updated_to"),
    ],
)
def test_a_value_that_cannot_be(admin: ApiCaller, body: str, field: str) -> None:
    assert admin.send(body).fault == ("40060", f"Invalid value for field '{field}'.")


@pytest.mark.parametrize(
    "body, node",
    [
        (request("client.get", "<client_id>13</client_id><extra/>"), "extra"),
        (request("client.list", "<organization>x</organization>"), "organization"),
        (request("client.create", "<client><email>a@b.c</email></client><oops/>"), "oops"),
        (request("client.create", "<client><email>a@b.c</email><created_at>x</created_at></client>"), "created_at"),
        (request("client.create", "<client><client_id>9</client_id><email>a@b.c</email></client>"), "client_id"),
        (request("client.update", "<client><client_id>13</client_id><folder>archived</folder></client>"), "folder"),
        (request("client.update", "<client><client_id>13</client_id><updated>x</updated></client>"), "updated"),
        (request("client.update", "<client><client_id>13</client_id><notes><b>x</b></notes></client>"), "b"),
        (request("client.update", "<client><client_id>13</client_id><contacts><email/></contacts></client>"), "email"),
        (
            request(
                "client.update",
                "<client><client_id>13</client_id><contacts><contact><fax/></contact></contacts></client>",
            ),
            "fax",
        ),
    ],
)
def test_an_element_that_may_not_be_sent(admin: ApiCaller, body: str, node: str) -> None:
    """Unknown and read-only elements are refused by name, and nothing is changed."""
    before = admin.get(13).body
    assert admin.send(body).fault == ("40050", f"Invalid node: {node}.")
    assert admin.get(13).body == before


def test_a_request_of_great_depth(admin: ApiCaller) -> None:
    """Is refused like any unknown element."""
    depth = 200_000
    body = request("client.list", "<a>" * depth + "</a>" * depth)
    assert admin.send(body).fault[1] == "Invalid node: a."


def test_echoing_a_fetched_record_back(admin: ApiCaller) -> None:
    """Fails on its read-only elements, a classic of client authors."""
    inner = admin.get(13).body.decode().partition("<client>")[2].rpartition("</client>")[0]
    code, text = admin.send(request("client.update", f"<client>{inner}</client>")).fault
    assert code == "40050"
    assert text in ("Invalid node: credit.", "Invalid node: url.")


ORDER = [
    ("subdomain", {"Host": "nobody.freshbooks.com"}, ("10030", "System does not exist.")),
    ("authentication", {"Authorization": basic("wrong")}, AUTHENTICATION),
    ("parsing", {"body": "<request"}, ILL_FORMED),
    ("method", {"body": request("client.undo", "<oops/>")}, ("40020", "Unknown method.")),
    ("fields", {"body": request("client.get", "<client_id>12</client_id><oops/>")}, ("40050", "Invalid node: oops.")),
    (
        "resource",
        {"body": request("client.delete", "<client_id>12</client_id>")},
        ("50010", "'client_id' not found. Client not found."),
    ),
    (
        "action",
        {"body": request("client.delete", "<client_id>13</client_id>")},
        ("50020", "Failed to delete client. Request failed."),
    ),
]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_of_several_wrongs_the_first_in_order_is_told(sim: Simulator, first: int) -> None:
    """Subdomain, authentication, parsing, method, fields, resource, action: every later wrong is there as well."""
    sim.faults.add("deny_action")
    wrongs: dict[str, Any] = {}
    for _, wrong, _ in reversed(ORDER[first:]):
        wrongs |= wrong
    body = wrongs.pop("body")
    with ApiCaller(sim.url) as admin:
        assert admin.send(body, **wrongs).fault == ORDER[first][2]


@pytest.mark.parametrize("host", ["demo.freshbooks.com", "sample.billingarm.com:443", "127.0.0.1", "simulator:8081"])
def test_a_known_subdomain_or_an_address_of_this_machine(admin: ApiCaller, host: str) -> None:
    admin.send(request("client.list"), Host=host).ok()


@pytest.mark.parametrize("path", ["/", "/api", "/api/2.1/xml-in/", "/api/2.2/xml-in"])
def test_a_wrong_path(sim: Simulator, path: str) -> None:
    """404 with an HTML page."""
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=30)
    connection.request("POST", path, b"<request/>")
    answer = connection.getresponse()
    assert answer.status == 404
    assert answer.getheader("Content-Type", "").startswith("text/html")
    assert b"<html>" in answer.read()
    connection.close()
    assert not sim.ledger.calls()
