"""The only place where the engine, the network and the clock meet: it performs effects."""

import logging
import os
import random
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import anyio
import anyio.abc

from firekeep.auth.providers import as_source
from firekeep.auth.source import CredentialSource
from firekeep.blocking import RunBlocking, run_in_thread
from firekeep.callbacks import Callbacks
from firekeep.clock import Clock, SystemClock
from firekeep.config import Config
from firekeep.connection import Connection, Connector, WebSocketConnector
from firekeep.delivery import Delivery
from firekeep.draining import Draining
from firekeep.engine.effects import (
    Complete,
    Connect,
    Disconnect,
    Effect,
    FetchToken,
    Load,
    LoadWrites,
    Report,
    Send,
    StatusChanged,
    StoreCache,
    StoreWrites,
    SwitchOwner,
    Wake,
)
from firekeep.engine.engine import DisconnectKind, Engine
from firekeep.engine.gets import GetResult, GetSource
from firekeep.engine.requests import Updates
from firekeep.engine.transactions import Outcome
from firekeep.exceptions import DatabaseClosed, UsageError, WriteCancelled
from firekeep.forgotten import Forgotten
from firekeep.gate import Gate
from firekeep.identity import Identity
from firekeep.pending import Pending
from firekeep.push_id import RANDOM_BITS, PushIdGenerator
from firekeep.status import CacheInfo, Status
from firekeep.storage.store import Store
from firekeep.storing import Storing
from firekeep.timer import NEVER, Timer
from firekeep.types import JSON, TokenProvider
from firekeep.url import DatabaseUrl
from firekeep.write import Write
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.sync.event import Event

__all__ = [
    "Driver",
    "EventTarget",
    "GetResult",
    "TransactionHandle",
    "ViewMetadata",
]

logger = logging.getLogger("firekeep")

_AFTER_A_FAULT_S = 1.0


class EventTarget(Protocol):
    """What a listener registers: it is handed each event once, in order."""

    def deliver(self, event: Event) -> None:
        """Take one event; an exception is logged and affects nothing else."""
        ...


class TransactionHandle(Protocol):
    """A running transaction; awaiting it gives whether it was committed, and the final node."""

    def __await__(self) -> Generator[Any, Any, Outcome]:
        """Wait for the outcome."""
        ...


class RunningTransaction(Pending[Outcome]):
    """What a caller holds of a transaction."""

    __slots__ = ("is_returned",)

    def __init__(self) -> None:
        super().__init__()
        self.is_returned = False
        """Whether the caller has it, and could have awaited it."""


class ViewMetadata(NamedTuple):
    """What is known about the data a query shows."""

    from_cache: bool
    """Whether the server has not confirmed it on the present connection."""
    complete: bool


class Driver:
    """Runs one engine: one task group, one lock, one connection at a time.

    Calls that are not asynchronous come from the event loop's thread; what they cause locally has
    been delivered when they return.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        config: Config,
        *,
        auth: str | TokenProvider | CredentialSource | None = None,
        app_check: str | TokenProvider | None = None,
        connector: Connector | None = None,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._url = url
        self._config = config
        self._source = as_source(auth)
        self._app_check = as_source(app_check)
        self._directory: FilePath | None = None
        self._identity: Identity | None = None
        self._connector = WebSocketConnector(url, config) if connector is None else connector
        self._clock: Clock = SystemClock() if clock is None else clock
        self._random = random.SystemRandom() if chance is None else chance
        self._engine = self._new_engine(has_disk=False)
        self._storing: Storing | None = None
        self._delivery = Delivery(
            {
                Send: self._send,
                Complete: self._complete,
                Wake: self._set_timer,
                Connect: self._open_connection,
                Disconnect: self._close_connection,
                StatusChanged: self._publish_status,
                Report: _log,
            },
            self._note_error,
        )
        self._lock = threading.RLock()
        self._group: anyio.abc.TaskGroup | None = None
        self._is_open = False
        self._is_entering = False
        self._process_id = 0
        """Which process may use it: a fork has neither its connection nor its disk."""
        self._is_offline_wanted = False
        self._connection: Connection | None = None
        self._timer = Timer(self._clock, self._wake)
        self._push_ids = PushIdGenerator()
        self._status_callbacks: Callbacks[Status] = Callbacks(self._note_error)
        self._rejection_callbacks: Callbacks[Write] = Callbacks(self._callback_failed)
        self._arrival_callbacks: Callbacks[None] = Callbacks(self._callback_failed)
        self._draining = Draining()
        self.forgotten = Forgotten()
        """Where a finalizer notes what is to be closed."""
        self._reading = Gate()

    def keep_in(
        self, store: Store, directory: FilePath, *, run: RunBlocking = run_in_thread
    ) -> None:
        """Keep data, unsent writes and the credential in a directory; to be called before entry."""
        self._directory = directory
        self._engine = self._new_engine(has_disk=True)
        self._storing = Storing(
            store, self._engine, self._lock, self._delivery.perform, self._clock, run=run
        )
        self._delivery.performers |= {
            StoreWrites: self._storing.store_writes,
            StoreCache: self._storing.store_cache,
            Load: self._storing.load,
            LoadWrites: self._storing.load_writes,
            SwitchOwner: self._storing.switch_owner,
        }

    @property
    def is_left(self) -> bool:
        """Whether it has been left, and nothing happens any more."""
        return self._group is not None and not self._is_open

    @property
    def has_disk(self) -> bool:
        """Whether unsent writes are kept on disk."""
        return self._storing is not None

    async def __aenter__(self) -> Self:
        """Start the tasks and the first attempt to connect.

        Raises:
            PersistenceInUse: another database or process holds the store.
            StorageError: the store cannot be used.
        """
        if self._group is not None or self._is_entering:
            raise UsageError("a database is entered once")
        self._is_entering = True
        storing = self._storing
        identity = self._identity = Identity(
            self._source,
            self._app_check,
            self._engine,
            self._lock,
            self._delivery.perform,
            self._clock,
            lambda: None if storing is None else storing.flush(),
            lambda: self._draining.held(self._engine.held_writes),
        )
        self._delivery.performers[FetchToken] = identity.fetch
        try:
            await self._take_up(identity)
        except BaseException:
            identity.stop()
            if storing is not None:
                await storing.give_up()
            raise
        finally:
            self._is_entering = False
        group = anyio.create_task_group()
        await group.__aenter__()
        self._group = group
        self._is_open = True
        self._process_id = os.getpid()
        group.start_soon(self._timer.run)
        group.start_soon(self.forgotten.run)
        if storing is not None:
            storing.start(group)
        identity.start(group)
        if not self._is_offline_wanted:
            self.go_online()
        return self

    async def _take_up(self, identity: Identity) -> None:
        """Take up what an earlier process left, as its user."""
        if self._storing is not None:
            # First: what is kept beside it, the credential too, belongs to whoever holds it.
            await self._storing.lock()
        uid = await identity.restore(self._directory)
        self._engine.begin_as(uid)
        if self._storing is not None:
            await self._storing.open(uid)
            for write in self._engine.writes.values():
                write.owner = self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Stop every task; whoever still waits for an answer gets `DatabaseClosed`."""
        if self._group is None:
            return None
        with self._lock:
            self._is_open = False
            self._delivery.clear()
        if self._identity is not None:
            self._identity.stop()
        is_cancelled = isinstance(error, anyio.get_cancelled_exc_class())
        try:
            if self._storing is not None:
                await self._storing.close()
        finally:
            self._settle_all()
            self._group.cancel_scope.cancel()
            # An error of the body is the caller's: handed to the group it would come out wrapped.
            # A cancellation may be the group's own, which only the group can tell.
            cause = (kind, error, traceback) if is_cancelled else (None, None, None)
            is_caught = await self._group.__aexit__(*cause)
        return is_caught if is_cancelled else None

    def _settle_all(self) -> None:
        """Tell whoever still waits that no answer will come."""
        with self._lock:
            self._delivery.clear()
            unfinished, effects = self._engine.close()
            for effect in effects:
                if type(effect) is Complete:
                    effect.handle.settle(effect.result, effect.error)
            self._draining.end()
        if unfinished:
            logger.warning("%d writes without an answer from the server are dropped", unfinished)

    # The hot path.
    def set(self, path: Path, node: Node) -> Write:
        """Replace what is at a location; a last key ``.priority`` sets its priority."""
        with self._lock:
            self._check_usable()
            clock = self._clock
            write, effects = self._engine.set(path, node, clock.monotonic_s(), clock.wall_ms())
            write.owner = self
            self._delivery.perform(effects)
        return write

    def update(self, path: Path, children: Updates) -> Write:
        """Replace several locations below one, atomically; nothing to do is done at once."""
        with self._lock:
            self._check_usable()
            clock = self._clock
            write, effects = self._engine.update(
                path, children, clock.monotonic_s(), clock.wall_ms()
            )
            write.owner = self
            self._delivery.perform(effects)
        return write

    def transaction(
        self,
        path: Path,
        fn: Callable[[JSON], object],
        *,
        apply_locally: bool = True,
        require_server: bool = False,
    ) -> TransactionHandle:
        """Run `fn` on the value until the server takes the result; `ABORT` leaves it as it is."""
        handle = RunningTransaction()
        with self._lock:
            self._check_usable()
            effects = self._engine.transaction(
                path,
                fn,
                handle,
                apply_locally=apply_locally,
                require_server=require_server,
                now_s=self._clock.monotonic_s(),
                wall_ms=self._clock.wall_ms(),
            )
            self._delivery.perform(effects)
        handle.is_returned = True
        return handle

    def on_disconnect(
        self,
        kind: DisconnectKind,
        path: Path,
        payload: Node | Updates | None = None,
        *,
        persistent: bool = False,
    ) -> Write:
        """Register what the server does when the connection ends; `persistent`: each connection."""
        with self._lock:
            self._check_usable()
            write, effects = self._engine.on_disconnect(
                kind, path, payload, persistent=persistent, wall_ms=self._clock.wall_ms()
            )
            self._delivery.perform(effects)
        return write

    def add_listener(
        self, path: Path, params: QueryParams, registration: EventTarget, kinds: int
    ) -> None:
        """Add a listener; what is already known is delivered before this returns."""
        with self._lock:
            self._check_usable()
            self._delivery.perform(self._engine.add_listener(path, params, registration, kinds))

    def remove_listener(self, path: Path, params: QueryParams, registration: EventTarget) -> None:
        """Remove a listener; it is handed nothing after this returns."""
        with self._lock:
            if not self._is_open:
                return
            self._check_usable()
            self._delivery.forget(path, params, registration)
            self._delivery.perform(
                self._engine.remove_listener(
                    path, params, registration, self._clock.monotonic_s(), self._clock.wall_ms()
                )
            )

    def keep_synced(self, path: Path, params: QueryParams, flag: bool) -> None:
        """Keep a query downloaded and fresh, or stop it; setting it twice is setting it once."""
        with self._lock:
            self._check_usable()
            self._delivery.perform(
                self._engine.keep_synced(
                    path, params, flag, self._clock.monotonic_s(), self._clock.wall_ms()
                )
            )

    def kept_synced(self) -> list[tuple[Path, QueryParams]]:
        """Return the queries that are kept, in the order in which they were asked for."""
        with self._lock:
            return self._engine.overview.kept_synced()

    async def get(
        self,
        path: Path,
        params: QueryParams,
        *,
        source: GetSource = "default",
        timeout_s: float | None,
    ) -> GetResult:
        """Read once: ``cache`` a live view, ``server`` never that, ``default`` whichever can.

        Raises:
            NotCached: only a live view was asked for, and none holds all of it.
            Offline: there was no connection within `timeout_s`, or none is wanted.
            TimedOut: the server did not answer within `timeout_s`.
            ServerError: the server refused.
        """
        handle: Pending[GetResult] = Pending()
        with self._lock:
            self._check_usable()
            deadline_s = NEVER if timeout_s is None else self._clock.monotonic_s() + timeout_s
            self._delivery.perform(self._engine.get(path, params, source, handle, deadline_s))
        try:
            return await handle
        finally:
            if not handle.is_settled:
                with self._lock:
                    self._engine.abandon_get(handle)

    def pending_writes(self) -> list[Write]:
        """Return the writes that have no answer yet, oldest first."""
        with self._lock:
            return list(self._engine.writes.values())

    def pending_write(self, id: int) -> Write | None:
        """Return one of them."""
        with self._lock:
            return self._engine.writes.get(id)

    def purge(self) -> None:
        """Drop all of them, and every transaction and queued onDisconnect."""
        with self._lock:
            self._check_usable()
            clock = self._clock
            self._delivery.perform(self._engine.purge(clock.monotonic_s(), clock.wall_ms()))

    async def wait_for_pending_writes(self, timeout_s: float | None = None) -> None:
        """Wait until every write that is pending at the call has an answer.

        Raises:
            TimedOut: some have none after `timeout_s`.
        """
        with self._lock:
            self._check_usable()
            writes = self._engine.writes
        await self._draining.wait(writes, timeout_s)

    def cancel_write(self, write: Write) -> bool:
        """Take a write that has not been sent out of the queue; return whether that was so."""
        with self._lock:
            if not self._is_open:
                return False
            self._check_usable()
            clock = self._clock
            cancelled, effects = self._engine.cancel_write(
                write, clock.monotonic_s(), clock.wall_ms()
            )
            self._delivery.perform(effects)
            return cancelled

    def go_offline(self) -> None:
        """Close the connection and stay without one; before entry, do not open one."""
        with self._lock:
            self._is_offline_wanted = True
            if self._is_open:
                clock = self._clock
                self._delivery.perform(
                    self._engine.go_offline(clock.monotonic_s(), clock.wall_ms())
                )

    def go_online(self) -> None:
        """Connect again, at once, also after a shutdown by the server."""
        with self._lock:
            self._is_offline_wanted = False
            if self._is_open:
                self._delivery.perform(self._engine.go_online(self._clock.monotonic_s()))

    @property
    def status(self) -> Status:
        """What is known at this moment."""
        with self._lock:
            status = self._engine.overview.status(self._clock.wall_ms())
        if not self._is_open:
            status = replace(status, connection="offline")
        storing = self._storing
        if storing is None or storing.report is None:
            return status
        return replace(
            status,
            storage=storing.state,
            disk_bytes=storing.disk_bytes,
            is_over_budget=storing.report.is_over_budget,
        )

    def add_status_callback(self, callback: Callable[[Status], object]) -> Callable[[], None]:
        """Call back with each new status; return what removes the callback."""
        return self._status_callbacks.add(callback)

    def add_rejection_callback(self, callback: Callable[[Write], object]) -> Callable[[], None]:
        """Call back with each write that failed and that nobody awaited; return what removes it."""
        return self._rejection_callbacks.add(callback)

    def add_arrival_callback(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after each step in which something came from the server; return what ends it."""
        return self._arrival_callbacks.add(lambda _: callback())

    def server_time_ms(self) -> int:
        """Return the estimated time of the server in ms since 1970."""
        with self._lock:
            return self._engine.overview.server_time_ms(self._clock.wall_ms())

    def next_push_id(self) -> str:
        """Return a new key that sorts after all earlier ones of this client."""
        with self._lock:
            return self._push_ids.next_id(
                self.server_time_ms(), self._random.getrandbits(RANDOM_BITS)
            )

    def has_pending_writes(self, path: Path) -> bool:
        """Return whether a visible write at, above or below a location has no answer yet."""
        with self._lock:
            return self._engine.overview.has_pending_writes(path)

    def _new_engine(self, *, has_disk: bool) -> Engine[Write]:
        return Engine(
            self._url,
            self._config,
            Write,
            self._random.random,
            has_auth=self._source is not None,
            has_app_check=self._app_check is not None,
            has_disk=has_disk,
        )

    def view_metadata(self, path: Path, params: QueryParams) -> ViewMetadata:
        """Return what is known about the data a query shows."""
        with self._lock:
            return ViewMetadata(
                not self._engine.overview.is_confirmed(path, params),
                self._engine.overview.is_complete(path, params),
            )

    def clear_cache(self) -> None:
        """Drop what no listener, keep-synced query or write needs."""
        with self._lock:
            self._check_usable()
            self._delivery.perform(
                self._engine.clear_cache(self._clock.monotonic_s(), self._clock.wall_ms())
            )

    def cache_info(self) -> CacheInfo:
        """Return what is held of the server's data."""
        with self._lock:
            info = self._engine.overview.cache_info()
        if self._storing is None or self._storing.report is None:
            return info
        report = self._storing.report
        return info._replace(
            disk_bytes=self._storing.disk_bytes,
            cached_bytes=report.size_bytes,
            cached_queries=report.queries,
            budget_bytes=report.budget_bytes,
            is_over_budget=report.is_over_budget,
        )

    def size_bytes(self, path: Path, params: QueryParams) -> int:
        """Return the estimated size of what a live query shows; 0 if not all of it is known."""
        with self._lock:
            return self._engine.overview.size_bytes(path, params)

    def pause_receiving(self, owner: object) -> None:
        """Read nothing more from the connection until `owner` calls `resume_receiving`."""
        with self._lock:
            self._reading.shut(owner)
            self._engine.pause(True)

    def resume_receiving(self, owner: object) -> None:
        """Read again, if nobody else holds it up."""
        with self._lock:
            self._reading.release(owner)
            self._engine.pause(not self._reading.is_open)

    def start_soon(self, function: Callable[..., Awaitable[object]], *arguments: object) -> None:
        """Run an asynchronous function in the database's task group; a failure is logged."""
        self._start_soon(self._callback_failed, function, arguments)

    def start_watching(
        self, function: Callable[..., Awaitable[object]], *arguments: object
    ) -> None:
        """Likewise for what is called with each status, which does not hear of its own failure."""
        self._start_soon(self._note_error, function, arguments)

    def _start_soon(
        self,
        failed: Callable[[Exception], object],
        function: Callable[..., Awaitable[object]],
        arguments: tuple[object, ...],
    ) -> None:
        self._check_usable()
        assert self._group is not None
        self._group.start_soon(self._run_task, failed, function, arguments)

    def _check_usable(self) -> None:
        if not self._is_open:
            if self._group is None:
                raise UsageError("the database has not been entered: use 'async with'")
            raise DatabaseClosed("the database has been left")
        if self._engine.is_running_function:
            raise UsageError("a transaction's function must not use the database")
        if os.getpid() != self._process_id:
            raise UsageError(
                f"the database was entered in process {self._process_id}, from which this one,"
                f" {os.getpid()}, was forked: open another one here"
            )

    def _send(self, effect: Send) -> None:
        if self._connection is not None:
            self._connection.send(effect.text)

    def _complete(self, effect: Complete) -> None:
        handle, error = effect.handle, effect.error
        handle.settle(effect.result, error)
        if isinstance(handle, RunningTransaction):
            if error is not None and handle.is_returned and not handle.is_awaited:
                logger.warning("a transaction that nobody awaits failed: %s", error)
            return
        if not isinstance(handle, Write):
            return
        is_wanted = error is None or isinstance(error, WriteCancelled)
        if not (is_wanted or handle.is_awaited):
            logger.warning("a write at %s failed: %s", handle.path, error)
            self._rejection_callbacks.call(handle)
        self._draining.completed(self._engine.writes)

    def _set_timer(self, effect: Wake) -> None:
        self._timer.set(effect.at_s)

    def _open_connection(self, effect: Connect) -> None:
        if self._group is not None:
            self._connection = Connection(
                effect,
                self._connector,
                received=self._received,
                sent=self._sent,
                wait_until_read=self._reading.wait,
            )
            self._group.start_soon(self._run_connection, self._connection)

    def _close_connection(self, effect: Disconnect) -> None:
        if self._connection is not None:
            logger.debug("closing the connection: %s", effect.reason)
            self._connection.close()
            self._connection = None

    def _publish_status(self, effect: StatusChanged) -> None:
        if self._status_callbacks:
            self._status_callbacks.call(self.status)

    def _note_error(self, error: Exception) -> list[Effect]:
        # Not performed at once: a failing status callback must not call itself for ever.
        return self._engine.note_error(error)

    def _callback_failed(self, error: Exception) -> None:
        self._delivery.perform(self._note_error(error))

    def _wake(self, now_s: float) -> None:
        with self._lock:
            try:
                self._delivery.perform(self._engine.wake(now_s, self._clock.wall_ms()))
            # A fault of ours must not end the user's program (W-38).
            except Exception:
                logger.exception("internal error while doing what was due")
                self._timer.set(now_s + _AFTER_A_FAULT_S)

    async def _run_connection(self, connection: Connection) -> None:
        error = await connection.run()
        with self._lock:
            if error is not None and self._connection is connection:
                self._connection = None
                clock = self._clock
                try:
                    self._delivery.perform(
                        self._engine.closed(error, clock.monotonic_s(), clock.wall_ms())
                    )
                # As above. The engine finds out by itself that nobody answers.
                except Exception:
                    logger.exception("internal error at the end of a connection")

    async def _run_task(
        self,
        failed: Callable[[Exception], object],
        function: Callable[..., Awaitable[object]],
        arguments: tuple[object, ...],
    ) -> None:
        try:
            await function(*arguments)
        # As for callbacks: the database goes on (I-32).
        except Exception as error:
            logger.exception("an asynchronous callback failed")
            with self._lock:
                failed(error)

    def _received(self, connection: Connection, messages: Sequence[bytes | bytearray]) -> None:
        with self._lock:
            if self._connection is connection:
                clock = self._clock
                self._delivery.perform(
                    self._engine.receive(messages, clock.monotonic_s(), clock.wall_ms())
                )
                self._arrival_callbacks.call(None)

    def _sent(self) -> None:
        self._engine.sent(self._clock.monotonic_s())


def _log(effect: Report) -> None:
    logger.log(_LEVELS[effect.level], "%s", effect.text)


_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
