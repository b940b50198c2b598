"""The handle of a write that has been applied locally and is on its way to the server."""

from collections.abc import Generator
from typing import Any

from firekeep.engine.requests import PendingWrite

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

    def __await__(self) -> Generator[Any, Any, None]:
        """Wait until the server has answered."""
        raise NotImplementedError

    async def durable(self) -> None:
        """Wait until the write is on disk."""
        raise NotImplementedError

    def cancel(self) -> bool:
        """Take it out of the queue if it has not been sent; return whether that was so."""
        raise NotImplementedError

    @property
    def maybe_applied_twice(self) -> bool:
        """Whether it holds an increment and had to be sent again."""
        raise NotImplementedError
