"""Performs what the engine wants of the disk, in worker threads, and says what came of it."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, TypeAlias

import anyio
import anyio.abc

from firekeep.blocking import RunBlocking, run_in_thread
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
from firekeep.exceptions import CorruptRecord, StorageError, StorageFull, UsageError
from firekeep.pending import Pending
from firekeep.status import StorageState
from firekeep.storage.cache_report import CacheReport
from firekeep.storage.store import Store
from firekeep.storage.write_journal import LoadedWrites
from firekeep.wanted import Wanted
from firekeep.write import Write
from firekeep_core.operation.cache_change import Acknowledged, CacheChange, CachedQuery, Forget
from firekeep_core.snap.path import Path

__all__ = ["Storing"]

logger = logging.getLogger("firekeep")

_Part: TypeAlias = Literal["queue", "cache"]

#: The cache is told of changes at most so often; a crash loses what the server will say again.
CACHE_INTERVAL_S = 0.1
#: How long a disk that takes nothing is left alone.
RETRY_S = 5.0


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
        self._queue = Wanted()
        self._queue_use = anyio.Lock()
        """The queue on disk has one user at a time, which also the cache's task may be."""
        self._cache = Wanted()
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
        self._trouble: dict[_Part, StorageError] = {}
        """What the queue and the cache failed with last, as long as they do."""
        self._damage: CorruptRecord | None = None
        """Why the cache is to be put aside, until that is done."""
        self.disk_bytes = 0
        self.report: CacheReport | None = None
        """What the cache said last of its size."""

    @property
    def state(self) -> StorageState:
        """How the worse of the two stands."""
        if not self._trouble:
            return "disk"
        is_full = all(isinstance(error, StorageFull) for error in self._trouble.values())
        return "full" if is_full else "failed"

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
        """Store what is left and close everything; to be called once no more can come.

        What the disk does not take is logged: a program that ends has nothing else to do about it.
        """
        with anyio.CancelScope(shield=True):
            self._is_closing = True
            for scope in self._scopes:
                scope.cancel()
            if self._running:
                await self._stopped.wait()
            try:
                try:
                    await self._store_last()
                finally:
                    await self._run(self._store.close)
            except (StorageError, UsageError) as error:
                logger.warning("the last changes could not be stored: %s", error)
            finally:
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
            is_read = await self._read_all()
            with self._lock:
                batch = self._disk.take_journal_batch()
            if await self._store_batch(batch) and is_read:
                self._mend("queue")
            else:
                await self._read_until_retry()
                self._queue.set()
            self._queue.done()

    async def _read_all(self) -> bool:
        """Read what has been asked for; return whether the disk gave it."""
        try:
            while self._reads:
                self._payloads_read(await self._load_writes(self._reads[0].write_ids))
                self._reads.popleft()
        except StorageError as error:
            self._fail("queue", error)
            return False
        return True

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

    async def _store_batch(self, batch: JournalBatch) -> bool:
        """Store a batch; return whether the disk took it."""
        try:
            await self._append(batch)
        except StorageError as error:
            self._fail("queue", error)
            with self._lock:
                self._perform(
                    self._disk.journal_failed(
                        batch, error, self._clock.monotonic_s(), self._clock.wall_ms()
                    )
                )
            self._queue.release(error)
            return False
        concluded = self._marked.intersection(batch.removed)
        self._marked -= concluded
        with self._lock:
            self._perform(
                self._disk.journal_stored(
                    batch,
                    sorted(concluded),
                    self._clock.monotonic_s(),
                    self._clock.wall_ms(),
                )
            )
        return True

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
                await self._reset_if_damaged()
                await self._switch_owner()
                # Those that come later may ask for what is noted later.
                count = len(self._loads)
                with self._lock:
                    changes = self._disk.take_cache_changes()
                if changes:
                    self.report = await self._run(self._store.apply, changes)
                    self.disk_bytes = await self._run(self._store.disk_bytes)
                    self._cache_done(changes)
                    changes = []
                for _ in range(count):
                    await self._answer(self._loads[0])
                    self._loads.popleft()
                self._mend("cache")
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
        try:
            read = await self._load_writes(effect.write_ids)
        except StorageError as error:
            # What is cached is shown without them for now; the queue's task tries again.
            self._fail("queue", error)
            read = LoadedWrites([], [])
            self.load_writes(LoadWrites(effect.write_ids))
        with self._lock:
            now_s, wall_ms = self._clock.monotonic_s(), self._clock.wall_ms()
            self._perform(
                self._disk.loaded(effect, cached, read.writes, read.unreadable, now_s, wall_ms)
            )

    async def _lose_cache(self, error: StorageError, changes: list[CacheChange]) -> None:
        """Go on with a cache that failed: nobody who waits for it is left waiting."""
        self._fail("cache", error)
        if isinstance(error, CorruptRecord):
            self._damage = error
        self._cache.release(error)
        try:
            await self._answer_in_trouble(changes)
            if not isinstance(error, CorruptRecord):
                await self._answer_until_retry(changes)
        finally:
            # Also when the program ends here: the last attempt is still to come.
            self._take_back(changes)

    async def _answer_until_retry(self, changes: list[CacheChange]) -> None:
        """Leave the cache alone for a while, but for what is to be read of it."""
        retry_s = self._clock.monotonic_s() + RETRY_S
        while self._clock.monotonic_s() < retry_s:
            with anyio.CancelScope() as self._pause:
                await self._clock.sleep_until(retry_s)
            self._pause = None
            await self._answer_in_trouble(changes)

    def _take_back(self, changes: list[CacheChange]) -> None:
        """Have what the cache has not taken told to it again."""
        if self._switches:
            # They are of the user of before, as far as the switch is concerned.
            first = self._switches[0]
            self._switches[0] = first._replace(changes=[*changes, *first.changes])
        else:
            with self._lock:
                self._perform(self._disk.cache_lost(changes))
        self._cache.set()

    async def _answer_in_trouble(self, changes: list[CacheChange]) -> None:
        """Answer from a cache that takes nothing but can be read; `changes` it has not taken."""
        if not self._switches:
            with self._lock:
                changes += self._disk.take_cache_changes()
        denied = [change.path for change in changes if isinstance(change, Forget)]
        for _ in range(len(self._loads)):
            effect = self._loads[0]
            is_denied = any(_overlap(path, effect.path) for path in denied)
            if self._damage is not None or is_denied:
                await self._loaded(effect, None)
            else:
                try:
                    await self._answer(effect)
                except StorageError:
                    await self._loaded(effect, None)
            self._loads.popleft()

    async def _reset_if_damaged(self) -> None:
        if self._damage is None:
            return
        try:
            logger.warning("%s", await self._run(self._store.reset_cache, self._damage))
        except CorruptRecord as error:
            raise StorageError(f"the damaged cache cannot be put aside: {error}") from error
        self._damage = None

    def _fail(self, part: _Part, error: StorageError) -> None:
        if str(self._trouble.get(part)) != str(error):
            logger.warning("the %s on disk failed: %s", part, error)
        self._trouble[part] = error
        with self._lock:
            self._perform(self._engine.note_error(error))

    def _mend(self, part: _Part) -> None:
        if self._trouble.pop(part, None) is not None:
            with self._lock:
                self._perform([StatusChanged()])


def _store_batch(store: Store, batch: JournalBatch) -> None:
    store.store_writes(
        [queued_write(write) for write in batch.added], batch.removed, batch.sent_through
    )


def _overlap(one: Path, other: Path) -> bool:
    """Return whether one of two places lies in the other."""
    return one.contains(other) or other.contains(one)
