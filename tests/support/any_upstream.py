"""An upstream that keeps records of any kind: the five methods with no rules, in the standard library's XML."""

from __future__ import annotations

import http.server
import threading
import xml.etree.ElementTree as ET
from types import TracebackType
from typing import Any

_NAMESPACE = "http://www.freshbooks.com/api/"


class AnyUpstream:
    """Serves on a free loopback port while it is entered; `url` says where. `methods` lists the calls it got."""

    def __init__(self) -> None:
        self.methods: list[str] = []
        self._records: dict[str, dict[int, list[tuple[str, str]]]] = {}
        keeper = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = keeper.answer(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                """Silent."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/api/2.1/xml-in"

    def __enter__(self) -> AnyUpstream:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: bytes) -> bytes:
        root = ET.fromstring(request)
        method = root.get("method", "")
        self.methods.append(method)
        kind, _, verb = method.partition(".")
        perform = getattr(self, f"_{verb}")
        response: ET.Element = perform(kind, self._records.setdefault(kind, {}), root)
        body: bytes = ET.tostring(response, encoding="utf-8", xml_declaration=True)
        return body

    def _create(self, kind: str, records: dict[int, list[tuple[str, str]]], root: ET.Element) -> ET.Element:
        key = len(records) + 1
        records[key] = [(child.tag, child.text or "") for child in root[0]]
        response = _ok()
        ET.SubElement(response, f"{kind}_id").text = str(key)
        return response

    def _get(self, kind: str, records: dict[int, list[tuple[str, str]]], root: ET.Element) -> ET.Element:
        if (key := int(root[0].text or "0")) not in records:
            return _not_found(kind)
        response = _ok()
        response.append(_element(kind, key, records[key]))
        return response

    def _update(self, kind: str, records: dict[int, list[tuple[str, str]]], root: ET.Element) -> ET.Element:
        key = int(root[0].findtext(f"{kind}_id") or "0")
        changes = {child.tag: child.text or "" for child in root[0] if child.tag != f"{kind}_id"}
        records[key] = list((dict(records[key]) | changes).items())
        return _ok()

    def _delete(self, kind: str, records: dict[int, list[tuple[str, str]]], root: ET.Element) -> ET.Element:
        return _ok() if records.pop(int(root[0].text or "0"), None) else _not_found(kind)

    def _list(self, kind: str, records: dict[int, list[tuple[str, str]]], root: ET.Element) -> ET.Element:
        response = _ok()
        total = str(len(records))
        rows = ET.SubElement(response, f"{kind}s", page="1", per_page="25", pages="1", total=total)
        rows.extend(_element(kind, key, fields) for key, fields in records.items())
        return response


def _ok() -> ET.Element:
    return ET.Element("response", xmlns=_NAMESPACE, status="ok")


def _not_found(kind: str) -> ET.Element:
    response = ET.Element("response", xmlns=_NAMESPACE, status="fail")
    ET.SubElement(response, "error").text = f"'{kind}_id' not found."
    ET.SubElement(response, "code").text = "50010"
    return response


def _element(kind: str, key: int, fields: list[tuple[str, str]]) -> ET.Element:
    element = ET.Element(kind)
    for tag, text in [(f"{kind}_id", str(key)), *fields]:
        ET.SubElement(element, tag).text = text
    return element
