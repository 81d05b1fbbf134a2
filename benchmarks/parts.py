"""What the gateway's own parts cost beside the obvious way of doing the same: a call upstream, and a translation."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import requests

from benchmarks.comparison import Row, Work, compare
from gateway.deadline import Deadline
from gateway.secret import Secret
from gateway.upstream.codec import Codec
from gateway.upstream.decoding import Node
from gateway.upstream.markup import Markups
from gateway.upstream.protocol import Answer, envelope, read_answer
from gateway.upstream.transport import Call, HttpTransport, Repeat
from schemas.client import CLIENT

TOKEN = "demo-admin"  # noqa: S105 - the simulator's own
LIST = envelope("client.list", "<per_page>100</per_page>")
GET = envelope("client.get", "<client_id>13</client_id>")


def measure() -> dict[str, list[Row]]:
    """The ways of each part, timed in turn: processor time of this process."""
    with simulator() as url, requests.Session() as session:
        page = session.post(url, data=LIST, auth=(TOKEN, "X"), timeout=10).content
        return {
            "a call upstream": compare(calls(url, session), rounds=9, repetitions=200),
            "a page of clients, XML to JSON": compare(translations(page), rounds=9, repetitions=20),
        }


@contextmanager
def simulator() -> Iterator[str]:
    """The simulator in a process of its own."""
    command = [sys.executable, "-m", "simulator"]
    with subprocess.Popen(command, env={"SIMULATOR_BIND": "127.0.0.1:0"}, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield next(word for word in line.split() if word.endswith("/xml-in"))
        finally:
            process.terminate()


def calls(url: str, session: requests.Session) -> Mapping[str, Work]:
    transport = HttpTransport(url, answer_bytes_max=2**24, idle_connections_max=2)
    token = Secret(TOKEN)
    return {
        "the gateway's transport": lambda: transport(Call("client.get", GET, token, Deadline.after(10), Repeat.READ)),
        "requests.Session.post": lambda: session.post(url, data=GET, auth=(TOKEN, "X"), timeout=10).content,
        "requests.post": lambda: requests.post(url, data=GET, auth=(TOKEN, "X"), timeout=10).content,
    }


def translations(page: bytes) -> Mapping[str, Work]:
    codec = Codec(CLIENT, ZoneInfo("America/New_York"), lambda _: None)
    known = Markups([CLIENT], {CLIENT.name: codec})
    for _ in range(10):  # it learns some rows at a time
        known.read(page)

    def read() -> Node:
        response = known.read(page)
        if response is None:
            raise ValueError("the page does not stand in known markup")
        return response

    def decoded(response: Node) -> list[dict[str, Any]]:
        return [codec.decode(row) for container in response for row in container]

    def by_markup() -> bytes:
        return msgspec.json.encode(decoded(read()))

    def by_parser() -> bytes:
        return msgspec.json.encode(decoded(read_answer(Answer(200, {}, page))))

    def marshmallow() -> bytes:
        return msgspec.json.encode(CLIENT.schema.dump(decoded(read()), many=True))

    def by_path() -> bytes:
        space = "{http://www.freshbooks.com/api/}"
        names = [child.tag for child in ET.fromstring(page)[0][0]]
        rows = ET.fromstring(page).iter(f"{space}client")
        return msgspec.json.encode([{name.removeprefix(space): row.findtext(name) for name in names} for row in rows])

    return {
        "compiled decoder, known markup": by_markup,
        "compiled decoder, lxml": by_parser,
        "known markup and marshmallow's dump": marshmallow,
        "ElementTree.findtext, flat": by_path,
    }
