"""Waiting for one event that the server has confirmed."""

from collections.abc import Callable

from firekeep.driver import Driver
from firekeep.event_stream import Stream, StreamBuffer
from firekeep.listener import KIND_BITS
from firekeep.snapshot import Snapshot
from firekeep.types import EventKind
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path
from firekeep_core.sync.event import Event as CoreEvent

__all__ = ["ConfirmedStream", "confirmed_stream"]


class ConfirmedStream(Stream[Snapshot]):
    """Gives children that the server has confirmed on the present connection."""

    __slots__ = ()


class ConfirmedBuffer(StreamBuffer):
    """Lets nothing be taken before the server has confirmed all that the query shows.

    It may do so well after the data came, and without any where nothing has changed, so nothing
    need happen to the query then: each arrival from the server is a reason to look again.
    """

    __slots__ = ("_bits", "_stop")

    def __init__(self, driver: Driver, path: Path, params: QueryParams, kind: EventKind) -> None:
        super().__init__(driver, path, params)
        self._bits = KIND_BITS[kind]
        self._stop: Callable[[], None] | None = None

    def open(self) -> None:
        """Begin to listen."""
        self.attach(self._bits)
        self._stop = self._driver.add_arrival_callback(self.wake)

    def close(self) -> None:
        """Stop listening."""
        if self._stop is not None:
            self._stop()
            self._stop = None
        super().close()

    def deliver(self, event: CoreEvent) -> None:
        """Take one event."""
        if self._is_closed:
            return
        if event.kind == "cancel":
            self._ended_by_server(event)
            return
        self._note(event)
        self.wake()

    def take(self) -> Snapshot | None:
        """Take what there is, once it is confirmed; None if there is nothing."""
        if not self._is_confirmed:
            return None
        snapshot = self._find()
        if snapshot is not None:
            snapshot.fix_metadata()
        return snapshot

    @property
    def _is_confirmed(self) -> bool:
        return not self._driver.view_metadata(self._path, self._params).from_cache

    def _note(self, event: CoreEvent) -> None:
        raise NotImplementedError

    def _find(self) -> Snapshot | None:
        raise NotImplementedError


class FirstChildBuffer(ConfirmedBuffer):
    """Holds the first child, in the order of the query, of what the server confirms."""

    __slots__ = ("_node",)

    def __init__(self, driver: Driver, path: Path, params: QueryParams) -> None:
        super().__init__(driver, path, params, "value")
        self._node: Node = EMPTY

    def _note(self, event: CoreEvent) -> None:
        self._node = event.node

    def _find(self) -> Snapshot | None:
        first = self._params.sort(self._node.items())[:1]
        for key, child in first:
            return Snapshot(child, self._path.child(key), QueryParams.DEFAULT, self)
        return None


class FirstEventBuffer(ConfirmedBuffer):
    """Holds the first event of a kind that the server caused, or that came when it had confirmed.

    What the server tells just before it confirms is part of what it confirms; what a local write
    does before is not.
    """

    __slots__ = ("_event",)

    def __init__(self, driver: Driver, path: Path, params: QueryParams, kind: EventKind) -> None:
        super().__init__(driver, path, params, kind)
        self._event: CoreEvent | None = None

    def _note(self, event: CoreEvent) -> None:
        if self._event is None and (event.origin == "server" or self._is_confirmed):
            self._event = event

    def _find(self) -> Snapshot | None:
        event, self._event = self._event, None
        return None if event is None else self._snapshot_of(event)


def confirmed_stream(
    driver: Driver, path: Path, params: QueryParams, kind: EventKind
) -> ConfirmedStream:
    """Return an iterator whose first item is what the server has confirmed of a kind of event."""
    if kind == "child_added":
        return ConfirmedStream(FirstChildBuffer(driver, path, params))
    return ConfirmedStream(FirstEventBuffer(driver, path, params, kind))
