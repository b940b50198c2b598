"""The WebSocket over loopback sockets, with the library's server as the peer."""

import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from firekeep.exceptions import (
    Disconnected,
    InvalidArgument,
    InvalidUrl,
    InvalidValue,
    ProtocolError,
)
from firekeep.net.byte_stream import CHUNK_BYTES
from firekeep.net.transport import Transport
from firekeep.net.websocket import WebSocket, connect, user_agent
from firekeep_core.wire.frame import CLOSE, FrameReader, encode_control, encode_text

pytestmark = pytest.mark.anyio

Handler = Callable[["Peer"], Awaitable[None]]

WRONG_KEY = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: AAAA\r\n\r\n"
)


class Peer:
    """A server's side of one connection, driven by the sans-I/O core of `websockets`."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.protocol = ServerProtocol()
        self.request: Request | None = None
        self.frames: list[Frame] = []

    async def read(self) -> bool:
        """Take in what comes next and give the answers due; False at the end."""
        if self.protocol.close_expected():
            return False
        try:
            self.protocol.receive_data(await self.stream.receive())
            await self.flush()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return False
        for event in self.protocol.events_received():
            if isinstance(event, Request):
                self.request = event
            elif isinstance(event, Frame):
                self.frames.append(event)
        return True

    async def flush(self) -> None:
        if data := b"".join(self.protocol.data_to_send()):
            await self.stream.send(data)

    async def accept(self, *, then: bytes = b"") -> None:
        while self.request is None:
            assert await self.read()
        self.protocol.send_response(self.protocol.accept(self.request))
        await self.stream.send(b"".join(self.protocol.data_to_send()) + then)

    async def frame(self) -> Frame:
        while not self.frames:
            assert await self.read()
        return self.frames.pop(0)

    async def read_to_end(self) -> None:
        while await self.read():
            pass


@asynccontextmanager
async def serving(handler: Handler) -> AsyncGenerator[str]:
    """Listen on loopback; yield the URL."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            await handler(Peer(stream))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, handle)
            yield f"ws://127.0.0.1:{port}/.ws?v=5&ns=x"
            tasks.cancel_scope.cancel()


async def echo(peer: Peer) -> None:
    await peer.accept()
    while await peer.read():
        for frame in peer.frames:
            if frame.opcode is Opcode.TEXT:
                peer.protocol.send_text(bytes(frame.data))
        peer.frames.clear()
        await peer.flush()


async def collect(transport: Transport, count: int) -> list[bytes]:
    messages: list[bytes] = []
    while len(messages) < count:
        messages += await transport.receive()
    return messages


class StuckStream:
    """A stream whose peer neither reads nor writes."""

    def __init__(self) -> None:
        self.is_closed = False
        self.sending = 0

    async def send(self, item: bytes) -> None:
        self.sending += 1
        await anyio.sleep_forever()

    async def receive(self, max_bytes: int = CHUNK_BYTES) -> bytes:
        await anyio.sleep_forever()
        raise AssertionError

    async def aclose(self) -> None:
        self.is_closed = True


class ScriptedStream:
    """A stream that gives what it was told to, then ends, and keeps what is sent."""

    def __init__(self, *received: bytes) -> None:
        self.pieces = list(received)
        self.sent = b""
        self.is_closed = False

    async def send(self, item: bytes) -> None:
        if self.is_closed:
            raise anyio.ClosedResourceError
        self.sent += item

    async def receive(self, max_bytes: int = CHUNK_BYTES) -> bytes:
        if not self.pieces:
            raise anyio.EndOfStream
        return self.pieces.pop(0)

    async def aclose(self) -> None:
        self.is_closed = True

    def sent_controls(self) -> list[tuple[int, bytes]]:
        reader = FrameReader(1000, masked=True)
        reader.feed(self.sent)
        return reader.take_controls()


async def test_messages_come_back_from_the_librarys_server() -> None:
    long = "€" * 100_000
    async with serving(echo) as url:
        socket = await connect(url)

        await socket.send(["a", "é", ""])
        await socket.send([long])
        messages = await collect(socket, 4)
        await socket.aclose()

    assert messages == [b"a", "é".encode(), b"", long.encode()]


async def test_all_that_has_come_is_returned_at_once() -> None:
    async def handler(peer: Peer) -> None:
        await peer.accept(then=encode_text("a") + encode_text("b") + encode_text("c"))
        await peer.read_to_end()

    async with serving(handler) as url:
        socket = await connect(url)
        messages = await socket.receive()
        await socket.aclose()

    assert messages == [b"a", b"b", b"c"]


async def test_a_message_cut_by_the_end_of_the_handshake_is_put_together() -> None:
    async def handler(peer: Peer) -> None:
        frame = encode_text("hello")
        await peer.accept(then=frame[:3])
        await peer.frame()
        await peer.stream.send(frame[3:])
        await peer.read_to_end()

    async with serving(handler) as url:
        socket = await connect(url)
        await socket.send(["go on"])
        messages = await collect(socket, 1)
        await socket.aclose()

    assert messages == [b"hello"]


async def test_the_request_says_who_asks_and_asks_for_no_extension() -> None:
    requests: list[Request] = []

    async def handler(peer: Peer) -> None:
        await peer.accept()
        assert peer.request is not None
        requests.append(peer.request)
        await peer.read_to_end()

    async with serving(handler) as url:
        socket = await connect(
            url, headers={"User-Agent": user_agent("0.1.0"), "X-Firebase-GMPID": "1:2:web:3"}
        )
        await socket.aclose()

    headers = requests[0].headers
    assert requests[0].path == "/.ws?v=5&ns=x"
    assert headers["User-Agent"].startswith("Firebase/5/0.1.0/python")
    assert headers["X-Firebase-GMPID"] == "1:2:web:3"
    assert "Sec-WebSocket-Extensions" not in headers
    assert "Sec-WebSocket-Protocol" not in headers


@pytest.mark.parametrize("value", ["a\r\nHost: b", "a\x00", "é"])
async def test_a_header_that_would_break_the_request_is_refused(value: str) -> None:
    with pytest.raises(InvalidArgument, match="'X-Name'"):
        await connect("ws://127.0.0.1:1/", headers={"X-Name": value})


@pytest.mark.parametrize("url", ["http://host/", "ws:///", "ws://host:port/", "wss://host/#a"])
async def test_an_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrl, match="invalid WebSocket URL"):
        await connect(url)


async def test_a_ping_is_answered_although_no_message_came() -> None:
    answers: list[Frame] = []

    async def handler(peer: Peer) -> None:
        await peer.accept()
        peer.protocol.send_ping(b"one")
        peer.protocol.send_ping(b"two")
        await peer.flush()
        while not answers or answers[-1].data != b"two":
            answers.append(await peer.frame())
        await peer.stream.send(encode_text("done"))
        await peer.read_to_end()

    async with serving(handler) as url:
        socket = await connect(url)
        assert await collect(socket, 1) == [b"done"]
        await socket.aclose()

    assert {answer.opcode for answer in answers} == {Opcode.PONG}


async def test_a_part_of_a_message_is_returned_as_a_sign_of_life() -> None:
    frame = encode_text("hello")
    socket = WebSocket(ScriptedStream(frame[:3], frame[3:]), is_client=True)

    assert await socket.receive() == []
    assert await socket.receive() == [b"hello"]


async def test_messages_before_the_servers_goodbye_are_returned_first() -> None:
    goodbye = encode_control(CLOSE, struct.pack("!H", 1001) + b"moved")
    socket = WebSocket(ScriptedStream(encode_text("a") + goodbye), is_client=True)

    assert await socket.receive() == [b"a"]
    for _ in range(2):
        with pytest.raises(Disconnected, match="closed the connection with 1001 'moved'"):
            await socket.receive()


async def test_an_end_without_a_goodbye_is_a_disconnection() -> None:
    async def handler(peer: Peer) -> None:
        await peer.accept()

    async with serving(handler) as url:
        socket = await connect(url)
        with pytest.raises(Disconnected):
            await socket.receive()
        with pytest.raises(Disconnected):
            while True:
                await socket.send(["a"])
        await socket.aclose()


async def test_a_hostile_frame_is_an_error_after_the_messages_before_it() -> None:
    stream = ScriptedStream(encode_text("a") + b"\xff\x00")
    socket = WebSocket(stream, is_client=True)

    assert await socket.receive() == [b"a"]
    for _ in range(2):
        with pytest.raises(ProtocolError, match="reserved bits"):
            await socket.receive()
    await socket.aclose()

    assert stream.sent_controls() == [(CLOSE, struct.pack("!H", 1002))]


async def test_a_message_beyond_the_limit_is_refused() -> None:
    stream = ScriptedStream(encode_text("a" * 101))
    socket = WebSocket(stream, is_client=True, max_message_bytes=100)

    with pytest.raises(ProtocolError, match="allowed are 100"):
        await socket.receive()


async def test_closing_says_goodbye_and_is_done_once() -> None:
    stream = ScriptedStream(b"\x81\x01a", encode_control(CLOSE, struct.pack("!H", 1000)))
    socket = WebSocket(stream, is_client=True)

    await socket.aclose()
    await socket.aclose()

    assert stream.sent_controls() == [(CLOSE, struct.pack("!H", 1000))]
    assert stream.is_closed
    with pytest.raises(Disconnected, match="this side closed"):
        await socket.send(["a"])


async def test_closing_wakes_whoever_receives() -> None:
    async with serving(echo) as url:
        socket = await connect(url)

        async def receive() -> None:
            with pytest.raises(Disconnected):
                await socket.receive()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            await socket.aclose()


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_closing_does_not_wait_for_a_peer_that_is_stuck(is_cancelled: bool) -> None:
    stream = StuckStream()
    socket = WebSocket(stream, is_client=True, close_timeout_s=0.01)

    with anyio.CancelScope() as scope:
        if is_cancelled:
            scope.cancel()
        await socket.aclose()

    assert stream.is_closed


async def test_closing_while_another_task_sends_closes_the_stream() -> None:
    stream = StuckStream()
    socket = WebSocket(stream, is_client=True, close_timeout_s=0.01)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(socket.send, ["a"])
        await anyio.wait_all_tasks_blocked()
        await socket.aclose()
        tasks.cancel_scope.cancel()

    assert stream.is_closed
    assert stream.sending == 1


async def test_after_a_cancelled_write_nothing_can_be_sent() -> None:
    stream = StuckStream()
    socket = WebSocket(stream, is_client=True, close_timeout_s=0.01)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(socket.send, ["a"])
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()

    with pytest.raises(Disconnected, match="cancelled while it was being sent"):
        await socket.send(["b"])
    await socket.aclose()
    assert stream.sending == 1


async def test_messages_that_came_with_a_ping_survive_the_end() -> None:
    stream = ScriptedStream(encode_control(0x9, b"?") + encode_text("a"))
    stream.is_closed = True
    socket = WebSocket(stream, is_client=True)

    assert await socket.receive() == [b"a"]
    with pytest.raises(Disconnected):
        await socket.receive()


async def test_a_goodbye_is_answered_with_its_code() -> None:
    stream = ScriptedStream(encode_control(CLOSE, struct.pack("!H", 1001) + b"bye"))
    socket = WebSocket(stream, is_client=True)

    with pytest.raises(Disconnected, match="1001 'bye'"):
        await socket.receive()
    await socket.aclose()

    assert stream.sent_controls() == [(CLOSE, struct.pack("!H", 1001))]


async def test_half_a_surrogate_pair_is_refused_and_nothing_is_sent() -> None:
    socket = WebSocket(stream := ScriptedStream(), is_client=True)

    with pytest.raises(InvalidValue):
        await socket.send(["fine", "\ud83d"])
    await socket.send(["fine"])

    reader = FrameReader(1000, masked=True)
    assert reader.feed(stream.sent) == [b"fine"]


async def test_the_servers_side_speaks_to_the_clients_side() -> None:
    ended = anyio.Event()

    async def handler(peer: Peer) -> None:
        await peer.accept()
        server = WebSocket(peer.stream, is_client=False)
        await server.send([message.decode() for message in await collect(server, 2)])
        with pytest.raises(Disconnected, match="with 1000"):
            await server.receive()
        await server.aclose()
        ended.set()

    async with serving(handler) as url:
        client = await connect(url)
        await client.send(["a", "b"])
        assert await collect(client, 2) == [b"a", b"b"]
        await client.aclose()
        with anyio.fail_after(5):
            await ended.wait()


@pytest.mark.parametrize(
    ("answer", "kind", "what"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", Disconnected, "refused the WebSocket: HTTP 403 Forb"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n\r\n", Disconnected, "HTTP 302 Found"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ProtocolError, "is no WebSocket server"),
        (b"RTSP/1.0 200 OK\r\n\r\n", ProtocolError, "is no WebSocket server"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, ProtocolError, "longer than 65536 bytes"),
        (b"HTTP/1.1 101 Swi", Disconnected, "ended the connection while it was opened"),
        (WRONG_KEY, ProtocolError, "Sec-WebSocket-Accept"),
    ],
)
async def test_a_server_that_does_not_agree_is_an_error(
    answer: bytes, kind: type[Exception], what: str
) -> None:
    async def handler(peer: Peer) -> None:
        while peer.request is None:
            assert await peer.read()
        await peer.stream.send(answer)

    async with serving(handler) as url:
        with pytest.raises(kind, match=what):
            await connect(url)


async def test_an_extension_that_nobody_asked_for_is_an_error() -> None:
    async def handler(peer: Peer) -> None:
        while peer.request is None:
            assert await peer.read()
        response = peer.protocol.accept(peer.request)
        response.headers["Sec-WebSocket-Extensions"] = "permessage-deflate"
        peer.protocol.send_response(response)
        await peer.flush()
        await peer.read_to_end()

    async with serving(handler) as url:
        with pytest.raises(ProtocolError, match="no extensions supported"):
            await connect(url)


async def test_a_port_where_nobody_listens_is_a_disconnection() -> None:
    async with serving(echo) as url:
        pass

    with pytest.raises(Disconnected, match=r"cannot reach 127\.0\.0\.1") as caught:
        await connect(url)

    assert isinstance(caught.value.__cause__, OSError)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def handler(peer: Peer) -> None:
        await peer.read_to_end()

    async with serving(handler) as url:
        with pytest.raises(Disconnected, match=r"nothing within 0\.05 s"):
            await connect(url, timeout_s=0.05)


async def test_cancelling_a_connection_attempt_closes_its_socket() -> None:
    asked = anyio.Event()
    ended = anyio.Event()

    async def handler(peer: Peer) -> None:
        await peer.read()
        asked.set()
        await peer.read_to_end()
        ended.set()

    async with serving(handler) as url:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connect, url)
            await asked.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await ended.wait()
