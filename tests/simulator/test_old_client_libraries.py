"""Public client libraries of the real service talk to the simulator unmodified."""

from __future__ import annotations

import base64
import http.client
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import pytest
from refreshbooks import api, client  # type: ignore[import-untyped]
from refreshbooks.transport import TransportException  # type: ignore[import-untyped]

from simulator.server import Simulator
from tests.simulator.api_caller import Reply, dial, read_all, request
from tests.simulator.conftest import Certificates

FETCH = request("client.get", "<client_id>13</client_id>")


@pytest.fixture
def library(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`refreshbooks` 2.0 (2014) over TLS, as its users call it; it knows the path and the order of things itself."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca_file))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Simulator(tls_cert_file=certificates.cert_file, tls_key_file=certificates.key_file) as sim:
        yield sim, lambda token: api.TokenClient(f"127.0.0.1:{sim.port}", token, user_agent="old-app/1.0")


def test_a_library_of_2014_through_all_five_methods(library: Any) -> None:
    """Create with contacts, get, list, update, delete: its own encoder, its own decoder."""
    sim, connect = library
    books = connect("demo-admin")
    contacts = [api.types.contact(email="first@example.com"), api.types.contact(email="second@example.com", phone1="5")]
    created = books.client.create(client={"email": "né@example.com", "notes": "a & b ]]> 🎉", "contacts": contacts})
    client_id = int(created.client_id)

    record = books.client.get(client_id=created.client_id).client
    assert (str(record.email), str(record.notes)) == ("né@example.com", "a & b ]]> 🎉")
    assert [str(contact.email) for contact in record.contacts.contact] == ["first@example.com", "second@example.com"]

    page = books.client.list(per_page=2, folder="active")
    assert page.clients.get("per_page") == "2"
    assert int(page.clients.client[0].client_id) == client_id

    books.client.update(client={"client_id": client_id, "notes": "changed"})
    assert str(books.client.get(client_id=client_id).client.notes) == "changed"

    books.client.delete(client_id=client_id)
    with pytest.raises(client.FailedRequest) as failed:
        books.client.get(client_id=client_id)
    assert str(failed.value.error) == "'client_id' not found. Client is deleted."
    assert {call.headers["user-agent"] for call in sim.ledger.calls()} == {"old-app/1.0"}
    assert sim.ledger.summary()["connections_opened"] == 1


def test_a_library_of_2014_with_a_wrong_token(library: Any) -> None:
    """It sees the HTTP status and the fault's XML."""
    _, connect = library
    with pytest.raises(TransportException) as failed:
        connect("wrong").client.list()
    assert failed.value.status == 401
    assert b"Authentication failed." in failed.value.content


def test_a_library_of_2014_with_a_staff_token(library: Any) -> None:
    _, connect = library
    books = connect("demo-staff")
    assert str(books.client.get(client_id=13).client.email) == "janedoe@freshbooks.com"
    with pytest.raises(client.FailedRequest):
        books.client.get(client_id=3)


def test_a_client_that_waits_for_the_challenge(sim: Simulator) -> None:
    """The first request has no credentials; the realm of the challenge is the one it looks for."""
    handler = urllib.request.HTTPBasicAuthHandler()
    handler.add_password("FreshBooks", sim.base_url, "demo-admin", "X")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler)
    with opener.open(urllib.request.Request(sim.url, FETCH.encode()), timeout=30) as answer:
        assert b"<first_name>Jane</first_name>" in answer.read()
    assert [call.token for call in sim.ledger.calls()] == ["none", "admin"]


CREDENTIALS = [b"demo-admin:X", b"demo-admin:x", b"demo-admin:"]
SENT_HEADERS = [
    "Content-Type: application/x-www-form-urlencoded",
    "Content-Type: text/xml; charset=utf-8",
    "Content-Type: application/xml",
    "Accept: */*\r\nAccept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
    "TE: deflate,gzip;q=0.3\r\nUser-Agent: libwww-perl/5.834",
]
DOCUMENTS = [
    '\n<?xml version="1.0" encoding="utf-8"?>\n<request method="client.get">\n<client_id>13</client_id>\n</request>\n',
    '  \t\r\n<?xml version="1.0"?><request method="client.get"><client_id>13</client_id></request>',
    '<!--?xml encoding="UTF-8"?--><request method="client.get"><client_id><![CDATA[13]]></client_id></request>',
    "<request method='client.get'><client_id>&#49;3</client_id></request>",
    '<?xml version="1.0" standalone="yes"?>\n<request method="client.get"><client_id>13</client_id></request>',
]


@pytest.mark.parametrize("credentials", CREDENTIALS)
@pytest.mark.parametrize("headers", SENT_HEADERS)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_bytes_that_libraries_of_other_languages_send(
    sim: Simulator, credentials: bytes, headers: str, document: str
) -> None:
    """PHP's curl, Ruby's Net::HTTP, Perl's LWP: any Content-Type, any password, blanks first; nothing compressed."""
    authorization = base64.b64encode(credentials).decode()
    head = (
        f"POST /api/2.1/xml-in HTTP/1.1\r\nHost: {urlsplit(sim.url).netloc}\r\nAuthorization: Basic {authorization}\r\n"
    )
    body = document.encode()
    length = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with dial(sim.url) as sock:
        sock.sendall(f"{head}{headers}\r\n{length}".encode() + body)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        reply = Reply(answer.status, dict(answer.getheaders()), answer.read())
        assert read_all(sock) == (b"", False)
        answer.close()
    assert reply.texts()["email"] == "janedoe@freshbooks.com"
    assert "Content-Encoding" not in reply.headers
