"""Asynchronous iterators over what a query shows, each with a bounded buffer."""

import sys
from collections import deque
from types import TracebackType
from typing import Final, Generic, Literal, Protocol, Self, TypeVar, cast

import anyio
import anyio.lowlevel

from firekeep.driver import Driver
from firekeep.event_folding import FoldedEvents
from firekeep.exceptions import BufferOverflow, DatabaseClosed, InvalidArgument
from firekeep.listener import CHILD_KINDS, KIND_BITS, Registrant, check_kind
from firekeep.snapshot import Event, Snapshot
from firekeep.types import EventKind
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.sync.event import Event as CoreEvent

__all__ = [
    "EventBuffer",
    "EventStream",
    "Overflow",
    "Stream",
    "StreamBuffer",
    "ValueBuffer",
    "ValueStream",
]

Overflow = Literal["error", "conflate", "block"]
"""What happens to an event for which a buffer has no room."""

ItemT_co = TypeVar("ItemT_co", covariant=True)

_TAKEN_AT_ONCE: Final = 64
_POLICIES: Final = ("error", "conflate", "block")


class Buffer(Protocol[ItemT_co]):
    """What the driver fills and an iterator empties, on one thread."""

    error: Exception | None
    """Why nothing more will come; raised after what is there has been taken."""
    waiter: anyio.Event | None

    @property
    def is_closed(self) -> bool:
        """Whether nothing more will come."""
        ...

    def open(self) -> None:
        """Begin to listen."""
        ...

    def take(self) -> ItemT_co | None:
        """Take the oldest item; None if there is none."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...

    def forget(self) -> None:
        """Have it closed soon, because its iterator is no more; called by a finalizer."""
        ...


class StreamBuffer(Registrant):
    """The listener behind an iterator."""

    __slots__ = ("error", "waiter")

    def __init__(self, driver: Driver, path: Path, params: QueryParams) -> None:
        super().__init__(driver, path, params)
        self.error: Exception | None = None
        self.waiter: anyio.Event | None = None

    def close(self) -> None:
        """Stop listening; whoever waits for an item is woken."""
        super().close()
        self.wake()

    def forget(self) -> None:
        """Have it closed soon; called by a finalizer."""
        self._driver.forgotten.add(self.close)

    def fail(self, error: Exception) -> None:
        """Stop listening for a reason that the iterator raises in the end."""
        if self.error is None:
            self.error = error
        self.close()

    def wake(self) -> None:
        """Wake whoever waits for an item."""
        if self.waiter is not None:
            self.waiter.set()
            self.waiter = None

    def _ended_by_server(self, event: CoreEvent) -> None:
        self._is_closed = True
        self.error = cast("Exception", event.error)
        self.wake()


class ValueBuffer(StreamBuffer):
    """Holds the latest values; an older one gives way to a newer one, which says all it said."""

    __slots__ = ("_items",)

    def __init__(self, driver: Driver, path: Path, params: QueryParams, size: int) -> None:
        super().__init__(driver, path, params)
        self._items: deque[Snapshot] = deque(maxlen=size)

    def open(self) -> None:
        """Begin to listen."""
        self.attach(KIND_BITS["value"])

    def deliver(self, event: CoreEvent) -> None:
        """Take one event."""
        if self._is_closed:
            return
        if event.kind == "cancel":
            self._ended_by_server(event)
            return
        snapshot = Snapshot(event.node, self._path, self._params, self)
        snapshot.fix_metadata()
        self._items.append(snapshot)
        if self.waiter is not None:
            self.wake()

    def take(self) -> Snapshot | None:
        """Take the oldest value; None if there is none."""
        return self._items.popleft() if self._items else None


class EventBuffer(StreamBuffer):
    """Holds events in order, up to a number; the policy says what is done with one more.

    ``error``: listening ends, and the iterator raises `BufferOverflow` after what it holds.
    ``block``: nothing more is read from the connection until half of the buffer is empty; what one
    message brought is kept whole, and an event of a local write without room is an overflow.
    """

    __slots__ = ("_bits", "_is_blocking", "_is_pausing", "_items", "_size")

    def __init__(
        self,
        driver: Driver,
        path: Path,
        params: QueryParams,
        bits: int,
        size: int,
        *,
        is_blocking: bool,
    ) -> None:
        super().__init__(driver, path, params)
        self._bits = bits
        self._size = size
        self._is_blocking = is_blocking
        self._is_pausing = False
        self._items: deque[Event] = deque()

    def open(self) -> None:
        """Begin to listen."""
        self.attach(self._bits)

    def close(self) -> None:
        """Stop listening; the connection is not held up any more."""
        self._resume()
        super().close()

    def deliver(self, event: CoreEvent) -> None:
        """Take one event."""
        if self._is_closed:
            return
        if event.kind == "cancel":
            self._resume()
            self._ended_by_server(event)
            return
        if len(self._items) >= self._size and not (
            self._is_blocking and (event.initial or event.origin != "local")
        ):
            self.fail(
                BufferOverflow(
                    f"more than {self._size} events of {self._path} wait to be taken;"
                    " use a larger buffer or another overflow="
                )
            )
            return
        snapshot = self._snapshot_of(event)
        snapshot.fix_metadata()
        self._items.append(
            Event(_kind(event), snapshot, event.previous_key, event.initial, event.origin)
        )
        if self._is_blocking and not self._is_pausing and len(self._items) >= self._size:
            self._is_pausing = True
            self._driver.pause_receiving(self)
        if self.waiter is not None:
            self.wake()

    def take(self) -> Event | None:
        """Take the oldest event; None if there is none."""
        if not self._items:
            return None
        event = self._items.popleft()
        if self._is_pausing and len(self._items) <= self._size // 2:
            self._resume()
        return event

    def _resume(self) -> None:
        if self._is_pausing:
            self._is_pausing = False
            self._driver.resume_receiving(self)


class FoldedBuffer(StreamBuffer):
    """Holds events in order, up to a number; beyond it at most one state of each child.

    What is folded stays so until all of it has been taken.
    """

    __slots__ = ("_bits", "_folded", "_items", "_size")

    def __init__(
        self, driver: Driver, path: Path, params: QueryParams, bits: int, size: int
    ) -> None:
        super().__init__(driver, path, params)
        self._bits = bits
        self._size = size
        self._items: deque[Event] = deque()
        wanted = {kind for kind, bit in KIND_BITS.items() if bits & bit}
        if params.order == "key":
            # The order of keys never changes.
            wanted.discard("child_moved")
        self._folded = FoldedEvents(wanted)

    def open(self) -> None:
        """Begin to listen."""
        self.attach(self._bits)

    def deliver(self, event: CoreEvent) -> None:
        """Take one event."""
        if self._is_closed:
            return
        if event.kind == "cancel":
            self._ended_by_server(event)
            return
        snapshot = self._snapshot_of(event)
        snapshot.fix_metadata()
        item = Event(_kind(event), snapshot, event.previous_key, event.initial, event.origin)
        if not self._folded and len(self._items) < self._size:
            self._items.append(item)
        else:
            while self._items:
                self._folded.add(self._items.popleft())
            self._folded.add(item)
        if self.waiter is not None:
            self.wake()

    def take(self) -> Event | None:
        """Take the oldest event, or what is left of the child that has waited longest."""
        return self._items.popleft() if self._items else self._folded.take()


class Stream(Generic[ItemT_co]):
    """An asynchronous iterator; it listens from its creation until it is closed or forgotten.

    Leaving a loop over it early leaves it listening for as long as something refers to it; as an
    asynchronous context manager it is closed at once.

    Example::

        async with reference.values() as values:
            async for snapshot in values:
                ...
    """

    __slots__ = ("__weakref__", "_buffer", "_taken")

    def __init__(self, buffer: Buffer[ItemT_co]) -> None:
        self._buffer = buffer
        self._taken = 0
        buffer.open()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> ItemT_co:
        """Wait for the next item.

        Raises:
            ServerError: the server refused or revoked the listen.
            BufferOverflow: items came faster than they were taken.
            DatabaseClosed: the database has been left.
        """
        buffer = self._buffer
        if self._taken >= _TAKEN_AT_ONCE:
            # A consumer that never has to wait must still let others run, and be cancelled: here,
            # where it holds no item that would be lost.
            self._taken = 0
            await anyio.lowlevel.checkpoint()
        while True:
            item = buffer.take()
            if item is not None:
                self._taken += 1
                return item
            if buffer.error is not None:
                raise buffer.error
            if buffer.is_closed:
                raise StopAsyncIteration
            if buffer.waiter is None:
                buffer.waiter = anyio.Event()
            await buffer.waiter.wait()

    def close(self) -> None:
        """Stop listening; what is there can still be taken, then the iteration ends."""
        self._buffer.close()

    async def aclose(self) -> None:
        """Stop listening, as `close` does."""
        self._buffer.close()

    def end(self) -> None:
        """End it because the database is being left."""
        if not self._buffer.is_closed:
            self._buffer.error = DatabaseClosed("the database has been left")
            self._buffer.close()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._buffer.close()

    def __del__(self) -> None:
        """Stop listening if nobody else did."""
        if not self._buffer.is_closed:
            self._buffer.forget()


class ValueStream(Stream[Snapshot]):
    """The values of a query; one that was not taken in time gives way to a later one."""

    __slots__ = ()


class EventStream(Stream[Event]):
    """What happens to a query, one event after the other."""

    __slots__ = ()


def value_stream(driver: Driver, path: Path, params: QueryParams, buffer: int) -> ValueStream:
    """Return an iterator over the latest values."""
    return ValueStream(ValueBuffer(driver, path, params, _check_size(buffer)))


def event_stream(
    driver: Driver,
    path: Path,
    params: QueryParams,
    kinds: tuple[EventKind, ...],
    buffer: int,
    overflow: Overflow,
) -> EventStream:
    """Return an iterator over events of the given kinds, all of the children's if none is given."""
    for kind in kinds:
        check_kind(kind)
    if overflow not in _POLICIES:
        raise InvalidArgument(f"overflow={overflow!r:.40} is none of {', '.join(_POLICIES)}")
    bits = sum({KIND_BITS[kind] for kind in kinds or CHILD_KINDS})
    size = _check_size(buffer)
    if overflow == "conflate":
        return EventStream(FoldedBuffer(driver, path, params, bits, size))
    return EventStream(
        EventBuffer(driver, path, params, bits, size, is_blocking=overflow == "block")
    )


def _kind(event: CoreEvent) -> EventKind:
    return cast("EventKind", event.kind)


def _check_size(buffer: object) -> int:
    if not isinstance(buffer, int) or isinstance(buffer, bool) or not 1 <= buffer <= sys.maxsize:
        raise InvalidArgument(f"buffer is a number from 1 to {sys.maxsize}, not {buffer!r:.40}")
    return buffer
