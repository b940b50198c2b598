"""Performs what the engine wants of the disk, in worker threads, and says what came of it."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import anyio
import anyio.abc
import anyio.to_thread

from firekeep.clock import Clock
from firekeep.engine.effects import (
    Effect,
    Load,
    LoadWrites,
    StatusChanged,
    StoreCache,
    StoreWrites,
    SwitchOwner,
)
from firekeep.engine.engine import Engine
from firekeep.engine.journal import JournalBatch, queued_write
from firekeep.exceptions import CorruptRecord, StorageError, StorageFull
from firekeep.pending import Pending
from firekeep.status import StorageState
from firekeep.storage.cache_report import CacheReport
from firekeep.storage.store import Store
from firekeep.storage.write_journal import LoadedWrites
from firekeep.write import Write
from firekeep_core.operation.cache_change import Acknowledged, CacheChange, CachedQuery

__all__ = ["RunBlocking", "Storing", "run_in_thread"]

logger = logging.getLogger("firekeep")

ResultT = TypeVar("ResultT")

#: The cache is told of changes at most so often; a crash loses what the server will say again.
CACHE_INTERVAL_S = 0.1
#: How long a disk that takes nothing is left alone.
RETRY_S = 5.0


class RunBlocking(Protocol):
    """How a call that blocks is run without blocking the event loop."""

    def __call__(self, function: Callable[..., ResultT], *arguments: Any) -> Awaitable[ResultT]:
        """Run it, and return what it returns or raise what it raises."""
        ...


async def run_in_thread(function: Callable[..., ResultT], *arguments: Any) -> ResultT:
    """Run a call in a worker thread; it is begun and waited for, whatever is cancelled."""
    # What it is to store has been taken from the engine: given up, it would be lost.
    results: list[ResultT] = []
    with anyio.CancelScope(shield=True):
        results.append(await anyio.to_thread.run_sync(function, *arguments))
    return results[0]


class Storing:
    """One database's work on its disk: a task for the queue and one for the cache.

    Neither waits for the other, and the event loop for none of them. What fails is tried again,
    and meanwhile the database goes on in memory.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine[Write],
        lock: AbstractContextManager[Any],
        perform: Callable[[list[Effect]], None],
        clock: Clock,
        *,
        run: RunBlocking = run_in_thread,
    ) -> None:
        self._store = store
        assert engine.disk is not None
        self._engine = engine
        self._disk = engine.disk
        self._lock = lock
        self._perform = perform
        self._clock = clock
        self._run = run
        self._scopes: list[anyio.CancelScope] = []
        self._is_closing = False
        self._queue = _Wanted()
        self._queue_use = anyio.Lock()
        """The queue on disk has one user at a time, which also the cache's task may be."""
        self._cache = _Wanted()
        self._reads: deque[LoadWrites] = deque()
        self._loads: deque[Load] = deque()
        self._switches: deque[SwitchOwner] = deque()
        self._marked: set[int] = set()
        """Acknowledged writes that the cache has marked and the queue still holds."""
        self._running = 0
        self._stopped = anyio.Event()
        self._stored_last = anyio.Event()
        self._next_cache_s = 0.0
        self._pause: anyio.CancelScope | None = None
        self._queue_pause: anyio.CancelScope | None = None
        self.state: StorageState = "disk"
        self.disk_bytes = 0
        self.report: CacheReport | None = None
        """What the cache said last of its size."""

    async def lock(self) -> None:
        """Take the directory.

        Raises:
            PersistenceInUse: another database or process holds it.
            StorageError: it cannot be used.
        """
        await self._run(self._store.lock)

    async def give_up(self) -> None:
        """Let the directory go: it is not to be used after all."""
        await self._run(self._store.close)

    async def open(self, uid: str | None) -> None:
        """Open what is there and hand it to the engine, for whoever is signed in.

        Raises:
            PersistenceInUse: another database or process holds the directory.
            StorageError: it cannot be used.
        """
        opened = await self._run(self._store.open, uid)
        self.disk_bytes = await self._run(self._store.disk_bytes)
        self.report = opened.report
        for text in opened.notes:
            logger.warning("%s", text)
        with self._lock:
            self._engine.begin_as(uid)
            self._perform(
                self._disk.restore(
                    opened.envelopes,
                    opened.next_write_id,
                    opened.pinned,
                    self._clock.monotonic_s(),
                    self._clock.wall_ms(),
                    uid=uid,
                )
            )

    async def flush(self) -> None:
        """Return once all that has been asked for is done, here or when the database is left.

        Raises:
            StorageError: the disk does not take it for now; it is tried again.
        """
        for wanted in (self._cache, self._queue):
            if self._is_closing:
                await self._stored_last.wait()
                return
            done: Pending[None] = Pending()
            wanted.waiting.append(done)
            wanted.set()
            if wanted is self._cache and self._pause is not None:
                self._pause.cancel()
            await done

    def start(self, group: anyio.abc.TaskGroup) -> None:
        """Begin to work."""
        self._running = 2
        group.start_soon(self._work, self._serve_queue)
        group.start_soon(self._work, self._serve_cache)

    def store_writes(self, effect: StoreWrites) -> None:
        """Note that the queue has something to do."""
        self._queue.set()

    def load_writes(self, effect: LoadWrites) -> None:
        """Read payloads."""
        self._reads.append(effect)
        self._queue.set()
        if self._queue_pause is not None:
            self._queue_pause.cancel()

    def store_cache(self, effect: StoreCache) -> None:
        """Note that the cache has something to do, in a while."""
        self._cache.set()

    def load(self, effect: Load) -> None:
        """Ask the disk, at once."""
        self._loads.append(effect)
        self._hurry()

    def switch_owner(self, effect: SwitchOwner) -> None:
        """Let the cache be another user's before anything more is stored or read, and at once."""
        self._switches.append(effect)
        self._hurry()

    def _hurry(self) -> None:
        self._cache.set()
        if self._pause is not None:
            self._pause.cancel()

    async def close(self) -> None:
        """Store what is left and close everything; to be called once no more can come."""
        with anyio.CancelScope(shield=True):
            self._is_closing = True
            for scope in self._scopes:
                scope.cancel()
            if self._running:
                await self._stopped.wait()
            try:
                await self._store_last()
            except StorageError as error:
                logger.warning("the last changes could not be stored: %s", error)
            finally:
                await self._run(self._store.close)
                self._stored_last.set()
                for wanted in (self._cache, self._queue):
                    wanted.release()

    async def _store_last(self) -> None:
        try:
            await self._switch_owner()
            with self._lock:
                changes = self._disk.take_cache_changes()
            if changes:
                await self._run(self._store.apply, changes)
                self._cache_done(changes)
        finally:
            with self._lock:
                batch = self._disk.take_journal_batch()
            if batch.added or batch.removed:
                await self._append(batch)
                with self._lock:
                    self._disk.journal_stored(
                        batch, (), self._clock.monotonic_s(), self._clock.wall_ms()
                    )

    def _cache_done(self, changes: list[CacheChange]) -> None:
        acknowledged = [change.write_id for change in changes if isinstance(change, Acknowledged)]
        self._marked.update(acknowledged)
        with self._lock:
            self._perform(self._disk.cache_stored(acknowledged))

    async def _work(self, serve: Callable[[], Awaitable[None]]) -> None:
        try:
            with anyio.CancelScope() as scope:
                self._scopes.append(scope)
                if self._is_closing:
                    scope.cancel()
                await serve()
        finally:
            self._running -= 1
            if not self._running:
                self._stopped.set()

    # The queue.

    async def _serve_queue(self) -> None:
        while True:
            await self._queue.wait()
            await self._read_all()
            with self._lock:
                batch = self._disk.take_journal_batch()
            await self._store_batch(batch)
            self._queue.done()

    async def _read_all(self) -> None:
        while self._reads:
            effect = self._reads.popleft()
            self._payloads_read(await self._load_writes(effect.write_ids))

    async def _load_writes(self, write_ids: Sequence[int]) -> LoadedWrites:
        async with self._queue_use:
            return await self._run(self._store.load_writes, write_ids)

    def _payloads_read(self, read: LoadedWrites) -> None:
        with self._lock:
            self._perform(
                self._disk.writes_loaded(
                    read.writes,
                    read.unreadable,
                    self._clock.monotonic_s(),
                    self._clock.wall_ms(),
                )
            )

    async def _append(self, batch: JournalBatch) -> None:
        # The batch has been taken from the engine: given up here, it would be lost.
        with anyio.CancelScope(shield=True):
            await self._append_alone(batch)

    async def _append_alone(self, batch: JournalBatch) -> None:
        async with self._queue_use:
            try:
                await self._run(_store_batch, self._store, batch)
            except CorruptRecord as damage:
                repaired = await self._run(self._store.repair_queue, damage)
                logger.warning("%s", repaired.note)
                # What only the disk knew is lost; what has been read is still going to be sent.
                self._payloads_read(LoadedWrites([], repaired.lost))
                await self._run(_store_batch, self._store, batch)

    async def _store_batch(self, batch: JournalBatch) -> None:
        try:
            await self._append(batch)
        except StorageError as error:
            with self._lock:
                self._fail(error)
                self._perform(
                    self._disk.journal_failed(
                        batch, error, self._clock.monotonic_s(), self._clock.wall_ms()
                    )
                )
            self._queue.release(error)
            await self._read_until_retry()
            self._queue.set()
            return
        concluded = self._marked.intersection(batch.removed)
        self._marked -= concluded
        self._set_state("disk")
        with self._lock:
            self._perform(
                self._disk.journal_stored(
                    batch,
                    sorted(concluded),
                    self._clock.monotonic_s(),
                    self._clock.wall_ms(),
                )
            )

    async def _read_until_retry(self) -> None:
        """Leave the queue alone for a while, but for what is to be read of it."""
        retry_s = self._clock.monotonic_s() + RETRY_S
        while self._clock.monotonic_s() < retry_s:
            with anyio.CancelScope() as self._queue_pause:
                await self._clock.sleep_until(retry_s)
            self._queue_pause = None
            await self._read_all()

    # The cache.

    async def _serve_cache(self) -> None:
        while True:
            await self._cache.wait()
            if not (self._loads or self._switches or self._cache.waiting):
                with anyio.CancelScope() as self._pause:
                    await self._clock.sleep_until(self._next_cache_s)
                self._pause = None
            changes: list[CacheChange] = []
            try:
                await self._switch_owner()
                # Those that come later may ask for what is noted later.
                count = len(self._loads)
                with self._lock:
                    changes = self._disk.take_cache_changes()
                if changes:
                    self.report = await self._run(self._store.apply, changes)
                    self.disk_bytes = await self._run(self._store.disk_bytes)
                    self._set_state("disk")
                    self._cache_done(changes)
                    changes = []
                for _ in range(count):
                    await self._answer(self._loads[0])
                    self._loads.popleft()
            except StorageError as error:
                await self._lose_cache(error, changes)
            self._next_cache_s = self._clock.monotonic_s() + CACHE_INTERVAL_S
            self._cache.done()

    async def _switch_owner(self) -> None:
        """Let the cache be whose it is to be: no change of one user is stored as another's."""
        while self._switches:
            effect = self._switches[0]
            pinned = await self._run(
                self._store.switch_owner, effect.changes, effect.uid, effect.cleared_uid
            )
            self._switches.popleft()
            self._cache_done(effect.changes)
            with self._lock:
                self._perform(
                    self._disk.owner_switched(
                        pinned, self._clock.monotonic_s(), self._clock.wall_ms()
                    )
                )

    async def _answer(self, effect: Load) -> None:
        cached = await self._run(self._store.load, effect.path, effect.params)
        # Somebody else may have signed in meanwhile, who is not to see it.
        await self._loaded(effect, None if self._switches else cached)

    async def _loaded(self, effect: Load, cached: CachedQuery | None) -> None:
        read = await self._load_writes(effect.write_ids)
        with self._lock:
            now_s, wall_ms = self._clock.monotonic_s(), self._clock.wall_ms()
            self._perform(
                self._disk.loaded(effect, cached, read.writes, read.unreadable, now_s, wall_ms)
            )

    async def _lose_cache(self, error: StorageError, changes: list[CacheChange]) -> None:
        """Go on without what the cache had: nobody who waits for it is left waiting."""
        logger.warning("the cache on disk failed: %s", error)
        for _ in range(len(self._loads)):
            await self._loaded(self._loads[0], None)
            self._loads.popleft()
        if self._switches:
            self._cache.set()
        if isinstance(error, CorruptRecord):
            logger.warning("%s", await self._run(self._store.reset_cache, error))
        else:
            with self._lock:
                self._fail(error)
            self._cache.release(error)
            await self._pause_for_retry()
        with self._lock:
            self._perform(self._disk.cache_lost(changes))

    def _fail(self, error: StorageError) -> None:
        self.state = "full" if isinstance(error, StorageFull) else "failed"
        self._perform(self._engine.note_error(error))

    def _set_state(self, state: StorageState) -> None:
        if state != self.state:
            self.state = state
            with self._lock:
                self._perform([StatusChanged()])

    async def _pause_for_retry(self) -> None:
        """Leave the disk alone for a while; the next commit finds out whether it works again."""
        await self._clock.sleep_until(self._clock.monotonic_s() + RETRY_S)


def _store_batch(store: Store, batch: JournalBatch) -> None:
    store.store_writes(
        [queued_write(write) for write in batch.added], batch.removed, batch.sent_through
    )


class _Wanted:
    """Whether there is something to do, for the one task that does it."""

    def __init__(self) -> None:
        self._is_set = False
        self._event: anyio.Event | None = None
        self.waiting: list[Pending[None]] = []
        """Those who wait until it is done."""

    def set(self) -> None:
        self._is_set = True
        if self._event is not None:
            self._event.set()

    def done(self) -> None:
        """Let go who waits, unless more has come meanwhile."""
        if not self._is_set:
            self.release()

    def release(self, error: Exception | None = None) -> None:
        """Let go who waits, whatever there is to do."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.settle(None, error)

    async def wait(self) -> None:
        """Return as soon as there is something, which then counts as seen."""
        while not self._is_set:
            self._event = anyio.Event()
            await self._event.wait()
            self._event = None
        self._is_set = False
