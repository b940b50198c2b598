"""Looking into a store from outside, whether or not a program is using it."""

from pathlib import Path as FilePath
from types import TracebackType
from typing import Self

from firekeep.exceptions import StorageError
from firekeep.storage.backend import Backend
from firekeep.storage.cache_report import CacheEntry
from firekeep.storage.files import used_bytes
from firekeep.storage.memory import MemoryBackend
from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.server_cache import ServerCache
from firekeep.storage.write_journal import LoadedWrites, WriteJournal
from firekeep_core.operation.queued_write import WriteEnvelope
from firekeep_core.snap.node import Node

__all__ = ["Inspection"]


class Inspection:
    """A store as it is at the moment of entry; nothing of it is changed, nor held up.

    Raises, on entry:
        StorageError: there is no store, or it cannot be read.
        CorruptRecord: it is damaged.
    """

    def __init__(self, directory: FilePath) -> None:
        self._directory = directory
        self._backends: list[Backend] = []

    def __enter__(self) -> Self:
        """Take a look."""
        if not (self._directory / "format").is_file():
            raise StorageError(f"{self._directory} is no directory of firekeep's")
        try:
            self._cache = ServerCache(self._open("cache"), budget_bytes=0)
            self._cache.read()
            self._journal = WriteJournal(self._open("queue"))
            self.envelopes: list[WriteEnvelope] = self._journal.open()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go."""
        self._close()

    @property
    def cached_bytes(self) -> int:
        """What counts against the budget."""
        return self._cache.size_bytes

    @property
    def pending_bytes(self) -> int:
        """What the writes that wait take on the disk, as far as it is theirs."""
        return self._journal.pending_bytes

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
        """Return what is wrong, in plain words; reads everything."""
        wrong = self._cache.verify()
        ids = [envelope.id for envelope in self.envelopes]
        damaged = self._journal.load(ids).unreadable
        return wrong + [f"the data of the write {write_id} are damaged" for write_id in damaged]

    def writes(self) -> LoadedWrites:
        """Return the writes that wait, with their data."""
        return self._journal.load([envelope.id for envelope in self.envelopes])

    def _open(self, name: str) -> Backend:
        path = self._directory / name
        backend: Backend = RocksBackend.open_read_only(path) if path.is_dir() else MemoryBackend()
        self._backends.append(backend)
        return backend

    def _close(self) -> None:
        while self._backends:
            self._backends.pop().close()
