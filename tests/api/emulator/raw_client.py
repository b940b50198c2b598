"""A client that says exactly what a test tells it to, on the sans-I/O core of `websockets`."""

import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import SocketStream
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from firekeep.emulator import Emulator

Message = dict[str, Any]
SEGMENT = 16384


class Closed(Exception):
    """The server has ended the connection."""


class RawClient:
    """Sends and receives messages of the protocol, long ones in segments."""

    def __init__(self, stream: SocketStream, protocol: ClientProtocol) -> None:
        self.stream = stream
        self.protocol = protocol
        self.frames: deque[str] = deque()
        self.session_id = ""
        self._number = 0

    async def send_text(self, text: str) -> None:
        """Send one WebSocket message."""
        self.protocol.send_text(text.encode())
        await self.flush()

    async def send(self, message: Message) -> None:
        """Send one message, split as the protocol wants it."""
        text = json.dumps(message)
        if len(text) > SEGMENT:
            segments = [text[i : i + SEGMENT] for i in range(0, len(text), SEGMENT)]
            await self.send_text(str(len(segments)))
            for segment in segments:
                await self.send_text(segment)
        else:
            await self.send_text(text)

    async def receive_text(self) -> str:
        """Return the next WebSocket message."""
        while not self.frames:
            await self._read()
        return self.frames.popleft()

    async def receive(self) -> Message:
        """Return the next message, put together."""
        text = await self.receive_text()
        if text.isdigit():
            text = "".join([await self.receive_text() for _ in range(int(text))])
        message: Message = json.loads(text)
        return message

    async def ask(self, action: str, number: int | None = None, /, **body: object) -> int:
        """Send a request without waiting for the answer; return its number."""
        if number is None:
            self._number += 1
            number = self._number
        await self.send({"t": "d", "d": {"r": number, "a": action, "b": body}})
        return number

    async def answer(self, number: int) -> tuple[Message, list[Message]]:
        """Return the answer to a request, and the pushes that came before it."""
        pushes: list[Message] = []
        while True:
            message = await self.receive()
            assert message["t"] == "d"
            if "r" in message["d"]:
                assert message["d"]["r"] == number
                return message["d"]["b"], pushes
            pushes.append(message["d"])

    async def request(self, action: str, /, **body: object) -> tuple[Message, list[Message]]:
        """Send a request; return the answer and the pushes that came before it."""
        return await self.answer(await self.ask(action, **body))

    async def pushes(self) -> list[Message]:
        """Return the pushes that the server has sent up to now."""
        return (await self.request("s", c={}))[1]

    async def flush(self) -> None:
        """Send what the protocol has to say."""
        for data in self.protocol.data_to_send():
            if data:
                await self.stream.send(data)

    async def _read(self) -> None:
        try:
            data = await self.stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
            raise Closed from error
        self.protocol.receive_data(data)
        await self.flush()
        for event in self.protocol.events_received():
            if isinstance(event, Frame):
                if event.opcode is Opcode.CLOSE:
                    raise Closed
                assert event.opcode is Opcode.TEXT
                assert event.fin
                self.frames.append(bytes(event.data).decode())


@asynccontextmanager
async def connect(
    server: Emulator,
    *,
    headers: Mapping[str, str] | None = None,
    handshake: bool = True,
    parameters: Mapping[str, str] | None = None,
) -> AsyncGenerator[RawClient]:
    """Connect; with `handshake`, take the first message and note the session's id."""
    query = "&".join(f"{name}={value}" for name, value in {"v": "5", **(parameters or {})}.items())
    protocol = ClientProtocol(parse_uri(f"ws://{server.address}/.ws?{query}"), max_size=None)
    request = protocol.connect()
    for name, value in (headers or {}).items():
        del request.headers[name]
        request.headers[name] = value
    protocol.send_request(request)
    with anyio.fail_after(30):
        async with await anyio.connect_tcp(server.host, server.port) as stream:
            client = RawClient(stream, protocol)
            await client.flush()
            if handshake:
                client.session_id = (await client.receive())["d"]["d"]["s"]
            yield client
