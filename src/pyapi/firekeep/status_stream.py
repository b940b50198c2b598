"""An asynchronous iterator over what is known about a database."""

from collections.abc import Callable

import anyio

from firekeep.driver import Driver
from firekeep.event_stream import Stream
from firekeep.exceptions import DatabaseClosed
from firekeep.status import Status

__all__ = ["StatusStream", "status_stream"]


class StatusBuffer:
    """Holds the latest status, if it has not been taken."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._latest: Status | None = None
        self._remove: Callable[[], None] | None = None
        self.error: Exception | None = None
        self.waiter: anyio.Event | None = None

    @property
    def is_closed(self) -> bool:
        """Whether nothing more will come."""
        return self._remove is None

    def open(self) -> None:
        """Begin with the present status."""
        if self._driver.is_left:
            raise DatabaseClosed("the database has been left")
        self._latest = self._driver.status
        self._remove = self._driver.add_status_callback(self._set)

    def take(self) -> Status | None:
        """Take the latest status; None if it has been taken."""
        status, self._latest = self._latest, None
        return status

    def close(self) -> None:
        """Hear of no more."""
        if self._remove is not None:
            self._remove()
            self._remove = None
        self._wake()

    def forget(self) -> None:
        """Have it closed soon; called by a finalizer."""
        self._driver.forgotten.add(self.close)

    def _set(self, status: Status) -> None:
        self._latest = status
        self._wake()

    def _wake(self) -> None:
        if self.waiter is not None:
            self.waiter.set()
            self.waiter = None


class StatusStream(Stream[Status]):
    """The present status and each new one; only the latest counts."""

    __slots__ = ()


def status_stream(driver: Driver) -> StatusStream:
    """Return an iterator over the status of a database."""
    return StatusStream(StatusBuffer(driver))
