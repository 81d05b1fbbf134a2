"""Text that must never be printed."""

from __future__ import annotations

import hashlib


class Secret:
    """A token, key or password. Its repr, str and format show nothing of it; `reveal()` does.

    No dataclass: those are taken apart by whoever serializes them, the log's JSON encoder among them.
    """

    __slots__ = ("_digest", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest: bytes | None = None

    def reveal(self) -> str:
        return self._text

    def digest(self) -> bytes:
        """The SHA-256 of its text in UTF-8, worked out once."""
        if self._digest is None:
            self._digest = hashlib.sha256(self._text.encode()).digest()
        return self._digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return "[secret]"

    __repr__ = __str__
