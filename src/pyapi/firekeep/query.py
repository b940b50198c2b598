"""Queries: which children of a location, in which order, and what can be done with them."""

from typing import Final, TypeAlias

import anyio

from firekeep.client import Client
from firekeep.engine.gets import GetSource
from firekeep.event_stream import EventStream, Overflow, ValueStream, event_stream, value_stream
from firekeep.exceptions import InvalidArgument, NotCached, Offline, TimedOut
from firekeep.listener import Listener, check_kind, listen_child, listen_value
from firekeep.once import confirmed_stream
from firekeep.snapshot import Metadata, Snapshot
from firekeep.timeout import Timeout, check_timeout
from firekeep.types import CancelCallback, ChildCallback, EventKind, ValueCallback
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path

__all__ = ["Bound", "Query", "Timeout"]

Bound: TypeAlias = bool | int | float | str | None
"""What the value that a query orders by can be compared with; None comes before everything."""

_SOURCES: Final = ("default", "server", "cache")


class Query:
    """A location's children in some order and within bounds; immutable.

    Each method that narrows it gives a new one.

    Example::

        top = db.reference("scores").order_by_value().limit_to_last(3)
        async for snapshot in top.values():
            print([child.key for child in snapshot])
    """

    __slots__ = ("_client", "_driver", "_params", "_path")

    def __init__(self, client: Client, path: Path, params: QueryParams) -> None:
        self._client = client
        self._driver = client.driver
        self._path = path
        self._params = params

    @property
    def path(self) -> Path:
        """The location."""
        return self._path

    @property
    def key(self) -> str | None:
        """The last key of the location; None at the root."""
        return self._path.key

    @property
    def params(self) -> QueryParams:
        """Order, bounds and limit."""
        return self._params

    # Order, bounds and limits. Each raises InvalidQuery at once if it makes no sense with the rest.

    def order_by_child(self, path: str) -> "Query":
        """Order by the value at a path below each child; children without one come first.

        Example::

            reference.order_by_child("height").start_at(3)
        """
        return self._narrow(self._params.order_by_child(path))

    def order_by_key(self) -> "Query":
        """Order by key: keys that are 32-bit integers first, by number, then by character.

        Example::

            reference.order_by_key().start_at("m")
        """
        return self._narrow(self._params.order_by_key())

    def order_by_value(self) -> "Query":
        """Order by the children's own values.

        Example::

            reference.order_by_value().limit_to_last(3)
        """
        return self._narrow(self._params.order_by_value())

    def order_by_priority(self) -> "Query":
        """Order by priority, which is the order without any of these calls.

        Example::

            reference.order_by_priority().equal_to(1)
        """
        return self._narrow(self._params.order_by_priority())

    def start_at(self, value: Bound, key: str | None = None) -> "Query":
        """Leave out what comes before `value`, or has it and comes before `key`.

        Example::

            reference.order_by_child("age").start_at(18)
        """
        return self._narrow(self._params.start_at(value, key))

    def start_after(self, value: Bound, key: str | None = None) -> "Query":
        """Leave out what does not come after `value`, or after `key` where it has `value`.

        Example::

            reference.order_by_child("age").start_after(18)
        """
        return self._narrow(self._params.start_after(value, key))

    def end_at(self, value: Bound, key: str | None = None) -> "Query":
        """Leave out what comes after `value`, or has it and comes after `key`.

        Example::

            reference.order_by_child("age").end_at(65)
        """
        return self._narrow(self._params.end_at(value, key))

    def end_before(self, value: Bound, key: str | None = None) -> "Query":
        """Leave out what does not come before `value`, or before `key` where it has `value`.

        Example::

            reference.order_by_child("age").end_before(65)
        """
        return self._narrow(self._params.end_before(value, key))

    def equal_to(self, value: Bound, key: str | None = None) -> "Query":
        """Leave out what does not have `value`, and, if it is given, the key `key`.

        Example::

            reference.order_by_child("type").equal_to("story")
        """
        return self._narrow(self._params.equal_to(value, key))

    def limit_to_first(self, limit: int) -> "Query":
        """Leave out all but the first `limit` children of what is left.

        Example::

            reference.order_by_key().limit_to_first(10)
        """
        return self._narrow(self._params.limit_to_first(limit))

    def limit_to_last(self, limit: int) -> "Query":
        """Leave out all but the last `limit` children of what is left.

        Example::

            reference.order_by_child("time").limit_to_last(10)
        """
        return self._narrow(self._params.limit_to_last(limit))

    # Listening.

    def on_value(
        self, callback: ValueCallback[Snapshot], on_cancel: CancelCallback | None = None
    ) -> Listener:
        """Call `callback(snapshot)` with the value, and again whenever it changes.

        A plain callback runs before the local write that caused it returns. An asynchronous one
        runs in the database's task group, one call at a time; of the values that come meanwhile it
        is given the last. If the server ends the listen, `on_cancel(error)` is called, once.

        Example::

            listener = reference.on_value(lambda snapshot: print(snapshot.value))
        """
        return listen_value(self._driver, self._path, self._params, callback, on_cancel)

    def on_child_added(
        self, callback: ChildCallback[Snapshot], on_cancel: CancelCallback | None = None
    ) -> Listener:
        """Call `callback(snapshot, previous_key)` for each child there is and each that is added.

        `previous_key` names the child before it in the query's order. An asynchronous callback may
        fall 10 000 calls behind; then `on_cancel` is given a `BufferOverflow`.

        Example::

            messages.on_child_added(lambda snapshot, previous_key: show(snapshot.value))
        """
        return self._on_child("child_added", callback, on_cancel)

    def on_child_changed(
        self, callback: ChildCallback[Snapshot], on_cancel: CancelCallback | None = None
    ) -> Listener:
        """Call `callback(snapshot, previous_key)` for each child whose value has changed.

        Example::

            messages.on_child_changed(lambda snapshot, previous_key: redraw(snapshot.key))
        """
        return self._on_child("child_changed", callback, on_cancel)

    def on_child_moved(
        self, callback: ChildCallback[Snapshot], on_cancel: CancelCallback | None = None
    ) -> Listener:
        """Call `callback(snapshot, previous_key)` for each child that has another place.

        Example::

            ranking.on_child_moved(lambda snapshot, previous_key: move(snapshot.key, previous_key))
        """
        return self._on_child("child_moved", callback, on_cancel)

    def on_child_removed(
        self, callback: ChildCallback[Snapshot], on_cancel: CancelCallback | None = None
    ) -> Listener:
        """Call `callback(snapshot, None)` with the last value of each child that is gone.

        Example::

            messages.on_child_removed(lambda snapshot, previous_key: hide(snapshot.key))
        """
        return self._on_child("child_removed", callback, on_cancel)

    def values(self, *, buffer: int = 1) -> ValueStream:
        """Return an iterator over the value, now and whenever it changes.

        It holds the last `buffer` values that have not been taken; an older one, which the next
        one makes obsolete, is not kept.

        Example::

            async for snapshot in reference.values():
                print(snapshot.value)
        """
        stream = value_stream(self._driver, self._path, self._params, buffer)
        self._client.streams.add(stream)
        return stream

    def events(
        self, *kinds: EventKind, buffer: int = 10_000, overflow: Overflow = "error"
    ) -> EventStream:
        """Return an iterator over what happens: all of the children's events unless `kinds` says.

        It holds up to `buffer` events that have not been taken. Then, with `overflow`

        - ``error``, the iterator raises `BufferOverflow` after what it holds;
        - ``conflate``, events are folded until they have been taken: what remains is at most what
          became of each child, and the last value;
        - ``block``, the database reads nothing more from its connection until there is room, so
          that nothing arrives for anybody: do not wait for the server within the loop. Events of
          local writes cannot wait; one for which there is no room is an overflow.

        Example::

            async for event in reference.events("child_added", overflow="block"):
                await store(event.snapshot.key, event.snapshot.value)
        """
        stream = event_stream(self._driver, self._path, self._params, kinds, buffer, overflow)
        self._client.streams.add(stream)
        return stream

    # Reading once.

    async def get(
        self,
        source: GetSource = "default",
        timeout: Timeout = "default",  # noqa: ASYNC109  part of what a read means
    ) -> Snapshot:
        """Read the value once.

        `source` ``cache`` gives what live listeners hold, ``server`` what the server says, and
        ``default`` the first that can. `timeout` is in seconds, by default that of the
        configuration, 10.

        Raises:
            NotCached: only the cache was asked, and it does not hold all of it.
            Offline: the server had to be asked, and there is no connection.
            TimedOut: the server did not answer within `timeout`.
            ServerError: the server refused.

        Example::

            snapshot = await reference.get()
        """
        _check_source(source)
        result = await self._driver.get(
            self._path,
            self._params,
            source=source,
            timeout_s=self._timeout_s(timeout, self._client.config.get_timeout_s),
        )
        metadata = Metadata(result.from_cache, result.has_pending_writes, complete=True)
        return Snapshot(result.node, self._path, self._params, metadata)

    async def once(
        self,
        kind: EventKind = "value",
        source: GetSource = "default",
        timeout: Timeout = "default",  # noqa: ASYNC109  part of what a read means
    ) -> Snapshot:
        """Wait for one event, such as the first child or the next one to be removed.

        `source` ``server`` waits until the server has confirmed on this connection what the query
        shows: ``child_added`` then gives the first child there is, the others what the server has
        told, or what happens from then on. ``cache`` does not wait. `timeout` is in seconds, by default as long as it takes, and as of
        `get` for ``value``.

        Raises:
            NotCached: only the cache was asked, and it does not know of such an event.
            TimedOut: there was none within `timeout`.
            Offline: likewise, and there was no connection then.
            ServerError: the server refused.

        Example::

            first = await reference.order_by_key().once("child_added")
        """
        _check_source(source)
        check_kind(kind)
        if kind == "value" and source != "default":
            return await self.get(source, timeout)
        default_s = self._client.config.get_timeout_s if kind == "value" else None
        timeout_s = self._timeout_s(timeout, default_s)
        with anyio.move_on_after(0 if source == "cache" else timeout_s):
            if source == "server":
                return await self._first_confirmed(kind)
            async with self.events(kind, buffer=1000, overflow="conflate") as events:
                return (await anext(events)).snapshot
        if source == "cache":
            raise NotCached(f"no {kind} of {self._path} is known")
        if self._driver.status.connection != "online":
            raise Offline(f"no connection in time for a {kind} of {self._path}")
        raise TimedOut(f"no {kind} of {self._path} in time")

    def keep_synced(self, flag: bool) -> None:
        """Keep the data downloaded and fresh without a listener, or stop doing so.

        Saying it twice is saying it once.

        Example::

            reference.keep_synced(True)
        """
        if not isinstance(flag, bool):
            raise InvalidArgument(f"keep_synced is told True or False, not {flag!r:.40}")
        self._driver.keep_synced(self._path, self._params, flag)

    def __eq__(self, other: object) -> bool:
        """Return whether both mean the same data of the same database."""
        if not isinstance(other, Query):
            return NotImplemented
        return (
            self._client is other._client
            and self._path == other._path
            and self._params == other._params
        )

    def __hash__(self) -> int:
        """Return a hash by path."""
        return hash((self._path, self._params))

    def __str__(self) -> str:
        """Return the URL of the location."""
        return self._client.url.text(self._path)

    def __repr__(self) -> str:
        """Return what it means."""
        narrowed = "" if self._params.is_default else f" {self._params.identifier}"
        return f"<{type(self).__name__} {self}{narrowed}>"

    async def _first_confirmed(self, kind: EventKind) -> Snapshot:
        async with confirmed_stream(self._driver, self._path, self._params, kind) as stream:
            self._client.streams.add(stream)
            return await anext(stream)

    def _narrow(self, params: QueryParams) -> "Query":
        return Query(self._client, self._path, params)

    def _on_child(
        self,
        kind: EventKind,
        callback: ChildCallback[Snapshot],
        on_cancel: CancelCallback | None,
    ) -> Listener:
        return listen_child(self._driver, self._path, self._params, kind, callback, on_cancel)

    def _timeout_s(self, timeout: Timeout, default_s: float | None) -> float | None:
        if timeout == "default":
            return default_s
        return check_timeout(timeout)


def _check_source(source: object) -> None:
    if source not in _SOURCES:
        raise InvalidArgument(f"source={source!r:.40} is none of {', '.join(_SOURCES)}")
