"""Keeping an emulator's state on disk, ahead of what anybody is told of it."""

import logging
import os
from collections.abc import Callable

import anyio
import anyio.to_thread

from firekeep.emulator.state import State
from firekeep.exceptions import StorageError
from firekeep.storage.tree_store import TreeStore

__all__ = ["Keeper"]

_RETRY_S = 1.0

_logger = logging.getLogger("firekeep.emulator")


class Keeper:
    """Stores the state in a worker thread, again and again while it changes.

    Whoever wants to say what rests on a change waits until it is `kept`: so nobody has heard of
    what an emulator that was killed has forgotten. Changes made while the disk is busy are stored
    together. While the disk refuses, everybody waits. Without a directory nothing is kept.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None,
        state: Callable[[], State],
        *,
        retry_s: float = _RETRY_S,
    ) -> None:
        self._directory = directory
        self._state = state
        self._retry_s = retry_s
        self._store: TreeStore | None = None
        self._changes = 0
        self._kept = 0
        self._news = anyio.Event()

    async def open(self) -> State | None:
        """Take the directory and return what it holds; None if it is new, or there is none.

        Raises:
            PersistenceInUse: another emulator uses it.
            StorageError: it is damaged, of a newer version, or cannot be used.
        """
        if self._directory is None:
            return None
        # To the end, even if this is cancelled: what is open has to be closed.
        opened: list[tuple[TreeStore, State | None]] = []
        with anyio.CancelScope(shield=True):
            opened.append(await anyio.to_thread.run_sync(_open, self._directory))
        self._store, stored = opened[0]
        self.note_change()
        return stored

    def note_change(self) -> None:
        """Say that the state is another now."""
        self._changes += 1
        self._wake()

    async def kept(self) -> None:
        """Return once everything noted so far is on disk; at once where nothing is kept."""
        wanted = self._changes
        while self._store is not None and self._kept < wanted:
            await self._news.wait()

    async def run(self) -> None:
        """Store what changes, until cancelled; where nothing is kept there is nothing to do."""
        while self._store is not None:
            if self._kept < self._changes:
                await self._save_or_wait(self._store)
            else:
                await self._news.wait()

    async def aclose(self) -> None:
        """Store what there is, and let others use the directory.

        Raises:
            StorageError: the disk does not take it.
        """
        store = self._store
        if store is None:
            return
        with anyio.CancelScope(shield=True):
            try:
                await anyio.to_thread.run_sync(store.save, self._state().pack())
            finally:
                self._store = None
                self._wake()
                await anyio.to_thread.run_sync(store.close)

    async def _save_or_wait(self, store: TreeStore) -> None:
        changes = self._changes
        try:
            # To the end, even if this is cancelled: the store has one user at a time.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(store.save, self._state().pack())
        except StorageError as error:
            _logger.error("the data could not be stored, and clients wait: %s", error)
            await anyio.sleep(self._retry_s)
        else:
            self._kept = changes
            self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = anyio.Event()


def _open(directory: str | os.PathLike[str]) -> tuple[TreeStore, State | None]:
    store = TreeStore.open(directory)
    try:
        return store, State.unpack(store.root)
    except BaseException:
        store.close()
        raise
