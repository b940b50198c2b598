"""A database: what is opened, entered and left."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple, Self

from firekeep.auth.providers import as_source
from firekeep.auth.source import CredentialSource
from firekeep.client import Client
from firekeep.config import MIB, Config, Persistence
from firekeep.connection import Connector
from firekeep.driver import Driver
from firekeep.exceptions import ConfiguredTooLate, InvalidArgument, InvalidUrl, UsageError
from firekeep.presence import Presence
from firekeep.query import Query
from firekeep.reference import Reference
from firekeep.serial_callback import SerialCallback
from firekeep.snapshot import child_path
from firekeep.status import CacheInfo, Status
from firekeep.status_stream import StatusStream, status_stream
from firekeep.storage.place import default_path, given_path
from firekeep.storage.store import Store
from firekeep.timeout import check_timeout
from firekeep.types import Registration, TokenProvider, Writable
from firekeep.url import EMULATOR_VARIABLE, parse_url
from firekeep.write import Write
from firekeep_core.snap.path import ROOT, Path

__all__ = ["Database", "KeptQuery", "open"]

PersistenceSetting = bool | str | os.PathLike[str] | Persistence | None


class KeptQuery(NamedTuple):
    """A query that is kept synced."""

    query: Query
    size_bytes: int
    """The estimated size of what is held of it."""


class Database:
    """One Firebase Realtime Database: a live, local copy of the parts that are listened to.

    It does nothing until it is entered with `async with`, on asyncio or trio; leaving it does not
    wait for the network. All calls come from the thread it was entered on. `auth` says who it acts
    for: see `firekeep.auth`.

    Raises:
        InvalidUrl: `url` is not the root of a database, at once.
        InvalidArgument: another argument makes no sense, at once.

    Example::

        async with firekeep.Database("https://my-app.firebaseio.com") as db:
            await db.reference("scores/ada").set(11)
    """

    def __init__(
        self,
        url: str,
        *,
        persistence: PersistenceSetting = None,
        auth: str | TokenProvider | CredentialSource | None = None,
        app_check: str | TokenProvider | None = None,
        config: Config | None = None,
        connector: Connector | None = None,
    ) -> None:
        if not isinstance(url, str):
            raise InvalidArgument(f"the URL of a database is text, not {url!r:.60}")
        source = as_source(auth)
        if not (app_check is None or isinstance(app_check, str) or callable(app_check)):
            raise InvalidArgument(
                "app_check is a token or an asynchronous function that gives one,"
                f" not {type(app_check).__name__}"
            )
        if config is not None and not isinstance(config, Config):
            raise InvalidArgument(f"config is a firekeep.Config, not {config!r:.60}")
        address = parse_url(url, os.environ.get(EMULATOR_VARIABLE))
        if address.path:
            raise InvalidUrl(
                f"{str(address)!r:.120} names a location; open the root and use reference()"
            )
        settings = Config() if config is None else config
        kept = _read_persistence(persistence)
        self._is_kept = kept is not None
        # What is set stays set while persistence is switched off.
        self._persistence = Persistence() if kept is None else kept
        self._driver = Driver(
            address,
            settings,
            auth=source,
            app_check=app_check,
            connector=connector,
        )
        self._client = Client(self._driver, address, settings)
        self._is_entered = False

    async def __aenter__(self) -> Self:
        """Start to connect; returns at once, connected or not.

        Raises:
            UsageError: it has been entered before.
            PersistenceInUse: another database or process holds the directory of this one.
            StorageError: the directory cannot be used.
        """
        if self._is_entered:
            raise UsageError("a database is entered once; open another one")
        self._is_entered = True
        if self._is_kept:
            self._keep_in_store(self._persistence)
        await self._driver.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Leave without waiting for the network.

        Whoever awaits something gets `DatabaseClosed`. With persistence, writes that have not been
        confirmed stay queued on disk; without, they are dropped, and a warning tells their number.
        """
        for stream in list(self._client.streams):
            stream.end()
        return await self._driver.__aexit__(kind, error, traceback)

    # Before it is entered.

    def set_persistence_enabled(self, flag: bool) -> None:
        """Say whether data and unsent writes are kept on disk, as Firebase's method does.

        Raises:
            ConfiguredTooLate: the database has been entered.

        Example::

            db.set_persistence_enabled(False)
        """
        self._check_not_entered("set_persistence_enabled")
        if not isinstance(flag, bool):
            raise InvalidArgument(f"persistence is enabled by True or False, not {flag!r:.40}")
        self._is_kept = flag

    def set_persistence_cache_size_bytes(self, size: int) -> None:
        """Set what the cache on disk may hold, in bytes; at least 1 MiB, by default 10.

        Raises:
            InvalidArgument: the size is less than 1 MiB.
            ConfiguredTooLate: the database has been entered.

        Example::

            db.set_persistence_cache_size_bytes(50 * 1024 * 1024)
        """
        self._check_not_entered("set_persistence_cache_size_bytes")
        if not isinstance(size, int) or isinstance(size, bool) or size < MIB:
            raise InvalidArgument(
                f"the size of the cache is at least {MIB} bytes, not {size!r:.40}"
            )
        self._persistence = replace(self._persistence, budget_bytes=size)

    # References.

    def reference(self, path: str | Path = "") -> Reference:
        """Return a location; the root without a path.

        Raises:
            InvalidPath: no such path can be, at once.

        Example::

            db.reference("rooms/lobby")
        """
        return Reference(self._client, child_path(path))

    def get_reference(self, path: str | Path = "") -> Reference:
        """Return a location, as `reference` does.

        Example::

            db.get_reference("rooms/lobby")
        """
        return self.reference(path)

    @property
    def url(self) -> str:
        """The URL of the root of the database."""
        return self._client.url.text(ROOT)

    # The connection.

    def go_offline(self) -> None:
        """Close the connection and stay without one; listeners and local writes go on.

        Before the database is entered: do not connect when it is.

        Example::

            db.go_offline()
        """
        self._driver.go_offline()

    def go_online(self) -> None:
        """Connect again, at once; also after the server has told the client to stay away.

        Example::

            db.go_online()
        """
        self._driver.go_online()

    @property
    def status(self) -> Status:
        """What is known of connection, credential and queue at this moment."""
        return self._driver.status

    def on_status(self, callback: Callable[[Status], object]) -> Registration:
        """Call back with each new status, until the result is closed.

        Of those that an asynchronous callback misses it is given the last.

        Example::

            watch = db.on_status(lambda status: print(status.connection))
        """
        _check_callable(callback)
        serial = SerialCallback(callback, self._driver.start_watching, is_latest_enough=True)
        return _Registration(serial, self._driver.add_status_callback(serial.call))

    def status_changes(self) -> StatusStream:
        """Return an iterator over the present status and each new one; only the latest counts.

        Raises:
            DatabaseClosed: the database has been left.

        Example::

            async for status in db.status_changes():
                if status.connection == "online":
                    break
        """
        stream = status_stream(self._driver)
        self._client.streams.add(stream)
        return stream

    def server_time(self) -> datetime:
        """Return the server's time in UTC, estimated from ``.info/serverTimeOffset``.

        Example::

            db.server_time().timestamp()
        """
        return datetime.fromtimestamp(self._driver.server_time_ms() / 1000, UTC)

    def presence(
        self,
        path: str | Path,
        *,
        value: Writable = True,
        last_seen: str | Path | None = None,
    ) -> Presence:
        """Keep a record below `path` for as long as this client is connected.

        Each connection has its own, which the server removes when the connection is lost. `value`
        is what it says; at `last_seen` the server notes when the connection ended.

        Example::

            presence = db.presence("online/ada", last_seen="last-seen/ada")
        """
        place = None if last_seen is None else child_path(last_seen)
        return Presence(self._driver, child_path(path), value, place)

    def kept_synced(self) -> list[KeptQuery]:
        """Return the queries that `keep_synced` holds, with the size of what is there of them.

        Example::

            sum(kept.size_bytes for kept in db.kept_synced())
        """
        return [
            KeptQuery(
                Reference(self._client, path)
                if params.is_default
                else Query(self._client, path, params),
                self._driver.size_bytes(path, params),
            )
            for path, params in self._driver.kept_synced()
        ]

    def cache_info(self) -> CacheInfo:
        """Return what is cached and kept, and how big it is.

        Example::

            print(db.cache_info().size_bytes)
        """
        return self._driver.cache_info()

    def clear_cache(self) -> None:
        """Drop what is cached, but not what is listened to, kept synced or still to be sent.

        Example::

            db.clear_cache()
        """
        self._driver.clear_cache()

    # The queue of writes.

    def pending_writes(self) -> list[Write]:
        """Return the writes that have no answer yet, oldest first.

        Example::

            for write in db.pending_writes():
                print(write.id, write.path, write.state)
        """
        return self._driver.pending_writes()

    def pending_write(self, id: int) -> Write | None:
        """Return one of the writes that have no answer yet; None if there is no such one.

        Raises:
            InvalidArgument: ids are whole numbers.

        Example::

            write = db.pending_write(17)
        """
        if not isinstance(id, int) or isinstance(id, bool):
            raise InvalidArgument(f"the id of a write is a whole number, not {id!r:.40}")
        return self._driver.pending_write(id)

    async def wait_for_pending_writes(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  as of every wait of this package
    ) -> None:
        """Wait until every write that was made before this call has an answer.

        Raises:
            TimedOut: some have none after `timeout` seconds; they stay in the queue.
            NotAvailable: their user is not signed in any more: they wait for that one to return.
            InvalidArgument: `timeout` is no time.

        Example::

            await db.wait_for_pending_writes(timeout=5)
        """
        await self._driver.wait_for_pending_writes(check_timeout(timeout))

    def purge_outstanding_writes(self) -> None:
        """Drop every write without an answer, every transaction and queued onDisconnect.

        The local copy no longer shows them; whoever awaits one gets `WriteCancelled`. What has
        been sent may still reach the server.

        Example::

            db.purge_outstanding_writes()
        """
        self._driver.purge()

    def on_write_rejected(self, callback: Callable[[Write], object]) -> Registration:
        """Call back with each write that failed and that nobody awaited, until it is closed.

        Example::

            db.on_write_rejected(lambda write: print(write.path, write.error))
        """
        _check_callable(callback)
        serial = SerialCallback(callback, self._driver.start_soon)
        return _Registration(serial, self._driver.add_rejection_callback(serial.call))

    def __repr__(self) -> str:
        """Return the address and the state of the connection."""
        return f"<Database {self.url}: {self.status.connection}>"

    def _keep_in_store(self, persistence: Persistence) -> None:
        if persistence.path is None:
            path = default_path(self._client.url, persistence.name)
        else:
            path = given_path(persistence.path)
        store = Store(
            path, budget_bytes=persistence.budget_bytes, durability=persistence.durability
        )
        self._driver.keep_in(store, path)

    def _check_not_entered(self, name: str) -> None:
        if self._is_entered:
            raise ConfiguredTooLate(f"{name} comes before 'async with'")


class _Registration:
    """A callback that is called until it is closed."""

    __slots__ = ("_remove", "_serial")

    def __init__(self, serial: SerialCallback, remove: Callable[[], None]) -> None:
        self._serial = serial
        self._remove = remove

    def close(self) -> None:
        """Call it no more; closing twice is closing once."""
        self._serial.close()
        self._remove()


def open(
    url: str,
    *,
    persistence: PersistenceSetting = None,
    auth: str | TokenProvider | CredentialSource | None = None,
    app_check: str | TokenProvider | None = None,
    config: Config | None = None,
) -> Database:
    """Return a database that has not been entered yet.

    Raises:
        InvalidUrl: no database can be at `url`, at once.

    Example::

        async with firekeep.open("https://my-app.firebaseio.com") as db:
            print(await db.reference("scores").get())
    """
    return Database(url, persistence=persistence, auth=auth, app_check=app_check, config=config)


def _read_persistence(setting: PersistenceSetting) -> Persistence | None:
    if setting is None or setting is False:
        return None
    if setting is True:
        return Persistence()
    if isinstance(setting, Persistence):
        return setting
    if isinstance(setting, str | os.PathLike):
        return Persistence(setting)
    raise InvalidArgument(
        f"persistence is a flag, a path or a firekeep.Persistence, not {setting!r:.60}"
    )


def _check_callable(callback: object) -> None:
    if not callable(callback):
        raise InvalidArgument(f"callback is {callback!r:.60}, which cannot be called")
