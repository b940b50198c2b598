"""Looking into a store from outside, whether or not a program is using it."""

import os
from contextlib import suppress
from functools import cached_property
from pathlib import Path as FilePath
from types import TracebackType
from typing import Self

from firekeep.exceptions import CorruptRecord, StorageError
from firekeep.storage.backend import Backend
from firekeep.storage.cache_check import wrong_rows
from firekeep.storage.cache_report import CacheEntry
from firekeep.storage.files import used_bytes
from firekeep.storage.memory import MemoryBackend
from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.salvage import carve
from firekeep.storage.server_cache import ServerCache
from firekeep.storage.write_journal import LoadedWrites, WriteJournal
from firekeep_core.operation.queued_write import WriteEnvelope
from firekeep_core.snap.node import Node

__all__ = ["Inspection"]


class Inspection:
    """A store as it is when each part of it is first asked for; nothing is changed, nor held up.

    The queue and the cache are opened when they are needed, so that damage of the one does not
    hide the other: whatever needs a damaged part raises `CorruptRecord`.

    Raises, on entry:
        StorageError: there is no store.
    """

    def __init__(self, directory: FilePath) -> None:
        self._directory = directory
        self._backends: list[Backend] = []

    def __enter__(self) -> Self:
        """Take a look."""
        if not (self._directory / "format").is_file():
            raise StorageError(f"{self._directory} is no directory of firekeep's")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the look."""
        while self._backends:
            self._backends.pop().close()

    @property
    def envelopes(self) -> list[WriteEnvelope]:
        """The writes that wait, without their data."""
        return self._queue[1]

    @property
    def cached_bytes(self) -> int:
        """What counts against the budget."""
        return self._cache.size_bytes

    @property
    def pending_bytes(self) -> int:
        """What the writes that wait take on the disk, as far as it is theirs."""
        return self._queue[0].pending_bytes

    def disk_bytes(self) -> int:
        """Return what everything in the directory takes on the disk."""
        return used_bytes(self._directory)

    def entries(self) -> list[CacheEntry]:
        """Return the queries that are known, the most recently used first."""
        return self._cache.entries()

    def export(self, owner: str | None) -> Node:
        """Return all that is known of a user's tree."""
        return self._cache.export(owner)

    def verify(self) -> list[str]:
        """Return what is wrong, in plain words; reads everything that can be read."""
        return self._verify_cache() + self._verify_queue()

    def writes(self) -> LoadedWrites:
        """Return the writes that wait, with their data."""
        return self._queue[0].load([envelope.id for envelope in self.envelopes])

    def _verify_cache(self) -> list[str]:
        try:
            return self._cache.verify()
        except CorruptRecord as damage:
            wrong = [f"the cache cannot be read: {damage}"]
        with suppress(CorruptRecord):
            wrong += wrong_rows(self._open("cache"))
        return wrong

    def _verify_queue(self) -> list[str]:
        try:
            damaged = self.writes().unreadable
        except CorruptRecord as damage:
            found = carve(self._directory / "queue")
            return [
                f"the queue cannot be read: {damage}",
                f"of the writes that wait, {len(found.writes)} are intact and {found.lost} are not",
            ]
        return [f"the data of the write {write_id} are damaged" for write_id in damaged]

    @cached_property
    def _cache(self) -> ServerCache:
        cache = ServerCache(self._open("cache"), budget_bytes=0)
        cache.read()
        return cache

    @cached_property
    def _queue(self) -> tuple[WriteJournal, list[WriteEnvelope]]:
        journal = WriteJournal(self._open("queue"))
        return journal, journal.open()

    def _open(self, name: str) -> Backend:
        path = self._directory / name
        backend: Backend = (
            RocksBackend.open_read_only(path) if os.path.lexists(path) else MemoryBackend()
        )
        self._backends.append(backend)
        return backend
