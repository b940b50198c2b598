"""TLS over any stream of bytes."""

import functools
import ssl

import anyio

from firekeep.net.byte_stream import CHUNK_BYTES, ByteStream

__all__ = ["TlsStream", "default_context"]


@functools.cache
def default_context() -> ssl.SSLContext:
    """Return the context that verifies servers by the authorities of the system; made once.

    Reading the authorities takes some ten milliseconds.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class TlsStream:
    """The client's side of TLS; unlike anyio's it gives all that has come in one read.

    A record holds 16 KiB at most, so a stream that gives one record a read costs sixteen wake-ups
    where the socket's buffer would need one. Reading and writing may happen at the same time,
    although reading may have to write (a change of keys). The end is not announced: the protocol
    above has its own, and a stream that is cut short is as much at its end.
    """

    def __init__(self, stream: ByteStream, context: ssl.SSLContext, host: str) -> None:
        self._stream = stream
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._writing = anyio.Lock()
        self._broken = False

    async def handshake(self) -> None:
        """Agree on keys and verify the server.

        Raises:
            ssl.SSLError: no agreement, or a certificate that is not trusted.
            anyio.EndOfStream: the server ended the stream.
        """
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                self._incoming.write(await self._stream.receive(CHUNK_BYTES))
            except ssl.SSLError:
                # The alert that tells the server why is waiting to be sent.
                await self._flush()
                raise
            else:
                await self._flush()
                return

    async def send(self, item: bytes) -> None:
        """Encrypt and send all of it."""
        rest = memoryview(item)
        while rest:
            rest = rest[self._object.write(rest) :]
        await self._flush()

    async def receive(self, max_bytes: int = CHUNK_BYTES) -> bytes:
        """Return all that has come; `max_bytes` bounds one read of the socket below."""
        while True:
            received = self._decrypt()
            if received:
                return received
            # A write that is under way takes along what reading has to say. Waiting for it could
            # block both ways: the server may read nothing before we do.
            if not self._writing.locked():
                await self._flush()
            try:
                self._incoming.write(await self._stream.receive(max_bytes))
            except anyio.EndOfStream:
                self._incoming.write_eof()

    async def aclose(self) -> None:
        """Close the stream below."""
        await self._stream.aclose()

    def _decrypt(self) -> bytes:
        pieces: list[bytes] = []
        try:
            while piece := self._object.read(CHUNK_BYTES):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            return b"".join(pieces)
        except ssl.SSLEOFError:
            pass
        if pieces:
            return b"".join(pieces)
        raise anyio.EndOfStream

    async def _flush(self) -> None:
        if not self._outgoing.pending and not self._writing.locked():
            return
        async with self._writing:
            if self._broken:
                raise anyio.BrokenResourceError
            self._broken = True  # until all is sent: the peer can decrypt nothing after a gap
            while self._outgoing.pending:
                await self._stream.send(self._outgoing.read())
            self._broken = False
