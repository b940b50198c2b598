"""Two ends of a connection that never leaves the process, for tests."""

from collections.abc import Sequence

import anyio
import anyio.lowlevel

from firekeep.exceptions import Disconnected

__all__ = ["MemoryTransport", "memory_pair"]


class MemoryTransport:
    """One end; what it sends can be held back, let through piece by piece, or lost."""

    def __init__(self) -> None:
        self._peer = self
        self._arrived: list[bytes] = []
        self._held: list[bytes] | None = None
        self._end: str | None = None
        self._changed = anyio.Event()

    async def send(self, messages: Sequence[str]) -> None:
        """Give the messages to the other end, or keep them while held."""
        await anyio.lowlevel.checkpoint()
        if self._end is not None:
            raise Disconnected(self._end)
        encoded = [message.encode() for message in messages]
        if self._held is None:
            self._peer._deliver(encoded)
        else:
            self._held += encoded

    async def receive(self) -> list[bytes]:
        """Return all that has arrived; wait for the first."""
        await anyio.lowlevel.checkpoint()
        while not self._arrived:
            if self._end is not None:
                raise Disconnected(self._end)
            await self._changed.wait()
        arrived, self._arrived = self._arrived, []
        return arrived

    async def aclose(self) -> None:
        """End both ends; what has arrived can still be received."""
        self._end_both("the memory connection was closed")

    def hold(self) -> None:
        """Keep what this end sends from now on."""
        if self._held is None:
            self._held = []

    def release(self, count: int | None = None) -> None:
        """Let the first `count` held messages through; None lets all through and holds no more."""
        held = self._held or []
        if count is None:
            self._held = None
            count = len(held)
        else:
            self._held = held[count:]
        if self._end is None:
            self._peer._deliver(held[:count])

    @property
    def held(self) -> tuple[bytes, ...]:
        """What this end has sent and the other has not been given."""
        return tuple(self._held or ())

    def drop(self) -> None:
        """Break the connection for both ends; what is held is lost."""
        self._end_both("the memory connection was dropped")

    def _deliver(self, messages: Sequence[bytes]) -> None:
        self._arrived += messages
        self._wake()

    def _end_both(self, reason: str) -> None:
        for end in (self, self._peer):
            if end._end is None:
                end._end = reason
                end._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def memory_pair() -> tuple[MemoryTransport, MemoryTransport]:
    """Return two ends of one connection.

    Example::

        client, server = memory_pair()
        await client.send(["0"])
        assert await server.receive() == [b"0"]
    """
    one, other = MemoryTransport(), MemoryTransport()
    one._peer, other._peer = other, one  # pyright: ignore[reportPrivateUsage]
    return one, other
