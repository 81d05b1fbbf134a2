"""Programs that a tool starts, watches and stops, and the events it waits for meanwhile."""

import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from typing import IO, NamedTuple

START_S = 60.0
GRACE_S = 15.0
POLL_S = 0.1
# One Ctrl-C or TERM may reach us twice, from the terminal and from a parent that passes it on.
ECHO_S = 1.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LAST_LINES_TOTAL = 30


class ChildError(Exception):
    """A child ended by itself or never got ready; the message holds its last output."""


class Signalled(NamedTuple):
    number: signal.Signals


class Ended(NamedTuple):
    child: "Child"


Event = Signalled | Ended
Events = queue.SimpleQueue[Event]


def listen_to_signals(events: Events) -> None:
    """Turn Ctrl-C, TERM and a closed terminal into events, for the rest of the process's life."""
    for number in STOP_SIGNALS:
        signal.signal(number, lambda number, _frame: events.put(Signalled(signal.Signals(number))))


class Child:
    """A server running as a process group of its own, so that Ctrl-C reaches it only through us, in order.

    Each line that it prints is shown with its name before it.
    """

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], folder: Path, events: Events
    ) -> None:
        self.name = name
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES_TOTAL)
        self._process = Popen(
            command,
            cwd=folder,
            env=dict(environ),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        assert self._process.stdout is not None  # noqa: S101 - it was asked for in the line above
        self._relay = threading.Thread(target=self._relay_lines, args=(self._process.stdout,), daemon=True)
        self._relay.start()
        threading.Thread(target=self._report_end, args=(events,), daemon=True).start()

    def _relay_lines(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self.last_lines.append(line.rstrip("\n"))
                print(f"{self.name:>9} | {line.rstrip()}", flush=True)

    def _report_end(self, events: Events) -> None:
        self._process.wait()
        # Its last words shall be there when its end is told; a worker that lives on must not hold them up.
        self._relay.join(timeout=1)
        events.put(Ended(self))

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        if self.exit_code is None:
            self._process.terminate()

    def kill(self) -> None:
        """End the whole group: a worker must not outlive the process that watched it."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._relay.join(timeout=GRACE_S)

    def __str__(self) -> str:
        code = self.exit_code
        how = f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
        lines = "\n".join(f"    {line}" for line in self.last_lines) or "    (it printed nothing)"
        return f"the {self.name} ended {how}; its last lines:\n{lines}"


def stop(children: Sequence[Child], events: Events, grace_s: float = GRACE_S) -> None:
    """Ask each to stop, the last started first; kill what has not ended after the grace, or at another signal."""
    patient_until = time.monotonic() + ECHO_S
    for child in reversed(children):
        child.ask_to_stop()
        give_up_at = time.monotonic() + grace_s
        while child.exit_code is None and (left_s := give_up_at - time.monotonic()) > 0:
            try:
                event = events.get(timeout=left_s)
            except queue.Empty:
                break
            if isinstance(event, Signalled) and time.monotonic() > patient_until:
                break
        if child.exit_code is None:
            print(f"the {child.name} does not stop: killing it", flush=True)
        child.kill()


def wait_until(ready: Callable[[], bool], name: str, events: Events, start_s: float = START_S) -> Signalled | None:
    """Poll until ready. Returns the signal that came first, if one did.

    Raises `ChildError` when a child ends, or when `start_s` pass.
    """
    give_up_at = time.monotonic() + start_s
    while not ready():
        try:
            event = events.get(timeout=POLL_S)
        except queue.Empty:
            if time.monotonic() > give_up_at:
                raise ChildError(f"the {name} is not ready after {start_s:.0f} s") from None
        else:
            return _signal_or_error(event)
    return None


def _signal_or_error(event: Event) -> Signalled:
    if isinstance(event, Ended):
        raise ChildError(str(event.child))
    return event


def watch(events: Events) -> Signalled:
    """Wait for a signal. Raises `ChildError` when a child ends first."""
    return _signal_or_error(events.get())
