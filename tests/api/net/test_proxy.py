"""Which proxy is used, and what happens with it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from firekeep.exceptions import Disconnected, InvalidUrl, ProtocolError
from firekeep.net.dial import dial
from firekeep.net.proxy import ProxyAddress, choose_proxy, parse_proxy
from firekeep.net.websocket import connect

Handler = Callable[[SocketStream], Awaitable[None]]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://proxy:3128", ProxyAddress("proxy", 3128)),
        ("http://proxy", ProxyAddress("proxy", 80)),
        ("https://proxy/", ProxyAddress("proxy", 443, secure=True)),
        ("HTTP://Proxy:1", ProxyAddress("proxy", 1)),
        ("proxy:3128", ProxyAddress("proxy", 3128)),
        ("http://[::1]:3128", ProxyAddress("::1", 3128)),
        ("http://me:p%40ss@proxy:1", ProxyAddress("proxy", 1, username="me", password="p@ss")),
        ("http://me@proxy:1", ProxyAddress("proxy", 1, username="me", password="")),
    ],
)
def test_a_proxys_address_is_understood(text: str, address: ProxyAddress) -> None:
    assert parse_proxy(text) == address


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("socks5://proxy:1080", "SOCKS is not supported"),
        ("socks5h://me:secret@proxy:1080", "SOCKS is not supported"),
        ("ftp://me:secret@proxy", "neither http:// nor https://"),
        ("http://me:secret@", "only scheme, user, host and port"),
        ("http://me:secret@proxy:1/path", "only scheme, user, host and port"),
        ("http://me:secret@proxy:port", "host or port cannot be read"),
        ("http://me:secret@proxy:70000", "host or port cannot be read"),
        ("http://me:secret@[proxy", "host or port cannot be read"),
    ],
)
def test_anything_else_is_refused_without_showing_the_password(text: str, what: str) -> None:
    with pytest.raises(InvalidUrl, match=what) as caught:
        parse_proxy(text)

    assert "secret" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(parse_proxy("http://me:secret@proxy"))


@pytest.mark.parametrize(
    ("environ", "host"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://a"}, "a"),
        ({"https_proxy": "http://b", "HTTPS_PROXY": "http://a"}, "b"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://a"}, "a"),
        ({"ALL_PROXY": "http://c"}, "c"),
        ({"HTTPS_PROXY": "http://a", "ALL_PROXY": "http://c"}, "a"),
        ({"HTTP_PROXY": "http://d"}, None),
        ({"HTTPS_PROXY": "http://a", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://a", "NO_PROXY": "firebaseio.com"}, None),
        ({"HTTPS_PROXY": "http://a", "NO_PROXY": ".firebaseio.com"}, None),
        ({"HTTPS_PROXY": "http://a", "NO_PROXY": "*.FirebaseIO.com"}, None),
        ({"HTTPS_PROXY": "http://a", "NO_PROXY": "other, x.firebaseio.com:443"}, None),
        ({"HTTPS_PROXY": "http://a", "NO_PROXY": "x.firebaseio.com:80"}, "a"),
        ({"HTTPS_PROXY": "http://a", "NO_PROXY": "baseio.com"}, "a"),
        ({"HTTPS_PROXY": "http://a", "no_proxy": "other"}, "a"),
    ],
)
def test_the_environment_names_the_proxy(environ: dict[str, str], host: str | None) -> None:
    proxy = choose_proxy(
        "environment", host="x.firebaseio.com", port=443, secure=True, environ=environ
    )

    assert (None if proxy is None else proxy.host) == host


@pytest.mark.parametrize(
    ("host", "rules", "direct"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:9000", True),
        ("10.1.2.3", "10.1.2.3:80", False),
        ("11.1.2.3", "10.0.0.0/8,no/network", False),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "[fd00::1]", True),
        ("fd00::1", "[fd00::1]:9000", True),
        ("localhost", "", True),
        ("app.localhost", "", True),
        ("127.0.0.9", "", True),
        ("::1", "", True),
    ],
)
def test_addresses_are_left_out_by_network_and_this_machine_always(
    host: str, rules: str, direct: bool
) -> None:
    environ = {"HTTP_PROXY": "http://a", "NO_PROXY": rules}

    proxy = choose_proxy("environment", host=host, port=9000, secure=False, environ=environ)

    assert (proxy is None) == direct


def test_a_requests_proxy_header_is_not_taken_for_a_setting() -> None:
    environ = {"REQUEST_METHOD": "GET", "HTTP_PROXY": "http://evil"}

    assert choose_proxy("environment", host="host", port=80, secure=False, environ=environ) is None


def test_a_setting_wins_over_the_environment() -> None:
    environ = {"HTTPS_PROXY": "http://a"}

    given = choose_proxy("http://b:1", host="localhost", port=1, secure=True, environ=environ)
    none = choose_proxy(None, host="host", port=1, secure=True, environ=environ)

    assert given == ProxyAddress("b", 1)
    assert none is None


def test_a_socks_proxy_in_the_environment_is_refused_not_ignored() -> None:
    with pytest.raises(InvalidUrl, match="SOCKS"):
        choose_proxy(
            "environment",
            host="host",
            port=443,
            secure=True,
            environ={"ALL_PROXY": "socks5://proxy"},
        )


@asynccontextmanager
async def serving(handler: Handler) -> AsyncGenerator[int]:
    """Listen on loopback; yield the port."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            await handler(stream)

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, handle)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


async def read_request(stream: SocketStream) -> bytes:
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += await stream.receive()
    return request


async def pump(source: SocketStream, sink: SocketStream) -> None:
    try:
        async for data in source:
            await sink.send(data)
        await sink.send_eof()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        await sink.aclose()


def tunnelling(requests: list[bytes]) -> Handler:
    """Return a proxy that does what it is asked for and keeps the requests."""

    async def handler(stream: SocketStream) -> None:
        request = await read_request(stream)
        requests.append(request)
        host, _, port = request.split()[1].decode().rpartition(":")
        async with await anyio.connect_tcp(host, int(port)) as target:
            await stream.send(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pump, stream, target)
                tasks.start_soon(pump, target, stream)

    return handler


async def upper(stream: SocketStream) -> None:
    async for data in stream:
        await stream.send(data.upper())


@pytest.mark.anyio
async def test_bytes_travel_through_the_tunnel() -> None:
    requests: list[bytes] = []
    async with serving(upper) as port, serving(tunnelling(requests)) as proxy_port:
        proxy = ProxyAddress("127.0.0.1", proxy_port, username="me", password="p:w")

        stream = await dial("127.0.0.1", port, secure=False, proxy=proxy)
        await stream.send(b"hello")
        answer = await stream.receive()
        await stream.aclose()

    target = f"127.0.0.1:{port}".encode()
    assert answer == b"HELLO"
    assert requests == [
        b"CONNECT " + target + b" HTTP/1.1\r\nHost: " + target + b"\r\n"
        b"Proxy-Authorization: Basic bWU6cDp3\r\n\r\n"
    ]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "kind", "what"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            Disconnected,
            r"proxy 127\.0\.0\.1:\d+ refused to connect to db\.example:443: 407 Proxy",
        ),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", Disconnected, "502 Bad Gateway"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", ProtocolError, "did not answer as one: b'SSH"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", ProtocolError, "spoke for db.example:443"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, ProtocolError, "longer than 65536"),
        (b"HTTP/1.1 200", Disconnected, "ended the connection"),
    ],
)
async def test_a_proxy_that_does_not_agree_is_an_error(
    answer: bytes, kind: type[Exception], what: str
) -> None:
    async def handler(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(answer)

    async with serving(handler) as port:
        with pytest.raises(kind, match=what):
            await connect("wss://db.example/", proxy=ProxyAddress("127.0.0.1", port))


@pytest.mark.anyio
async def test_a_proxy_that_is_not_there_is_a_disconnection() -> None:
    async with serving(upper) as port:
        pass

    with pytest.raises(Disconnected, match=r"cannot reach db\.example:443 through proxy"):
        await connect("wss://db.example/", proxy=ProxyAddress("127.0.0.1", port))


@pytest.mark.anyio
async def test_a_name_that_is_no_host_is_a_disconnection() -> None:
    with pytest.raises(Disconnected, match="cannot reach"):
        await connect(f"ws://{'a' * 64}.invalid/")
