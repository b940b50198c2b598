"""One HTTP request: what comes back, and what goes wrong."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from firekeep.exceptions import NetworkUnavailable
from firekeep.net import http

pytestmark = pytest.mark.anyio

SECRET = "s3cret"


class Canned:
    """A server that says one thing, and remembers what it was told."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        """None: nothing, for ever."""
        self.received = b""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/path?key=k"

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            while b"\r\n\r\n" not in self.received:
                self.received += await stream.receive()
            if self.answer is not None:
                await stream.send(self.answer)
            else:
                await anyio.sleep_forever()


@asynccontextmanager
async def serving(answer: bytes | None) -> AsyncGenerator[Canned]:
    canned = Canned(answer)
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        canned.port = listener.extra(SocketAttribute.local_port)
        tasks.start_soon(listener.serve, canned.serve)
        yield canned
        tasks.cancel_scope.cancel()


async def test_status_headers_and_body_come_back_whatever_the_status() -> None:
    answer = b"HTTP/1.1 418 Teapot\r\nX-Kind: Short\r\nContent-Length: 5\r\n\r\nstout"
    async with serving(answer) as server:
        got = await http.request("POST", server.url, headers={"X-Sent": "1"}, body=b"tea")

    assert (got.status, got.body, got.headers["x-kind"]) == (418, b"stout", "Short")
    assert server.received.startswith(b"POST /path?key=k HTTP/1.1\r\n")
    assert b"x-sent: 1" in server.received.lower()


async def test_a_redirect_is_not_followed() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with serving(answer) as server:
        assert (await http.request("GET", server.url)).status == 302


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with serving(b"x") as server:
        port = server.port

    with pytest.raises(NetworkUnavailable, match=r"127\.0\.0\.1 cannot be reached"):
        await http.request("GET", f"http://127.0.0.1:{port}/?token={SECRET}")


async def test_a_silent_server_is_unavailable_after_a_while() -> None:
    async with serving(None) as server:
        with pytest.raises(NetworkUnavailable, match="did not answer within"):
            await http.request("GET", server.url, timeout_s=0.05)


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
    ],
)
async def test_half_an_answer_is_none(answer: bytes) -> None:
    async with serving(answer) as server:
        with pytest.raises(NetworkUnavailable) as caught:
            await http.request("POST", server.url, body=SECRET.encode())

    assert SECRET not in str(caught.value)


async def test_an_endless_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_ANSWER_BYTES", 1000)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000
    async with serving(answer) as server:
        with pytest.raises(NetworkUnavailable, match="more than 1000 bytes"):
            await http.request("GET", server.url)


async def test_the_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:{SECRET}@127.0.0.1:{proxy.port}")
        got = await http.request("GET", "http://service.example/x")

    assert got.body == b"ok"
    assert proxy.received.startswith(b"GET http://service.example/x HTTP/1.1\r\n")
    assert b"proxy-authorization: basic" in proxy.received.lower()


async def test_this_machine_is_reached_without_the_environments_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as server:
        assert (await http.request("GET", server.url)).body == b"ok"


async def test_a_proxy_that_refuses_is_unavailable_and_its_password_not_shown() -> None:
    async with serving(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n") as proxy:
        with pytest.raises(NetworkUnavailable) as caught:
            await http.request(
                "GET",
                "https://service.example/x",
                proxy=f"http://me:{SECRET}@127.0.0.1:{proxy.port}",
            )

    assert SECRET not in str(caught.value)
