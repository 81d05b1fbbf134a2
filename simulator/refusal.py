"""The one error of the steering side."""

from __future__ import annotations


class Refused(ValueError):
    """Steering input that makes no sense. `allowed` says what would have."""

    def __init__(self, problem: str, allowed: object = None) -> None:
        super().__init__(problem if allowed is None else f"{problem}; allowed: {allowed}")
        self.problem = problem
        self.allowed = allowed
