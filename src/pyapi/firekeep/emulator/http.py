"""HTTP/1.1 on a stream of bytes: requests in, responses out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import anyio
import h11
from websockets.datastructures import Headers
from websockets.http11 import Request as WebSocketRequest
from websockets.server import ServerProtocol

from firekeep.exceptions import ProtocolError
from firekeep.net.byte_stream import ByteStream

__all__ = ["HttpConnection", "HttpRequest", "HttpResponse"]

MAX_BODY_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request; names of headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target up to the query, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def parameters(self) -> dict[str, str]:
        """The query; of equal names the last counts."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def is_upgrade(self) -> bool:
        """Whether the client wants to go on with WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One response; its length is added when it is sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class HttpConnection:
    """The server's side of one connection, one request after the other."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.SERVER)
        self._method = ""

    async def receive(self) -> HttpRequest | None:
        """Return the next request with all of its body; None after the last.

        Raises:
            ProtocolError: something else than HTTP/1, or too large a body.
        """
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        try:
            head = await self._next_event()
            if not isinstance(head, h11.Request):
                return None
            self._method = head.method.decode()
            headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            body = await self._body()
        except h11.RemoteProtocolError as error:
            raise ProtocolError(f"broken HTTP request: {error}") from error
        return HttpRequest(self._method, head.target.decode("latin-1"), headers, body)

    async def send(self, response: HttpResponse) -> bool:
        """Send the response; return whether another request may follow."""
        headers = [(name, value) for name, value in response.headers.items()]
        if response.status not in (204, 304):
            headers.append(("Content-Length", str(len(response.body))))
        data = self._http.send(h11.Response(status_code=response.status, headers=headers)) or b""
        if self._method != "HEAD":
            data += self._http.send(h11.Data(data=response.body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        await self._stream.send(data)
        return self._http.our_state is h11.DONE

    async def upgrade(self, request: HttpRequest) -> bytes | None:
        """Answer a WebSocket handshake; return what came after it, None if it was refused.

        No extension and no subprotocol is agreed on (wire §2.1).
        """
        headers = Headers(list(request.headers.items()))
        response = ServerProtocol().accept(WebSocketRequest(request.target, headers))
        await self._stream.send(response.serialize())
        return self._http.trailing_data[0] if response.status_code == 101 else None

    async def _body(self) -> bytes:
        body = bytearray()
        if self._http.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            await self._stream.send(self._http.send(go_on) or b"")
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > MAX_BODY_BYTES:
                    raise ProtocolError(f"a request body of more than {MAX_BODY_BYTES} bytes")
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)

    async def _next_event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            try:
                self._http.receive_data(await self._stream.receive())
            except anyio.EndOfStream:
                self._http.receive_data(b"")
