"""The loop of a worker, without its connections."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gateway.edge.poller import Poller
from gateway.edge.tasks import Tasks

ROUNDS_MAX = 10_000


class Loop:
    """Runs tasks."""

    def __init__(self) -> None:
        self.poller = Poller()
        self.tasks = Tasks(self.poller)

    def run_until(self, holds: Callable[[], bool]) -> None:
        for _ in range(ROUNDS_MAX):
            self.tasks.go_on()
            if holds():
                return
            for call, file in self.poller.ready(self.tasks.wait_s(1.0)):
                call(file)
        raise AssertionError("the tasks did not end")

    def run(self, *tasks: Callable[[], None]) -> None:
        """Until all have ended."""
        ended: list[None] = []

        def run_one(task: Callable[[], None]) -> None:
            task()
            ended.append(None)

        for task in tasks:
            self.tasks.start(partial(run_one, task))
        self.run_until(lambda: len(ended) == len(tasks))
