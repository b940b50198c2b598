"""One attempt to talk to the server: open a transport, then carry messages both ways."""

import os
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TypeAlias
from urllib.parse import urlsplit

import anyio

from firekeep.config import Config
from firekeep.engine.effects import Connect
from firekeep.exceptions import Disconnected
from firekeep.net.proxy import ProxyAddress, choose_proxy, parse_proxy
from firekeep.net.transport import Transport
from firekeep.net.websocket import connect, user_agent
from firekeep.url import DatabaseUrl, socket_url
from firekeep_core.snap.word import trim
from firekeep_core.wire.chunk import SEGMENT_UNITS, Joiner, split

__all__ = ["Connection", "Connector", "WebSocketConnector"]

Connector: TypeAlias = Callable[[Connect], Awaitable[Transport]]


class WebSocketConnector:
    """Opens the WebSocket of the service, through a proxy where there is one.

    Raises:
        InvalidUrl: the proxy of the configuration cannot be one, at once.
    """

    def __init__(self, url: DatabaseUrl, config: Config) -> None:
        if config.proxy is not None and config.proxy != "environment":
            parse_proxy(config.proxy)
        self._url = url
        self._config = config
        self._headers = {"User-Agent": user_agent(_version())}

    async def __call__(self, effect: Connect) -> Transport:
        """Open one.

        Raises:
            FirekeepError: as `connect` of `firekeep.net.websocket`.
        """
        address = socket_url(
            effect.host,
            self._url.namespace,
            secure=self._url.secure,
            last_session=effect.last_session,
        )
        return await connect(
            address,
            ssl_context=self._config.ssl_context,
            proxy=self._proxy(address),
            headers=self._headers,
            timeout_s=self._config.connect_timeout_s,
            max_message_bytes=self._config.max_message_bytes,
        )

    def _proxy(self, address: str) -> ProxyAddress | None:
        parts = urlsplit(address)
        return choose_proxy(
            self._config.proxy,
            host=parts.hostname or "",
            port=parts.port or (443 if self._url.secure else 80),
            secure=self._url.secure,
            environ=os.environ,
        )


#: Messages that arrive together are taken in turns of at most so many: each turn keeps every
#: value that its events show, and what is let go again soon is let go while it is in the cache.
TURN_MESSAGES = 64

#: After a turn of this many bytes, what they took is given back to the system.
TRIM_FROM_BYTES = 1 << 20


class Connection:
    """Lives as long as `run` does; `close` ends it at once and without a word."""

    def __init__(
        self,
        connect: Connect,
        connector: Connector,
        *,
        received: Callable[["Connection", Sequence[bytes | bytearray]], None],
        sent: Callable[[], None],
        wait_until_read: Callable[[], Awaitable[None]],
    ) -> None:
        self._connect = connect
        self._connector = connector
        self._received = received
        self._sent = sent
        self._wait_until_read = wait_until_read
        self._scope = anyio.CancelScope()
        self._outbox: list[str] = []
        self._idle: anyio.Event | None = None
        self._joiner = Joiner()
        self._error: Exception | None = None

    def send(self, text: str) -> None:
        """Queue one message; all that are queued go out together."""
        self._outbox.append(text)
        if self._idle is not None:
            self._idle.set()

    def close(self) -> None:
        """End it; nothing is received any more, and `run` returns."""
        self._scope.cancel()

    async def run(self) -> Exception | None:
        """Open the transport and use it; return why it ended, None after `close`."""
        with self._scope:
            try:
                transport = await self._connector(self._connect)
            except Exception as error:  # noqa: BLE001  the engine says what becomes of it
                return error
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._send_all, transport, group.cancel_scope)
                    await self._receive_all(transport, group.cancel_scope)
            finally:
                with anyio.CancelScope(shield=True):
                    await transport.aclose()
            return self._error or Disconnected("the connection has ended")
        return None

    async def _receive_all(self, transport: Transport, scope: anyio.CancelScope) -> None:
        try:
            while True:
                received = await transport.receive()
                await self._wait_until_read()
                messages = self._joiner.join(received)
                size_bytes = sum(map(len, messages))
                # Also without a complete one: parts of a long one show that the server is there.
                for at in range(0, len(messages) or 1, TURN_MESSAGES):
                    self._received(self, messages[at : at + TURN_MESSAGES])
                del received, messages  # they may be large, and the next may take long
                if size_bytes >= TRIM_FROM_BYTES:
                    trim()
        except Exception as error:  # noqa: BLE001  as above
            self._end(error, scope)

    async def _send_all(self, transport: Transport, scope: anyio.CancelScope) -> None:
        try:
            while True:
                if not self._outbox:
                    self._idle = anyio.Event()
                    await self._idle.wait()
                    self._idle = None
                messages, self._outbox = self._outbox, []
                await transport.send(_segments(messages))
                self._sent()
        except Exception as error:  # noqa: BLE001  as above
            self._end(error, scope)

    def _end(self, error: Exception, scope: anyio.CancelScope) -> None:
        if self._error is None:
            self._error = error
        scope.cancel()


def _segments(messages: list[str]) -> list[str]:
    """Return what goes into one WebSocket message each; long ones are cut (wire §2.2)."""
    # A character may count for two.
    if 2 * max(map(len, messages)) <= SEGMENT_UNITS:
        return messages
    return [segment for message in messages for segment in split(message)]


def _version() -> str:
    try:
        return version("firekeep")
    except PackageNotFoundError:
        # Run from its sources without having been installed.
        return "0"
