"""One set of metric files per worker slot: a slot's next worker goes on counting where its last one stopped.

Files named by process id would grow in number with every restart, and merging a dead process's file into another is
not safe while somebody reads. Slots are given by the arbiter, the lowest free one first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from prometheus_client import multiprocess, values

from gateway.telemetry.cells import Cell, SlotFiles

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SLOT = "GATEWAY_WORKER_SLOT"
_OWN_PREFIX = "gateway-metrics-"


def open_folder(*, fresh: bool) -> None:
    """An empty folder for this run's files: the one that the environment names, or a temporary one, which is then
    named there. `fresh`: what is named belongs to another arbiter, so never that one."""
    named = os.environ.get(FOLDER)
    if named is None or fresh:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix=_OWN_PREFIX)
        return
    os.makedirs(named, exist_ok=True)
    _clear(named)


def close_folder() -> None:
    """The files of this run go with it; a folder that was made for it goes too."""
    named = os.environ.get(FOLDER)
    if named is None:
        return
    if os.path.basename(named).startswith(_OWN_PREFIX):
        shutil.rmtree(named, ignore_errors=True)
    else:
        _clear(named)


def _clear(folder: str) -> None:
    for file in Path(folder).glob("*.db"):
        file.unlink(missing_ok=True)


def lowest_free(used: Iterable[int]) -> int:
    """The slot for a new worker. Slots number from 0, so there are as many as there were workers alive at a time."""
    taken = set(used)
    return next(slot for slot in range(len(taken) + 1) if slot not in taken)


def forget_gauges(slot: int) -> None:
    """The gauges of a slot that no living worker holds; its counters stay."""
    multiprocess.mark_process_dead(slot)  # type: ignore[no-untyped-call]


def count_in_process() -> None:
    """Metrics made from now on keep their values in this process."""
    values.ValueClass = values.MutexValue


def count_in_files() -> None:
    """Metrics made from now on keep their values in the files of this worker's slot, or of this process without one."""
    slot = os.environ.get(SLOT, f"p{os.getpid()}")
    values.ValueClass = partial(Cell, SlotFiles(os.environ[FOLDER], slot))
