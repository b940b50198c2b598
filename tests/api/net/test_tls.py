"""TLS with a certificate made for the test, over sockets, tunnels and memory."""

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
import trustme
from anyio.abc import AnyByteStream, SocketAttribute
from anyio.streams.tls import TLSListener
from websockets.http11 import Request
from websockets.server import ServerProtocol

from firekeep.exceptions import Disconnected
from firekeep.net.byte_stream import CHUNK_BYTES
from firekeep.net.dial import dial
from firekeep.net.proxy import ProxyAddress, choose_proxy
from firekeep.net.tls import TlsStream, default_context
from firekeep.net.websocket import connect
from firekeep_core.wire.frame import encode_text

pytestmark = pytest.mark.anyio

Handler = Callable[[AnyByteStream], Awaitable[None]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)  # pyright: ignore[reportUnknownMemberType]
    return context


def server_context(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert(name)
    certificate.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    return context


class Listener(TLSListener):
    """Does not log the handshakes that tests make fail."""

    @staticmethod
    async def handle_handshake_error(exc: BaseException, stream: AnyByteStream) -> None:
        await anyio.aclose_forcefully(stream)
        if not isinstance(exc, Exception):
            raise exc


@asynccontextmanager
async def serving(context: ssl.SSLContext | None, handler: Handler) -> AsyncGenerator[int]:
    """Listen on loopback, with TLS if a context is given; yield the port."""

    async def handle(stream: AnyByteStream) -> None:
        async with stream:
            await handler(stream)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        port = listener.extra(SocketAttribute.local_port)
        if context is None:
            tasks.start_soon(listener.serve, handle)
        else:
            encrypted = Listener(listener, context, standard_compatible=False)
            tasks.start_soon(encrypted.serve, handle)
        yield port
        tasks.cancel_scope.cancel()


async def greet(stream: AnyByteStream) -> None:
    """Accept one WebSocket, send a message with the answer, and wait for the end."""
    protocol = ServerProtocol()
    while not (events := protocol.events_received()):
        protocol.receive_data(await stream.receive())
    assert isinstance(events[0], Request)
    protocol.send_response(protocol.accept(events[0]))
    await stream.send(b"".join(protocol.data_to_send()) + encode_text("hello"))
    while not protocol.close_expected():
        protocol.receive_data(await stream.receive())


async def upper(stream: AnyByteStream) -> None:
    async for data in stream:
        await stream.send(data.upper())


async def test_a_trusted_server_is_spoken_to(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async with serving(server_context(authority), greet) as port:
        socket = await connect(f"wss://localhost:{port}/.ws", ssl_context=trusting)
        messages = await socket.receive()
        await socket.aclose()

    assert messages == [b"hello"]


async def test_a_server_is_verified_unless_told_how(authority: trustme.CA) -> None:
    async with serving(server_context(authority), greet) as port:
        with pytest.raises(Disconnected, match=r"TLS with localhost:\d+ failed") as caught:
            await connect(f"wss://localhost:{port}/.ws")

    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


async def test_a_server_with_another_name_is_not_spoken_to(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async with serving(server_context(authority, "other.example"), greet) as port:
        with pytest.raises(Disconnected, match="Hostname mismatch"):
            await connect(f"wss://localhost:{port}/.ws", ssl_context=trusting)


async def test_a_server_may_be_named_by_its_address(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async with serving(server_context(authority, "127.0.0.1"), greet) as port:
        socket = await connect(f"wss://127.0.0.1:{port}/", ssl_context=trusting)
        messages = await socket.receive()
        await socket.aclose()

    assert messages == [b"hello"]


async def test_a_server_without_tls_is_a_disconnection(trusting: ssl.SSLContext) -> None:
    async def refuse(stream: AnyByteStream) -> None:
        await stream.receive()
        await stream.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(None, refuse) as port:
        with pytest.raises(Disconnected, match="TLS with localhost"):
            await connect(f"wss://localhost:{port}/.ws", ssl_context=trusting)


async def test_a_large_message_goes_both_ways(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    received = b""
    async with serving(server_context(authority), upper) as port:
        stream = await dial("localhost", port, secure=True, ssl_context=trusting)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.send, b"a" * 2_000_000)
            while len(received) < 2_000_000:
                received += await stream.receive()
        await stream.aclose()

    assert received == b"A" * 2_000_000


async def pump(source: AnyByteStream, sink: AnyByteStream) -> None:
    try:
        while True:
            await sink.send(await source.receive())
    except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
        await sink.aclose()


async def tunnel(stream: AnyByteStream) -> None:
    """Lead to this machine, whatever name is asked for."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += await stream.receive()
    port = int(request.split()[1].rpartition(b":")[2])
    async with await anyio.connect_tcp("127.0.0.1", port) as target:
        await stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pump, stream, target)
            tasks.start_soon(pump, target, stream)


async def test_a_proxy_may_be_spoken_to_over_tls_and_tunnel_tls(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async with (
        serving(server_context(authority), greet) as port,
        serving(server_context(authority), tunnel) as proxy_port,
    ):
        proxy = ProxyAddress("localhost", proxy_port, secure=True)
        socket = await connect(f"wss://localhost:{port}/", ssl_context=trusting, proxy=proxy)
        messages = await socket.receive()
        await socket.aclose()

    assert messages == [b"hello"]


async def test_the_proxy_of_the_environment_leads_to_the_server_that_is_verified(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    async with (
        serving(server_context(authority, "db.example"), greet) as port,
        serving(None, tunnel) as proxy_port,
    ):
        proxy = choose_proxy(
            "environment",
            host="db.example",
            port=port,
            secure=True,
            environ={"HTTPS_PROXY": f"http://127.0.0.1:{proxy_port}", "NO_PROXY": "other"},
        )
        socket = await connect(f"wss://db.example:{port}/", ssl_context=trusting, proxy=proxy)
        messages = await socket.receive()
        await socket.aclose()

    assert messages == [b"hello"]


class MemoryPeer:
    """A TLS server without a network: what it wants to say is there at once."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.is_ready = False
        self.is_ended = False

    async def send(self, item: bytes) -> None:
        self.incoming.write(item)
        if not self.is_ready:
            try:
                self.object.do_handshake()
                self.is_ready = True
            except ssl.SSLWantReadError:
                pass

    async def receive(self, max_bytes: int = CHUNK_BYTES) -> bytes:
        if not self.outgoing.pending:
            if self.is_ended:
                raise anyio.EndOfStream
            await anyio.sleep_forever()
        return self.outgoing.read(max_bytes)

    async def aclose(self) -> None:
        self.is_ended = True


async def test_one_read_gives_every_record_that_has_come(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    peer = MemoryPeer(server_context(authority))
    stream = TlsStream(peer, trusting, "localhost")
    await stream.handshake()

    for _ in range(5):
        peer.object.write(b"x" * 16_384)
    received = await stream.receive()

    assert received == b"x" * 5 * 16_384


async def test_what_came_before_the_end_is_given_before_the_end(
    authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    peer = MemoryPeer(server_context(authority))
    stream = TlsStream(peer, trusting, "localhost")
    await stream.handshake()

    peer.object.write(b"last")
    peer.is_ended = True

    assert await stream.receive() == b"last"
    for _ in range(2):
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()


async def test_an_announced_end_is_an_end(authority: trustme.CA, trusting: ssl.SSLContext) -> None:
    peer = MemoryPeer(server_context(authority))
    stream = TlsStream(peer, trusting, "localhost")
    await stream.handshake()

    peer.object.write(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        peer.object.unwrap()

    assert await stream.receive() == b"last"
    with pytest.raises(anyio.EndOfStream):
        await stream.receive()


def test_the_default_context_verifies_and_is_made_once() -> None:
    context = default_context()

    assert context is default_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
