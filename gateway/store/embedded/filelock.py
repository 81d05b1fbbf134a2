"""A lock among processes, waited for no longer than a bound."""

import fcntl
import os
import time

from gateway.store.errors import StoreDown

_SHORTEST_PAUSE_S = 0.000_05
_LONGEST_PAUSE_S = 0.001


class FileLock:
    """Held by one process at a time; the system frees it when its holder dies.

    lmdb's own lock survives dead holders too, but it has no time limit: whoever met a stopped holder would hang.
    One thread of a process may use it at a time.
    """

    def __init__(self, path: str, timeout_s: float) -> None:
        """Creates the file. Raises `OSError`."""
        self._timeout_s = timeout_s
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        """Raises `StoreDown` when the lock is not to be had in time."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait()

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """In a forked child this leaves the parent's lock as it is."""
        os.close(self._file)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self) -> None:
        deadline = time.monotonic() + self._timeout_s
        pause_s = _SHORTEST_PAUSE_S
        while not self._taken():
            if time.monotonic() >= deadline:
                raise StoreDown(f"another process held the store for more than {self._timeout_s} s")
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
