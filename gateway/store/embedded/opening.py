"""How one process comes to its view of an embedded store, loses it, and what it does about damage."""

import threading
from collections.abc import Callable

import lmdb

from gateway.store.embedded.environment import Meaning, View, meaning_of, open_view
from gateway.store.embedded.folder import Folder
from gateway.store.errors import StoreCorrupted, StoreDown, StoreError, StoreFull
from gateway.store.outage import Outage


class Turn:
    """The right of one thread to write, open and leave; a thread that has it may take it again."""

    __slots__ = ("_lock", "_path", "_timeout_s", "release")

    def __init__(self, path: str, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._lock = threading.RLock()
        self.release = self._lock.release

    def acquire(self) -> bool:
        """False: not to be had in time."""
        return self._lock.acquire(timeout=self._timeout_s)

    def __enter__(self) -> None:
        """Raises `StoreDown` when it is not to be had in time."""
        if not self._lock.acquire(timeout=self._timeout_s):
            raise StoreDown(f"another thread held the store in {self._path} for more than {self._timeout_s} s")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Opening:
    """`view` may be None or have moved at any time; then `enter` is to be called.

    Damage to a durable store condemns its files for every process. Other files are put aside and told to `on_damage`
    by the one process that did so.
    """

    def __init__(
        self,
        path: str,
        bound_bytes: int,
        *,
        durable: bool,
        lock_timeout_s: float,
        outage: Outage,
        on_damage: Callable[[str], None],
    ) -> None:
        self.path = path
        self.view: View | None = None
        self._bound_bytes = bound_bytes
        self._durable = durable
        self._lock_timeout_s = lock_timeout_s
        self._outage = outage
        self._on_damage = on_damage
        self._closed = False
        self.turn = Turn(path, lock_timeout_s)
        self._turn_for_fork = False

    def before_fork(self) -> None:
        """Leaves the files, to enter them again when they are next wanted.

        A child that inherited lmdb's environment would free its parent's place among the readers when it lets go of it.
        """
        self._turn_for_fork = self.turn.acquire()
        if self._turn_for_fork:
            self._leave()

    def after_fork_in_parent(self) -> None:
        if self._turn_for_fork:
            self.turn.release()

    def after_fork_in_child(self) -> None:
        if self.view is not None:
            self.view.folder.close()
        self.view = None
        self.turn = Turn(self.path, self._lock_timeout_s)
        self._outage.forget()

    def close(self) -> None:
        self._closed = True
        with self.turn:
            self._leave()

    def enter(self) -> View:
        """The view, opened if need be. Raises `StoreError`."""
        view = self.view
        if view is not None and not view.moved():
            return view
        with self._outage.guard(), self.turn:
            if self.view is None or self.view.moved():
                self._leave()
                self.view = self._open()
            return self.view

    def learn(self, view: View, error: lmdb.Error) -> StoreError:
        """Draws the consequence of `error` and tells what to raise if another try is not wanted. Not under the lock."""
        meaning = meaning_of(error)
        if meaning is Meaning.FULL:
            return StoreFull(f"no room left in {self.path}")
        if meaning is Meaning.READERS:
            view.env.reader_check()
        with self.turn:
            if self.view is view and meaning is Meaning.DAMAGED:
                return self._damaged(view, type(error).__name__)
            if self.view is view and meaning is Meaning.REOPEN:
                self._leave()
        return StoreDown(f"the store in {self.path} failed: {type(error).__name__}")

    def _open(self) -> View:
        if self._closed:
            raise StoreDown(f"the store in {self.path} is closed")
        folder = None
        try:
            folder = Folder(self.path, self._lock_timeout_s)
            with folder.lock:
                return self._open_sound(folder)
        except BaseException as error:
            if folder is not None:
                folder.close()
            if isinstance(error, lmdb.Error | OSError | StoreFull):
                raise StoreDown(f"the store in {self.path} cannot be opened: {_reason(error)}") from None
            raise

    def _open_sound(self, folder: Folder) -> View:
        if not self._durable and folder.made_before_boot():
            folder.discard()
        try:
            return open_view(folder, self._bound_bytes, durable=self._durable)
        except StoreCorrupted as error:
            self._set_right(folder, str(error))
        except lmdb.Error as error:
            if meaning_of(error) is not Meaning.DAMAGED:
                raise
            self._set_right(folder, type(error).__name__)
        return open_view(folder, self._bound_bytes, durable=self._durable)

    def _damaged(self, view: View, damage: str) -> StoreError:
        try:
            with view.folder.lock:
                if not view.moved():
                    self._set_right(view.folder, damage)
        except StoreError as refusal:
            self._outage.learn(refusal)
            return refusal
        except OSError as error:
            return StoreDown(f"damage in {self.path} cannot be put aside: {_reason(error)}")
        finally:
            self._leave()
        return StoreDown(f"the store in {self.path} was damaged ({damage})")

    def _set_right(self, folder: Folder, damage: str) -> None:
        """Under the folder's lock. Raises `StoreCorrupted` for a durable store."""
        if self._durable:
            folder.condemn()
            raise StoreCorrupted(f"the store in {self.path} is damaged ({damage}): move {folder.data} away")
        folder.put_aside()
        self._on_damage(f"the store in {self.path} was damaged ({damage}) and starts anew; see {folder.path}/damaged")

    def _leave(self) -> None:
        view, self.view = self.view, None
        if view is not None:
            view.env.close()
            view.folder.close()


def _reason(error: lmdb.Error | OSError | StoreFull) -> str:
    text = error.strerror if isinstance(error, OSError) else None
    return f"{type(error).__name__}: {text or error}"
