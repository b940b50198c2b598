"""Listeners: what a query shows, handed to callbacks as it changes."""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, cast

from firekeep.driver import Driver
from firekeep.exceptions import BufferOverflow, FirekeepError, InvalidArgument
from firekeep.serial_callback import BACKLOG, SerialCallback
from firekeep.snapshot import Metadata, Snapshot
from firekeep.types import CancelCallback, ChildCallback, EventKind, ValueCallback
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.sync.event import Event as CoreEvent

__all__ = [
    "CHILD_KINDS",
    "KIND_BITS",
    "Listener",
    "Registrant",
    "check_kind",
    "listen_child",
    "listen_value",
]

logger = logging.getLogger("firekeep")

KIND_BITS: Final[dict[str, int]] = {
    "value": 1,
    "child_added": 2,
    "child_removed": 4,
    "child_moved": 8,
    "child_changed": 16,
}
_CANCEL: Final = 32

CHILD_KINDS: Final[tuple[EventKind, ...]] = (
    "child_added",
    "child_changed",
    "child_moved",
    "child_removed",
)


class Registrant:
    """One listener of one query: the driver hands it events until it is closed (I-31)."""

    __slots__ = ("_driver", "_is_closed", "_params", "_path")

    def __init__(self, driver: Driver, path: Path, params: QueryParams) -> None:
        self._driver = driver
        self._path = path
        self._params = params
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether it has been closed, or the server has ended it."""
        return self._is_closed

    def close(self) -> None:
        """Stop listening; nothing is delivered after this returns, and closing twice is once."""
        if not self._is_closed:
            self._is_closed = True
            self._driver.remove_listener(self._path, self._params, self)

    def deliver(self, event: CoreEvent) -> None:
        """Take one event."""
        raise NotImplementedError

    def metadata(self, path: Path) -> Metadata:
        """Return what is known of the data at or below the query, at this moment."""
        view = self._driver.view_metadata(self._path, self._params)
        return Metadata(view.from_cache, self._driver.has_pending_writes(path), view.complete)

    def attach(self, kinds: int) -> None:
        """Begin to listen to events of these kinds."""
        try:
            self._driver.add_listener(self._path, self._params, self, kinds | _CANCEL)
        except BaseException:
            self._is_closed = True
            raise

    def _snapshot_of(self, event: CoreEvent) -> Snapshot:
        if event.key is None:
            return Snapshot(event.node, self._path, self._params, self)
        return Snapshot(event.node, self._path.child(event.key), QueryParams.DEFAULT, self)


class Listener(Registrant):
    """A callback that is called until it is closed; also a context manager that closes it.

    Example::

        with reference.on_value(show) as listener:
            await anyio.sleep(60)
    """

    __slots__ = ("_on_cancel", "_serial")

    def __init__(
        self,
        driver: Driver,
        path: Path,
        params: QueryParams,
        callback: Callable[..., object],
        on_cancel: CancelCallback | None,
        *,
        is_latest_enough: bool,
    ) -> None:
        _check_callable(callback, "callback")
        if on_cancel is not None:
            _check_callable(on_cancel, "on_cancel")
        super().__init__(driver, path, params)
        self._on_cancel = on_cancel
        self._serial = SerialCallback(
            callback,
            driver.start_soon,
            is_latest_enough=is_latest_enough,
            overflowed=self._overflowed,
        )

    def close(self) -> None:
        """Stop listening; nothing is called after this returns, and closing twice is once.

        A call of an asynchronous callback that has begun goes on.
        """
        self._serial.close()
        super().close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self.close()

    def __repr__(self) -> str:
        """Return what it listens to, and whether it still does."""
        state = "closed" if self._is_closed else "open"
        return f"<{type(self).__name__} at {self._path}: {state}>"

    def _cancelled(self, error: FirekeepError) -> None:
        self._is_closed = True
        self._serial.close()
        if self._on_cancel is None:
            logger.warning("the listener at %s has ended: %s", self._path, error)
        else:
            SerialCallback(self._on_cancel, self._driver.start_soon).call(error)

    def _overflowed(self) -> None:
        super().close()
        self._cancelled(
            BufferOverflow(f"the callback at {self._path} fell more than {BACKLOG} events behind")
        )


class ValueListener(Listener):
    """Calls back with each value of a query; of those that an asynchronous one misses the last."""

    __slots__ = ()

    def deliver(self, event: CoreEvent) -> None:
        """Take one event."""
        if self._is_closed:
            return
        if event.kind == "cancel":
            self._cancelled(cast("FirekeepError", event.error))
            return
        snapshot = Snapshot(event.node, self._path, self._params, self)
        if self._serial.is_async:
            snapshot.fix_metadata()
        self._serial.call(snapshot)


class ChildListener(Listener):
    """Calls back with one kind of what happens to children."""

    __slots__ = ()

    def deliver(self, event: CoreEvent) -> None:
        """Take one event."""
        if self._is_closed:
            return
        if event.kind == "cancel":
            self._cancelled(cast("FirekeepError", event.error))
            return
        snapshot = self._snapshot_of(event)
        if self._serial.is_async:
            snapshot.fix_metadata()
        self._serial.call(snapshot, event.previous_key)


def listen_value(
    driver: Driver,
    path: Path,
    params: QueryParams,
    callback: ValueCallback[Snapshot],
    on_cancel: CancelCallback | None,
) -> Listener:
    """Call `callback` with each value from now on."""
    listener = ValueListener(driver, path, params, callback, on_cancel, is_latest_enough=True)
    listener.attach(KIND_BITS["value"])
    return listener


def listen_child(
    driver: Driver,
    path: Path,
    params: QueryParams,
    kind: EventKind,
    callback: ChildCallback[Snapshot],
    on_cancel: CancelCallback | None,
) -> Listener:
    """Call `callback` with each event of a kind from now on."""
    listener = ChildListener(driver, path, params, callback, on_cancel, is_latest_enough=False)
    listener.attach(KIND_BITS[kind])
    return listener


def check_kind(kind: object) -> None:
    """Refuse what is no kind of event.

    Raises:
        InvalidArgument: it is none.
    """
    if not isinstance(kind, str) or kind not in KIND_BITS:
        raise InvalidArgument(f"{kind!r:.40} is no kind of event: {', '.join(KIND_BITS)}")


def _check_callable(function: object, name: str) -> None:
    if not callable(function):
        raise InvalidArgument(f"{name} is {function!r:.60}, which cannot be called")
