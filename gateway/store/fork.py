"""Stores are told of forks: a child must not use, nor even let go of, what its parent has opened."""

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    def before_fork(self) -> None:
        """Let nothing be open that a child must not inherit, until one of the other two is called."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Go on with locks of one's own: those of the parent may be held by threads that are not here."""


class _Forks:
    """All that want to know; hooks of a process can never be taken back, so they lead here."""

    def __init__(self) -> None:
        self.known: weakref.WeakSet[Forkable] = weakref.WeakSet()
        self._told: list[Forkable] = []
        os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    def _before(self) -> None:
        self._told = list(self.known)
        for one in self._told:
            one.before_fork()

    def _in_parent(self) -> None:
        for one in self._told:
            one.after_fork_in_parent()
        self._told = []

    def _in_child(self) -> None:
        for one in self._told:
            one.after_fork_in_child()
        self._told = []


_forks: _Forks | None = None


def tell_of_forks(one: Forkable) -> None:
    """Calls the methods of `one` around every fork of this process while `one` is alive."""
    global _forks  # noqa: PLW0603 - a fork concerns the whole process
    if _forks is None:
        _forks = _Forks()
    _forks.known.add(one)
