"""The state file: one JSON line a change, the last line of a client wins.

A line is handed to the operating system before the call is answered, so a killed simulator loses nothing; a line cut
short by a crash of the machine is dropped at the next start.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from simulator.refusal import Refused

HEADER = {"format": "simulator-state", "version": 1}


class Journal:
    """Appends to the file at `path`; one writer at a time (the store holds its lock around every call)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def read(self) -> list[dict[str, Any]] | None:
        """Every entry in order, None when there is no file; raises Refused when the file is not a state file."""
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return None
        entries = [_entry(line, self._path) for line in lines[:-1]]
        if not entries or entries[0] != HEADER:
            raise Refused(f"{self._path} is not a state file of this version")
        return entries[1:]

    def rewrite(self, entries: Iterable[dict[str, Any]]) -> None:
        """Replace the whole file at once: a reader sees the old one or the new one."""
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._path.parent, delete=False) as new:
            new.write(b"".join(map(_line, (HEADER, *entries))))
        os.replace(new.name, self._path)

    def append(self, entry: dict[str, Any]) -> None:
        if self._file is None:
            self._file = self._path.open("ab", buffering=0)
        self._file.write(_line(entry))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _entry(line: bytes, path: Path) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        raise Refused(f"{path} is not a state file: a line of it is no JSON") from None
    if not isinstance(entry, dict):
        raise Refused(f"{path} is not a state file: a line of it is no object")
    return entry
