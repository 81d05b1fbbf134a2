"""Serving one request while the loop goes on: in a thread, or in a task of the loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from gateway.edge.connection import Connection
from gateway.edge.pool import Pool
from gateway.edge.tasks import Tasks

Serve = Callable[[], bool]
"""Answers; tells whether the connection can be kept. `OSError` says that the caller has gone."""


class Serving:
    """What serves a request is called with nobody else at its connection, and `served` then, by the loop, with whether
    that can be kept. `defer` has the loop make a call; `log` is gunicorn's."""

    def __init__(
        self,
        pool: Pool,
        tasks: Tasks,
        defer: Callable[..., None],
        served: Callable[[Connection, bool], None],
        log: Any,
    ) -> None:
        self._pool = pool
        self._tasks = tasks
        self._defer = defer
        self._served = served
        self._log = log

    def in_thread(self, connection: Connection, serve: Serve) -> None:
        connection.busy = True
        self._pool.put(partial(self._run, serve, partial(self._defer, self._served, connection)))

    def in_task(self, connection: Connection, serve: Serve) -> None:
        """For what waits by `gateway.waiting` alone."""
        connection.busy = True
        self._tasks.start(partial(self._run, serve, partial(self._served, connection)))

    def _run(self, serve: Serve, served: Callable[[bool], None]) -> None:
        keep = False
        try:
            keep = serve()
        except OSError:
            self._log.debug("A caller has gone before its answer.")
        except Exception:  # noqa: BLE001  told, whatever it is
            self._log.exception("A request could not be served.")
        finally:
            served(keep)
