"""The account's clients at the start; see demo_clients.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def demo_clients() -> list[dict[str, Any]]:
    """The same records every time, in the shape that the steering shows; what is left out is empty."""
    text = Path(__file__).with_name("demo_clients.json").read_text(encoding="utf-8")
    records: list[dict[str, Any]] = json.loads(text)
    return records
