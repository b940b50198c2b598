"""A WebSocket over any stream of bytes; the library shakes hands, the core reads the frames."""

import logging
import os
import ssl
import struct
import sys
from collections.abc import Mapping, Sequence
from typing import cast

import anyio
import anyio.lowlevel
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI
from websockets.uri import WebSocketURI, parse_uri

from firekeep.exceptions import Disconnected, InvalidArgument, InvalidUrl, ProtocolError
from firekeep.net.byte_stream import CHUNK_BYTES, ByteStream, close_at_once, read_head
from firekeep.net.dial import dial
from firekeep.net.proxy import ProxyAddress
from firekeep_core.wire.frame import CLOSE, PING, PONG, FrameReader, encode_control, encode_texts

__all__ = ["WebSocket", "connect", "user_agent"]

MAX_MESSAGE_BYTES = 256 * 1024 * 1024
CLOSE_TIMEOUT_S = 0.5

_NORMAL_CLOSURE = 1000
_NO_STATUS = 1005
_STREAM_ERRORS = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)

_logger = logging.getLogger("firekeep.net")


def user_agent(version: str) -> str:
    """Return the User-Agent header of this client (wire §1.2)."""
    return f"Firebase/5/{version}/python{sys.version_info[0]}.{sys.version_info[1]}/firekeep"


class WebSocket:
    """One side of an open WebSocket: a `Transport`, for the client and for a server.

    `received` is what came with the last bytes of the handshake. Closing waits `close_timeout_s`
    at most for the peer to say goodbye.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        is_client: bool,
        received: bytes = b"",
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        close_timeout_s: float = CLOSE_TIMEOUT_S,
    ) -> None:
        self._stream = stream
        self._is_client = is_client
        self._received = received
        self._close_timeout_s = close_timeout_s
        self._reader = FrameReader(max_message_bytes, masked=not is_client)
        self._sending = anyio.Lock()
        self._is_receiving = False
        self._is_half_written = False
        self._is_closing = False
        self._end: str | None = None

    async def send(self, messages: Sequence[str]) -> None:
        """Send each as one text message, all in one write.

        Raises:
            Disconnected: the connection has ended; any number of them may have been sent.
            InvalidValue: a text with half a surrogate pair; none of them is sent.
        """
        if not messages:
            await anyio.lowlevel.checkpoint()
            return
        masks = os.urandom(4 * len(messages)) if self._is_client else None
        await self._write(encode_texts(messages, masks))

    async def receive(self) -> list[bytes]:
        """Wait until something comes; return every message that is complete by now, as UTF-8.

        That may be none: a part of a long one, or a ping, shows that the peer is there.

        Raises:
            Disconnected: the connection has ended, and all that came before was returned.
            ProtocolError: a broken or forbidden frame, likewise.
        """
        self._check_open()
        messages = self._reader.feed(await self._read())
        await self._answer_ping()
        if not messages:
            self._check_open()
        return messages

    async def aclose(self) -> None:
        """Say goodbye if that is quick, then close the stream; never raises, also if cancelled."""
        if self._is_closing:
            return
        self._is_closing = True
        try:
            with anyio.move_on_after(self._close_timeout_s, shield=True):
                await self._say_goodbye()
        finally:
            self._end = self._end or "this side closed the connection"
            await close_at_once(self._stream)

    def _check_open(self) -> None:
        if self._reader.error is not None:
            raise self._reader.error
        if self._reader.closed:
            raise Disconnected(self._goodbye())

    async def _read(self) -> bytes:
        if self._received:
            data, self._received = self._received, b""
            return data
        self._is_receiving = True
        try:
            return await self._stream.receive(CHUNK_BYTES)
        except anyio.EndOfStream as error:
            raise self._lost("the connection ended without a goodbye") from error
        except _STREAM_ERRORS as error:
            raise self._lost(f"the connection broke: {_reason(error)}") from error
        finally:
            self._is_receiving = False

    async def _write(self, frames: bytes) -> None:
        async with self._sending:
            if self._end is not None:
                raise Disconnected(self._end)
            if self._is_closing:
                raise Disconnected("this side is closing the connection")
            if self._is_half_written:
                raise Disconnected("an earlier message was cancelled while it was being sent")
            await self._write_locked(frames)

    async def _write_locked(self, frames: bytes) -> None:
        self._is_half_written = True
        try:
            await self._stream.send(frames)
        except _STREAM_ERRORS as error:
            raise self._lost(f"the connection broke: {_reason(error)}") from error
        self._is_half_written = False

    async def _answer_ping(self) -> None:
        """Answer the last ping, which answers all (RFC 6455 §5.5.3)."""
        pings = [payload for opcode, payload in self._reader.take_controls() if opcode == PING]
        # Whoever sends just now shows that we are alive. Waiting for it could block both ways.
        if not pings or self._sending.locked():
            return
        try:
            await self._write(encode_control(PONG, pings[-1], self._mask()))
        except Disconnected as error:
            # Messages that came with the ping are still to be returned; then the end is found.
            _logger.debug("answering a ping: %s", error)

    async def _say_goodbye(self) -> None:
        reader = self._reader
        if reader.error is not None:
            payload = struct.pack("!H", reader.error_code)
        elif reader.closed:
            code = reader.close_code
            payload = b"" if code == _NO_STATUS else struct.pack("!H", code)
        else:
            payload = struct.pack("!H", _NORMAL_CLOSURE)
        try:
            async with self._sending:
                if self._end is not None or self._is_half_written:
                    return
                await self._write_locked(encode_control(CLOSE, payload, self._mask()))
            # A socket closed on unread data resets the connection, and the peer may lose our last
            # messages: read until it has closed too. Another task that receives does so already.
            while not (self._is_receiving or reader.closed or reader.error is not None):
                reader.feed(await self._read())
        except (Disconnected, ProtocolError) as error:
            _logger.debug("closing: %s", error)

    def _mask(self) -> int | None:
        return int.from_bytes(os.urandom(4), "big") if self._is_client else None

    def _goodbye(self) -> str:
        reason = f" {self._reader.close_reason!r}" if self._reader.close_reason else ""
        return f"the peer closed the connection with {self._reader.close_code}{reason}"

    def _lost(self, what: str) -> Disconnected:
        if self._end is None:
            self._end = what
        return Disconnected(self._end)


async def connect(
    url: str,
    *,
    ssl_context: ssl.SSLContext | None = None,
    proxy: ProxyAddress | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> WebSocket:
    """Open a WebSocket as a client; ``wss`` verifies the server, by the system unless told how.

    No extension and no subprotocol is asked for (wire §2.1).

    Raises:
        Disconnected: the network, the proxy, TLS or the server refuses, or it takes too long.
        ProtocolError: what answers is no WebSocket server.
        InvalidArgument: a header with anything but printable ASCII, or (InvalidUrl) the URL.

    Example::

        socket = await connect("wss://my-app.firebaseio.com/.ws?v=5&ns=my-app")
        try:
            print(await socket.receive())
        finally:
            await socket.aclose()
    """
    for name, value in (headers or {}).items():
        if not (name + value).isprintable() or not (name + value).isascii():
            raise InvalidArgument(f"header {name!r:.40}: only printable ASCII is allowed")
    try:
        address = parse_uri(url)
    except (InvalidURI, ValueError) as error:
        raise InvalidUrl(f"invalid WebSocket URL {url.partition('?')[0]!r:.120}") from error
    place = f"{address.host}:{address.port}"
    with anyio.move_on_after(timeout_s):
        try:
            stream = await dial(
                address.host,
                address.port,
                secure=address.secure,
                ssl_context=ssl_context,
                proxy=proxy,
            )
            try:
                rest = await _shake_hands(stream, address, headers or {})
            except BaseException:
                await close_at_once(stream)
                raise
        except anyio.EndOfStream as error:
            raise Disconnected(f"{place} ended the connection while it was opened") from error
        except ssl.SSLError as error:
            raise Disconnected(f"TLS with {place} failed: {_reason(error)}") from error
        except (*_STREAM_ERRORS, UnicodeError) as error:
            via = "" if proxy is None else f" through proxy {proxy.host}:{proxy.port}"
            raise Disconnected(f"cannot reach {place}{via}: {_reason(error)}") from error
        return WebSocket(stream, is_client=True, received=rest, max_message_bytes=max_message_bytes)
    raise Disconnected(f"cannot reach {place}: nothing within {timeout_s:g} s")


async def _shake_hands(
    stream: ByteStream, address: WebSocketURI, headers: Mapping[str, str]
) -> bytes:
    """Ask for the upgrade; return what the server sent after agreeing to it."""
    protocol = ClientProtocol(address)
    protocol.debug = False  # its log would hold the credentials among the headers
    request = protocol.connect()
    for name, value in headers.items():
        request.headers[name] = value
    protocol.send_request(request)
    await stream.send(b"".join(protocol.data_to_send()))
    place = f"{address.host}:{address.port}"
    try:
        head, rest = await read_head(stream)
    except ValueError as error:
        raise ProtocolError(f"{place}: {error}") from error
    version, _, answer = head.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    if version.startswith("HTTP/1.") and answer[:3].isdigit() and not answer.startswith("101"):
        raise Disconnected(f"{place} refused the WebSocket: HTTP {answer[:200]}")
    # Only the head: the library would read the first frames too, and has no way to hand them on.
    protocol.receive_data(head)
    if protocol.handshake_exc is not None:
        raise ProtocolError(
            f"{place} is no WebSocket server: {protocol.handshake_exc}"
        ) from protocol.handshake_exc
    return rest


def _reason(error: Exception) -> str:
    """Return what the operating system said, which anyio keeps one or two causes below."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", cause)
        return "; ".join(str(one) for one in group.exceptions)
    return str(cause) or type(cause).__name__
