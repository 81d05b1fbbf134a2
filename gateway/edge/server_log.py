"""gunicorn's log in the form of ours."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger

from gateway.telemetry.foreign_log import LineFormatter


class ServerLog(Logger):
    """gunicorn's log, whose lines have the form of ours."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(LineFormatter("gunicorn"))
