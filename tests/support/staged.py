"""A gateway in this process, as the proof's cases ask it: `tools.proof.staging.Gateway`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tests.support.gateway import start_gateway
from tools.proof.staging import Reply

_FAILED = tuple(f'"outcome":"{outcome}"'.encode() for outcome in ("not_sent", "unknown", "upstream_error", "garbled"))


class WatchedLog(io.BytesIO):
    """A log that acts at once when it is told that a call to the upstream failed, in the thread that tells it."""

    def __init__(self) -> None:
        super().__init__()
        self._then: Callable[[], None] | None = None

    def on_failure(self, then: Callable[[], None] | None) -> None:
        """`then` is called once; None: never."""
        self._then = then

    def write(self, line: Any) -> int:
        then = self._then
        if then is not None and b'"upstream_call"' in line and any(failed in line for failed in _FAILED):
            self._then = None
            then()
        return super().write(line)


class StagedGateway:
    """`env` are the settings. Threads may ask at the same time; answers are checked against the OpenAPI document."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._log = WatchedLog()
        self.caller = start_gateway({"LOG_LEVEL": "debug", **env}, self._log)

    def ask(self, http_method: str, path: str, body: Any = None) -> Reply:
        options = {} if body is None else {"json": body}
        own = replace(self.caller, client=self.caller.client.application.test_client())
        response = own.request(http_method, path, **options)
        parsed = response.get_json(force=True, silent=True)
        return Reply(response.status_code, dict(response.headers), parsed, response.get_data(as_text=True))

    @contextmanager
    def after_first_failure(self, then: Callable[[], None]) -> Iterator[None]:
        self._log.on_failure(then)
        try:
            yield
        finally:
            self._log.on_failure(None)
