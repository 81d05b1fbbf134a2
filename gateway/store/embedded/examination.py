"""Whether a folder is fit for an embedded store."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from gateway.store.doubts import COHERENT, Doubt

_MOUNTS = Path("/proc/self/mounts")
_NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "ceph", "cifs", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"}
)
_IN_PLACE_FILE_SYSTEMS = frozenset({"ext4", "tmpfs", "xfs"})
_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


def examine(folder: str) -> list[Doubt]:
    """Raises `OSError` when files cannot be made there."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")
    kind = network_file_system(os.path.realpath(folder), read_mounts())
    if kind is None:
        return []
    because = f"{folder} is on a network file system ({kind}), whose locks and maps are not those of one machine"
    return [Doubt(COHERENT, because, "STORE_URL on a local disk, or redis://…")]


def overwrites_in_place(path: str, mounts: str) -> bool:
    """Whether a file at an absolute path, once its space was taken by posix_fallocate, needs no more to be overwritten.

    Not so where a write goes to a new place (btrfs, ZFS), nor surely where that cannot be told (overlay).
    """
    return _file_system(path, mounts) in _IN_PLACE_FILE_SYSTEMS


def network_file_system(path: str, mounts: str) -> str | None:
    """The kind of network file system that an absolute path lies on; None: on none that is known."""
    kind = _file_system(path, mounts)
    plain = kind.removeprefix("fuse.")
    return kind if plain in _NETWORK_FILE_SYSTEMS or plain == "sshfs" else None


def read_mounts() -> str:
    """The system's table of mounts; empty where there is none."""
    return _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape") if _MOUNTS.exists() else ""


def _file_system(path: str, mounts: str) -> str:
    """Source: proc_pid_mounts(5), fstab(5)."""
    rows = [line.split(" ") for line in mounts.splitlines()]
    places = {_unescaped(row[1]): row[2] for row in rows if len(row) > 2}  # the last mount on a place hides the others
    above = [place for place in places if path == place or path.startswith(place.rstrip("/") + "/")]
    return places[max(above, key=len)] if above else ""


def _unescaped(text: str) -> str:
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    return text
