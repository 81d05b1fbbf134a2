"""Secrets put in everywhere come out nowhere that operators look: logs, metrics, spans, the store."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from simulator.server import Simulator
from tests.operations.collector import Collector
from tests.operations.conftest import settings
from tests.support.server import GatewayProcess

TOKEN = "canary/token+77aa=="
KEY = "canary/key+5b0d~e1=="
WRONG_KEY = "canary/wrong&19f2<x>"
PASSWORD = 'canary/pass"c3e1&<é>'
SECRETS = (TOKEN, KEY, WRONG_KEY, PASSWORD)
KNOWN = {"Authorization": f"Bearer {KEY}"}
WRONG = {"Authorization": f"Bearer {WRONG_KEY}"}
BODY = json.dumps({"email": "a@b.example", "password": PASSWORD}).encode()
OPERATIONS = (("GET", "/clients/13"), ("GET", "/clients"), ("PATCH", "/clients/13"), ("POST", "/clients"))
MALFORMED = (
    f"GET /clients HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer {KEY}\r\n\r\n",
    f"GET /clients HTTP/1.1\r\nHost: localhost\r\nAuthorization\x01: Bearer {KEY}\r\n\r\n",
    f"GET /clients HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer\r\n {KEY}\r\n\r\n",
    f"GET /clients HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: {KEY}\r\n\r\n",
    f"GET /clients HTTP/{KEY}\r\nHost: localhost\r\n\r\n",
)


def spellings(secret: str) -> set[bytes]:
    """The ways in which a secret may stand in a text or a file; of base64 at each of the three alignments."""
    raw = secret.encode()
    aligned = [base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 :].rstrip(b"=")[:-1] for shift in range(3)]
    urlsafe = [one.replace(b"+", b"-").replace(b"/", b"_") for one in aligned]
    escaped = [json.dumps(secret)[1:-1], secret.replace("&", "&amp;").replace("<", "&lt;"), repr(secret)[1:-1]]
    texts = [quote(secret), quote(secret, safe=""), quote_plus(secret), raw.hex(), *escaped]
    return {raw, raw[::-1], *aligned, *urlsafe, *(text.encode() for text in texts), hashlib.sha256(raw).digest()}


def found_in(content: bytes) -> list[str]:
    return [secret for secret in SECRETS if any(spelling in content for spelling in spellings(secret))]


def everything(gateway: GatewayProcess) -> None:
    """Requests of every kind, whole and broken, with the secrets wherever one may stand."""
    basic = base64.b64encode(f"{KEY}:{PASSWORD}".encode()).decode()
    for headers in (KNOWN, WRONG, {"Authorization": f"Basic {basic}"}):
        for key in ({}, {"Idempotency-Key": "one"}):
            for method, path in OPERATIONS:
                ask(gateway, method, path, b"" if method == "GET" else BODY, {**headers, **key})
    for query in (f"email={quote(KEY)}", f"token={quote(TOKEN)}", f"page={quote(PASSWORD)}"):
        ask(gateway, "GET", f"/clients?{query}", b"", KNOWN)
    ask(gateway, "PUT", "/clients/13", BODY[:-3], KNOWN)
    for text in MALFORMED:
        with socket.create_connection((gateway.host, gateway.port), timeout=30) as line:
            line.sendall(text.encode("latin-1"))
            line.shutdown(socket.SHUT_WR)
            line.makefile("rb").read()


def ask(gateway: GatewayProcess, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    connection = gateway.connect()
    try:
        connection.request(method, path, body or None, {"Content-Type": "application/json", **headers})
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, bytes]]:
    """What operators can see of a gateway that was asked everything, with faults in between, by the places."""
    store, counters = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("counters")
    with Simulator(tokens={TOKEN: "admin"}) as simulator, Collector() as collector:
        env = settings(
            simulator,
            UPSTREAM_TOKEN=TOKEN,
            GATEWAY_AUTH="keys",
            GATEWAY_API_KEYS=hashlib.sha256(KEY.encode()).hexdigest(),
            CACHE_TTL_S="60",
            LOG_LEVEL="debug",
            UPSTREAM_DEADLINE_S="2",
            STORE_URL=str(store),
            PROMETHEUS_MULTIPROC_DIR=str(counters),
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        )
        with GatewayProcess(env) as gateway:
            everything(gateway)
            for fault in ("unauthorized", "html_page", "commit_then_drop"):
                simulator.faults.add(fault, times=3)
                everything(gateway)
            metrics = ask(gateway, "GET", "/metrics", b"", {})
            files = content_of(counters)
        assert simulator.ledger.calls("client.update"), "the password went upstream"
        yield {
            "the output": gateway.output().encode(),
            "the metrics": metrics,
            "the files of the metrics": files,
            "the spans": collector.received,
            "the store": content_of(store),
        }


def content_of(folder: Path) -> bytes:
    return b"\n".join(str(file).encode() + file.read_bytes() for file in folder.rglob("*") if file.is_file())


@pytest.mark.parametrize("place", ["the output", "the metrics", "the files of the metrics", "the spans", "the store"])
def test_no_secret_shows(shown: dict[str, bytes], place: str) -> None:
    """In no spelling."""
    assert len(shown[place]) > 1000
    assert found_in(shown[place]) == []


@pytest.mark.parametrize("secret", SECRETS)
def test_the_search_would_find_them(secret: str) -> None:
    """Plain, encoded, or in the middle of something."""
    hidden = [secret.encode(), f"xx{quote(secret, safe='')}".encode(), json.dumps({"a": secret}).encode()]
    hidden += [base64.b64encode(f"{'u' * shift}{secret}:X".encode()) for shift in range(3)]
    assert [found_in(one) for one in hidden] == [[secret]] * len(hidden)
