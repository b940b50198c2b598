"""The real queue and cache where the model's disk was: they must do as it does."""

from collections.abc import Sequence

from firekeep.storage.memory import MemoryBackend
from firekeep.storage.server_cache import ServerCache
from firekeep.storage.write_journal import WriteJournal
from firekeep_core.operation.cache_change import (
    Acknowledged,
    CacheChange,
    CachedQuery,
    Concluded,
)
from firekeep_core.operation.queued_write import QueuedWrite, WriteEnvelope
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path

BUDGET_BYTES = 10 * 1024 * 1024


class StoredDisk:
    """A `WriteJournal` and a `ServerCache`, each in memory, asked and answering as `DiskModel`."""

    def __init__(
        self, queue: MemoryBackend | None = None, cache: MemoryBackend | None = None
    ) -> None:
        self._queue_rows = MemoryBackend() if queue is None else queue
        self._cache_rows = MemoryBackend() if cache is None else cache
        self._journal = WriteJournal(self._queue_rows)
        self._cache = ServerCache(self._cache_rows, budget_bytes=BUDGET_BYTES)
        self.ever_acknowledged: set[int] = set()
        self.acknowledged: set[int] = set()

    def copy(self) -> "StoredDisk":
        """Return what is there after the process has ended at this moment."""
        other = StoredDisk(self._queue_rows.crashed(), self._cache_rows.crashed())
        other.ever_acknowledged = set(self.ever_acknowledged)
        other.acknowledged = set(self.acknowledged)
        return other

    @property
    def queue(self) -> dict[int, QueuedWrite]:
        """What is queued, by id."""
        journal = WriteJournal(self._queue_rows.crashed())
        ids = [envelope.id for envelope in journal.open()]
        return {write.envelope.id: write for write in journal.load(ids).writes}

    def open(
        self, uid: str | None = None
    ) -> tuple[list[WriteEnvelope], int, list[tuple[Path, QueryParams]]]:
        envelopes = self._journal.open()
        opened = self._cache.open(uid)
        done = set(opened.acknowledged)
        assert done == self.acknowledged
        self._journal.remove(done)
        self._cache.apply([Concluded(write_id) for write_id in done])
        self.acknowledged.clear()
        envelopes = [envelope for envelope in envelopes if envelope.id not in done]
        return envelopes, self._journal.next_id, opened.pinned

    def switch_owner(
        self, changes: Sequence[CacheChange], uid: str | None, cleared_uid: str | None
    ) -> list[tuple[Path, QueryParams]]:
        self.apply(changes)
        pinned = self._cache.switch_owner(uid)
        if cleared_uid is not None:
            self._cache.forget_owner(cleared_uid)
        return pinned

    def knows(self, uid: str | None) -> bool:
        """Return whether there is anything of a user's cache."""
        return any(entry.owner == uid for entry in self._cache.entries())

    def apply(self, changes: Sequence[CacheChange]) -> None:
        self._cache.apply(changes)
        for change in changes:
            if isinstance(change, Acknowledged):
                self.acknowledged.add(change.write_id)
                self.ever_acknowledged.add(change.write_id)
            elif isinstance(change, Concluded):
                self.acknowledged.discard(change.write_id)
        assert self._cache.verify() == []

    def load(self, path: Path, params: QueryParams) -> CachedQuery:
        return self._cache.load(path, params)

    def store_writes(
        self, added: Sequence[QueuedWrite], removed: Sequence[int], sent_through: int
    ) -> list[int]:
        self._journal.store(added, removed, sent_through=sent_through, sync=True)
        return sorted(self.acknowledged.intersection(removed))

    def load_writes(self, write_ids: Sequence[int]) -> list[QueuedWrite]:
        return self._journal.load(write_ids).writes
