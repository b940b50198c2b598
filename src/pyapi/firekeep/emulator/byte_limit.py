"""A stream of bytes that ends where a test says."""

import anyio

from firekeep.net.byte_stream import CHUNK_BYTES, ByteStream, close_at_once

__all__ = ["LimitedStream"]


class LimitedStream:
    """A stream that breaks after a number of bytes, as a network does in mid-transfer."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._outgoing: int | None = None
        self._incoming: int | None = None
        self._sending = anyio.Lock()

    def limit(self, count: int, *, incoming: bool) -> None:
        """Break after `count` more bytes in one direction."""
        if incoming:
            self._incoming = count
        else:
            self._outgoing = count

    async def send(self, item: bytes) -> None:
        """Send all of it, or what the limit allows and then break."""
        async with self._sending:
            if self._outgoing is None:
                await self._stream.send(item)
                return
            allowed, self._outgoing = item[: self._outgoing], self._outgoing - len(item)
            if allowed:
                await self._stream.send(allowed)
            if self._outgoing < 0:
                self._outgoing = 0
                await self._break()

    async def receive(self, max_bytes: int = CHUNK_BYTES) -> bytes:
        """Return what has come, as far as the limit allows."""
        if self._incoming is None:
            return await self._stream.receive(max_bytes)
        if self._incoming == 0:
            await self._break()
        data = await self._stream.receive(min(max_bytes, self._incoming))
        self._incoming -= len(data)
        return data

    async def aclose(self) -> None:
        """Close it without waiting for the other side."""
        await self._stream.aclose()

    async def _break(self) -> None:
        await close_at_once(self._stream)
        raise anyio.BrokenResourceError
