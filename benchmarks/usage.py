"""What a process and its children have used, from /proc."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$")


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in bytes. `shared_store_bytes` of it are pages of the store's file, which the kernel keeps once
    for all workers and takes back when it needs them."""

    resident_bytes: int
    shared_store_bytes: int

    @property
    def own_bytes(self) -> int:
        return self.resident_bytes - self.shared_store_bytes


def family(pid: int) -> Iterator[int]:
    """The process and all that descend from it."""
    yield pid
    for task in _read(Path(f"/proc/{pid}/task"), "children"):
        for child in task.split():
            yield from family(int(child))


def _read(folder: Path, name: str) -> Iterator[str]:
    try:
        for task in folder.iterdir():
            yield (task / name).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return


def cpu_s(pid: int) -> float:
    """Processor time in seconds of the process and its living descendants."""
    return sum(_own_cpu_s(one) for one in family(pid))


def _own_cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def worker_memory(pid: int, store_folder: Path | None = None) -> Memory:
    """The memory of the largest process of the family, which is the one worker."""
    return max((_memory(one, store_folder) for one in family(pid)), key=lambda memory: memory.resident_bytes)


def _memory(pid: int, store_folder: Path | None) -> Memory:
    try:
        return memory_in(Path(f"/proc/{pid}/smaps").read_text(), store_folder)
    except (FileNotFoundError, ProcessLookupError):
        return Memory(0, 0)


def memory_in(smaps: str, store_folder: Path | None) -> Memory:
    """The sums over a text in the form of /proc/PID/smaps."""
    resident = shared = 0
    is_store = False
    for line in smaps.splitlines():
        if line.startswith("Rss:"):
            size = int(line.split()[1]) * 1024
            resident += size
            shared += size * is_store
        elif found := _MAPPING.match(line):
            is_store = store_folder is not None and found[1].startswith(f"{store_folder}{os.sep}")
    return Memory(resident, shared)
