"""One database's queue and cache, in one directory on disk."""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path as FilePath
from types import TracebackType
from typing import Literal, NamedTuple, Self

from firekeep.exceptions import CorruptRecord, StorageError, StorageFull
from firekeep.storage.cache_report import CacheReport
from firekeep.storage.directory import StoreDirectory
from firekeep.storage.files import used_bytes
from firekeep.storage.opening import Opened, Salvage, forget_kept, open_cache, open_queue
from firekeep.storage.pins import PinFile, Pinned
from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.salvage import SalvagedQueue, carve
from firekeep.storage.server_cache import ServerCache
from firekeep.storage.write_journal import LoadedWrites, WriteJournal
from firekeep_core.operation.cache_change import (
    CacheChange,
    CachedQuery,
    Clear,
    Concluded,
    Forget,
    Pin,
)
from firekeep_core.operation.queued_write import QueuedWrite, WriteEnvelope
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path

__all__ = ["Durability", "OpenedStore", "RepairedQueue", "Store"]

Durability = Literal["batch", "write", "none"]


class OpenedStore(NamedTuple):
    """What an earlier process left, and what had to be put right."""

    envelopes: list[WriteEnvelope]
    """Of the writes that wait, in the order of their ids."""
    next_write_id: int
    pinned: list[tuple[Path, QueryParams]]
    report: CacheReport
    notes: list[str]
    """In plain words; empty as a rule."""


class RepairedQueue(NamedTuple):
    """What came of a queue that was found to be damaged while in use."""

    lost: list[int]
    """Writes that wait and are not on the disk any more."""
    note: str
    """In plain words."""


class Store:
    """Blocks; the queue and the cache are each used by one caller at a time, and may be at once.

    A damaged cache is put aside and begins empty, a damaged queue is searched for what is intact:
    neither keeps a program from starting. Source: sync-engine §8.2, §8.10.
    """

    def __init__(
        self, path: FilePath, *, budget_bytes: int, durability: Durability, owner: str | None = None
    ) -> None:
        self._path = path
        self._budget_bytes = budget_bytes
        self._durability = durability
        self._owner = owner
        self._directory: StoreDirectory | None = None
        self._queue: RocksBackend | None = None
        self._journal: WriteJournal | None = None
        self._rows: RocksBackend | None = None
        self._cache: ServerCache | None = None
        self._pins: PinFile | None = None
        self.notes: list[str] = []
        """What had to be put right at the last opening, in plain words."""

    def __enter__(self) -> Self:
        """Open it for nobody in particular; `notes` says what had to be put right."""
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def open(self, owner: str | None = None) -> OpenedStore:
        """Open what is there, or begin anew, for a user.

        A full disk keeps nobody from what is there; what is stored then raises `StorageFull`.

        Raises:
            PersistenceInUse: another database or process holds the directory.
            StorageFull: there is nothing yet, and no space to begin.
            StorageError: it cannot be used.
        """
        self._owner = owner
        directory = self.lock()
        try:
            notes = list(directory.notices)
            journal, envelopes = self._open_queue(directory, notes)
            acknowledged, pinned, report = self._open_cache(directory, notes)
            if directory.is_damaged:
                directory.write_format()
            done = set(acknowledged)
            # A power cut may have taken the queue's word for ids that the cache still marks.
            next_id = max(journal.next_id, *(id + 1 for id in done)) if done else journal.next_id
            # On a full disk they are left to the next start: the marks stay as well.
            with suppress(StorageFull):
                journal.store((), done)
                journal.reserve(next_id - 1)
                if done:
                    report = self.apply([Concluded(write_id) for write_id in acknowledged])
            envelopes = [envelope for envelope in envelopes if envelope.id not in done]
            self.notes = notes
            return OpenedStore(envelopes, next_id, pinned, report, notes)
        except BaseException:
            self.close()
            raise

    def lock(self) -> StoreDirectory:
        """Take the directory, unless that is done; `close` gives it free.

        Raises:
            PersistenceInUse: another database or process holds it.
            StorageError: it cannot be used.
        """
        if self._directory is None:
            self._directory = StoreDirectory.open(self._path)
        return self._directory

    # The queue.

    @property
    def waiting(self) -> frozenset[int]:
        """The ids of the writes that wait."""
        return self._open_journal().waiting

    def store_writes(
        self, added: Sequence[QueuedWrite], removed: Sequence[int], sent_through: int
    ) -> None:
        """Append and remove writes, and note up to which one they may be sent."""
        journal = self._open_journal()
        if self._durability == "write":
            for write in added:
                journal.append([write], sync=True)
            added = ()
        journal.store(
            added,
            removed,
            sent_through=sent_through,
            sync=bool(added) and self._durability == "batch",
        )

    def load_writes(self, write_ids: Sequence[int]) -> LoadedWrites:
        """Return writes with their payloads, and the ids of those that are damaged."""
        if not write_ids:
            return LoadedWrites([], [])
        loaded = self._open_journal().load(write_ids)
        if loaded.unreadable:
            loaded = self._search(write_ids, loaded)
        return loaded

    def repair_queue(self, damage: CorruptRecord) -> RepairedQueue:
        """Put a queue aside that turned out to be damaged, and go on with what is intact of it.

        Raises:
            StorageFull, StorageError: there is no space for that, or the disk failed.
        """
        assert self._directory is not None
        waiting, next_id = self._open_journal().waiting, self._open_journal().next_id
        if self._queue is not None:
            self._queue.close()

        def salvage(path: FilePath) -> Salvage:
            return _kept_of(carve(path).only(waiting))

        notes: list[str] = []
        opened = open_queue(self._directory, salvage, damage)
        journal, envelopes = self._begin_queue(opened, notes)
        journal.reserve(next_id - 1)
        found = {envelope.id for envelope in envelopes}
        return RepairedQueue(sorted(waiting - found), " ".join(notes))

    # The cache.

    def apply(self, changes: Sequence[CacheChange]) -> CacheReport:
        """Store changes, all or none, and keep to the budget."""
        cache = self._open_server_cache()
        report = cache.apply(changes)
        if any(isinstance(change, (Pin, Forget)) for change in changes):
            self._follow_pins()
        return report

    def load(self, path: Path, params: QueryParams) -> CachedQuery:
        """Return what is known of a query."""
        return self._open_server_cache().load(path, params)

    def clear(self) -> CacheReport:
        """Drop all that is neither listened to nor kept synced."""
        return self.apply([Clear()])

    def switch_owner(
        self, changes: Sequence[CacheChange], owner: str | None, cleared: str | None
    ) -> list[tuple[Path, QueryParams]]:
        """Store what there is of one user, and go on with another; drop all of `cleared`."""
        cache = self._open_server_cache()
        cache.apply(changes)
        self._owner = owner
        pinned = cache.switch_owner(owner)
        if cleared is not None:
            cache.forget_owner(cleared)
        self._follow_pins()
        return pinned

    def reset_cache(self, damage: CorruptRecord) -> str:
        """Put a cache aside that turned out to be damaged, and begin an empty one."""
        assert self._directory is not None
        if self._rows is not None:
            self._rows.close()
        opened = open_cache(self._directory, damage)
        self._begin_cache(self._directory, opened)
        return " ".join(opened.reports)

    def disk_bytes(self) -> int:
        """Return the size of all files of both, which others may be using at this moment."""
        directory = self._directory
        if directory is None:
            return 0
        return used_bytes(directory.queue) + used_bytes(directory.cache)

    def close(self) -> None:
        """Close what is open; what was stored stays. Twice does nothing."""
        with ExitStack() as stack:
            # Whatever fails, the directory is given free, and last.
            if self._directory is not None:
                stack.callback(self._directory.close)
            for backend in (self._queue, self._rows):
                if backend is not None:
                    stack.callback(backend.close)
            self._queue = self._rows = self._directory = None
            self._journal = self._cache = None

    def _open_queue(
        self, directory: StoreDirectory, notes: list[str]
    ) -> tuple[WriteJournal, list[WriteEnvelope]]:
        opened = open_queue(directory, _salvage)
        try:
            journal, envelopes = self._begin_queue(opened, notes)
        except CorruptRecord as damage:
            opened.backend.close()
            journal, envelopes = self._begin_queue(open_queue(directory, _salvage, damage), notes)
        forget_kept(directory)
        return journal, envelopes

    def _begin_queue(
        self, opened: Opened, notes: list[str]
    ) -> tuple[WriteJournal, list[WriteEnvelope]]:
        self._queue = opened.backend
        notes += opened.reports
        self._journal = WriteJournal(opened.backend)
        return self._journal, self._journal.open()

    def _search(self, write_ids: Sequence[int], loaded: LoadedWrites) -> LoadedWrites:
        """Return what was loaded, and what is intact of the rest: a block has many records."""
        assert self._directory is not None
        missing = set(loaded.unreadable)
        writes = {write.envelope.id: write for write in loaded.writes}
        for write in carve(self._directory.queue).writes:
            if write.envelope.id in missing:
                writes[write.envelope.id] = write
        return LoadedWrites(
            [writes[id] for id in write_ids if id in writes],
            [id for id in loaded.unreadable if id not in writes],
        )

    def _open_cache(
        self, directory: StoreDirectory, notes: list[str]
    ) -> tuple[list[int], list[tuple[Path, QueryParams]], CacheReport]:
        opened = open_cache(directory)
        try:
            state = self._begin_cache(directory, opened)
        except CorruptRecord as damage:
            opened.backend.close()
            opened = open_cache(directory, damage)
            state = self._begin_cache(directory, opened)
        notes += opened.reports
        return state

    def _begin_cache(
        self, directory: StoreDirectory, opened: Opened
    ) -> tuple[list[int], list[tuple[Path, QueryParams]], CacheReport]:
        self._rows = opened.backend
        self._cache = ServerCache(opened.backend, budget_bytes=self._budget_bytes)
        pinned, acknowledged, report = self._cache.open(self._owner)
        if directory.pins.is_dir():
            directory.quarantine("pins")
        self._pins = PinFile(directory.pins)
        kept = self._pins.read()
        # On a full disk the one or the other is left to the next start.
        with suppress(StorageFull):
            if not report.size_bytes:
                for owner, path, params in kept:
                    self._cache.switch_owner(owner)
                    report = self._cache.apply([Pin(path, params, True)])
                pinned = self._cache.switch_owner(self._owner)
            self._follow_pins()
        return acknowledged, pinned, report

    def _follow_pins(self) -> None:
        """Store beside the cache what it has noted as kept synced."""
        assert self._pins is not None
        entries = self._open_server_cache().entries()
        self._pins.write(Pinned(e.owner, e.path, e.params) for e in entries if e.is_pinned)

    def _open_journal(self) -> WriteJournal:
        if self._journal is None:
            raise StorageError(f"{self._path} is not open")
        return self._journal

    def _open_server_cache(self) -> ServerCache:
        if self._cache is None:
            raise StorageError(f"{self._path} is not open")
        return self._cache


def _salvage(path: FilePath) -> Salvage:
    return _kept_of(carve(path))


def _kept_of(queue: SalvagedQueue) -> Salvage:
    return Salvage(queue.rows(), len(queue.writes), queue.lost)
