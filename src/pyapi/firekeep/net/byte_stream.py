"""The streams of bytes that connections are layered from: TCP, a tunnel, TLS."""

from typing import Protocol

import anyio

__all__ = ["CHUNK_BYTES", "ByteStream", "close_at_once", "read_head"]

CHUNK_BYTES = 256 * 1024
"""What one read asks for: some thousand messages, and what asyncio gives at most."""

MAX_HEAD_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"


class ByteStream(Protocol):
    """The part of `anyio.abc.ByteStream` that is needed here, with its errors."""

    async def send(self, item: bytes) -> None:
        """Send all of it."""
        ...

    async def receive(self, max_bytes: int = CHUNK_BYTES) -> bytes:
        """Return what is there, at least a byte; raises `anyio.EndOfStream` at the end."""
        ...

    async def aclose(self) -> None:
        """Close it without waiting for the other side."""
        ...


async def close_at_once(stream: ByteStream) -> None:
    """Close the stream, also if the task is being cancelled."""
    # No stream here waits for its peer to close, so the shield holds nobody up.
    with anyio.CancelScope(shield=True):
        await stream.aclose()


async def read_head(stream: ByteStream) -> tuple[bytes, bytes]:
    """Read the head of an HTTP answer; return it with its empty line, and what came after.

    Raises:
        ValueError: no end of the head within 64 KiB.
        anyio.EndOfStream: the stream ended before the head did.
    """
    received = b""
    while True:
        # The end may lie across the border of two reads.
        start = max(0, len(received) - len(_HEAD_END) + 1)
        received += await stream.receive(CHUNK_BYTES)
        end = received.find(_HEAD_END, start)
        if end >= 0 and end <= MAX_HEAD_BYTES:
            end += len(_HEAD_END)
            return received[:end], received[end:]
        if len(received) > MAX_HEAD_BYTES:
            raise ValueError(f"head of an HTTP answer longer than {MAX_HEAD_BYTES} bytes")
