"""An OpenTelemetry collector that takes OTLP over HTTP and keeps what it is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

GIVE_UP_S = 30.0


class Collector:
    """Listens on the loopback for as long as the `with` block lasts. `hangs`: it takes requests and answers none."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.received = b""
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self._changed = threading.Condition()
        self._answers = threading.Event()
        if not hangs:
            self._answers.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait(self, total: int) -> list[Span]:
        """All spans, once there are so many. Raises `AssertionError` when they do not come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.spans) >= total, GIVE_UP_S), self.spans
            return list(self.spans)

    def take(self, path: str, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.received += path.encode() + body
            for of_resource in request.resource_spans:
                self.resources.append({one.key: one.value.string_value for one in of_resource.resource.attributes})
                self.spans += [span for scope in of_resource.scope_spans for span in scope.spans]
            self._changed.notify_all()
        self._answers.wait(GIVE_UP_S)

    def _handler(self) -> Callable[..., BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """A test's output is for what failed."""

        return Handler

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answers.set()
        self._server.shutdown()
        self._thread.join(GIVE_UP_S)
        self._server.server_close()
