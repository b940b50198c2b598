"""The handle of a write that has been applied locally and is on its way to the server."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from firekeep.engine.requests import PendingWrite
from firekeep.exceptions import DatabaseClosed, MaybeApplied, UsageError, WriteCancelled
from firekeep.pending import Pending

if TYPE_CHECKING:
    from firekeep.driver import Driver

__all__ = ["Write"]


class Write(PendingWrite):
    """A write that the local copy already shows.

    Awaiting it waits for the server's answer; not awaiting it is normal.

    Raises:
        ServerError: the server refused it; the local copy no longer shows it.
        WriteFailed: it was cancelled, or it is unknown whether it happened.
        DatabaseClosed: the database was left before an answer came.

    Example::

        write = reference.set(10)
        await write
    """

    __slots__ = ()

    @property
    def is_awaited(self) -> bool:
        """Whether somebody is waiting for the answer; who gave up does not count."""
        waiter: Pending[None] | None = self.waiter
        return waiter is not None and waiter.is_awaited

    @property
    def maybe_applied_twice(self) -> bool:
        """Whether it holds an increment and had to be sent again (W-10)."""
        return self.has_increment and self.resent

    def settle(self, result: object, error: Exception | None) -> None:
        """Take the outcome; a second one means nothing."""
        if self.is_settled:
            return
        self.is_settled = True
        self.error = error
        if error is None:
            self.state = "confirmed"
        elif isinstance(error, WriteCancelled):
            self.state = "cancelled"
        elif isinstance(error, MaybeApplied):
            self.state = "unknown"
        elif not isinstance(error, DatabaseClosed):
            self.state = "rejected"
        if self.waiter is not None:
            self.waiter.settle(None, error)

    def __await__(self) -> Generator[Any, Any, None]:
        """Wait until the server has answered."""
        return self._wait().__await__()

    async def durable(self) -> None:
        """Wait until the write is on disk, or has its answer.

        What that is worth says `Persistence.durability`.

        Raises:
            UsageError: the database keeps nothing on disk, or this is no write of its queue.
            StorageError: the disk did not take it; it is tried again, and can be waited for again.
            DatabaseClosed: the database was left before that.

        Example::

            await reference.set(10).durable()
        """
        driver: Driver | None = self.owner
        if driver is None:
            raise UsageError(f"the write at {self.path} is not one that is kept on disk")
        if not driver.has_disk:
            raise UsageError("the database was opened without persistence: no write is on disk")
        if self.is_stored:
            return
        if self.is_settled:
            if isinstance(self.error, DatabaseClosed):
                raise self.error
            return
        if self.storing is None:
            self.storing = Pending()
        await self.storing

    def note_stored(self, error: Exception | None) -> None:
        """Let go who waits for the disk."""
        waiter: Pending[None] | None = self.storing
        if waiter is not None:
            self.storing = None
            waiter.settle(None, error)

    def cancel(self) -> bool:
        """Take it out of the queue if it has not been sent; return whether that was so."""
        driver: Driver | None = self.owner
        return driver is not None and driver.cancel_write(self)

    def __repr__(self) -> str:
        """Return what it is and how far it has come."""
        return f"<Write {self.id} at {self.path}: {self.state}>"

    async def _wait(self) -> None:
        if not self.is_settled:
            if self.waiter is None:
                self.waiter = Pending()
            await self.waiter
        if self.error is not None:
            raise self.error
