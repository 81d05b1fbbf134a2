"""The real application in front of a real upstream over TCP, and a caller that holds every answer to the document."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from app import create_app
from gateway.settings import Settings
from gateway.telemetry import Log, open_log
from gateway.upstream.remote import Remote
from tests.support.document import check_response


@dataclass
class Caller:
    """A caller of the gateway's API. Each answer it gets is checked against the OpenAPI document."""

    client: Any
    log_stream: io.BytesIO
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, *, check: bool = True, **options: Any) -> TestResponse:
        headers = {**self.headers, **options.pop("headers", {})}
        response: TestResponse = self.client.open(path, method=method, headers=headers, **options)
        if check:
            check_response(
                method, path.split("?", maxsplit=1)[0], response.status_code, response.headers, response.get_data()
            )
        return response

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.request("POST", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        return self.request("PATCH", path, **options)

    def put(self, path: str, **options: Any) -> TestResponse:
        return self.request("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.request("DELETE", path, **options)

    def log(self) -> list[dict[str, Any]]:
        """The lines logged so far."""
        return [json.loads(line) for line in self.log_stream.getvalue().splitlines()]


def warm(caller: Caller) -> Caller:
    """With its stores open: that takes its time on a slow disk, which a short deadline is not meant for."""
    assert caller.get("/readyz").status_code == 200
    return caller


def open_app(settings: Settings, log: Log | None = None, **parts: Any) -> Flask:
    """The application, closed as soon as nobody holds it any more. `parts` are those that `create_app` takes."""
    app = create_app(settings, log, **parts)
    weakref.finalize(app, app.extensions["close"])
    return app


def start_gateway(env: Mapping[str, str], stream: io.BytesIO | None = None, *, calls: Remote | None = None) -> Caller:
    """The application for an environment, called in this process, with its log kept. It has a store of its own.

    `stream` is what the log is written to; None: a new one. `calls` makes the upstream's calls; None: HTTP does.
    """
    folder = tempfile.mkdtemp(prefix="gateway-store-")
    settings = Settings.from_env({"STORE_URL": folder, **env})
    stream = stream or io.BytesIO()
    app = open_app(settings, open_log(settings.log_level, stream), calls=calls)
    weakref.finalize(app, shutil.rmtree, folder, ignore_errors=True)
    return Caller(app.test_client(), stream)
