"""One client's connection: what waits to be sent, and what a test may do to it."""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

import anyio

from firekeep.emulator.byte_limit import LimitedStream
from firekeep.exceptions import Disconnected
from firekeep.net.websocket import WebSocket
from firekeep_core.wire.chunk import split
from firekeep_core.wire.frame import encode_text

__all__ = ["WRITES", "Connection"]

WRITES = frozenset({"p", "m", "o", "om", "oc"})
"""The actions of requests that write, now or on disconnect."""

BACKLOG_BYTES = 4 * 1024 * 1024
"""With more than this waiting to be sent, no further request of the client is read."""

_logger = logging.getLogger("firekeep.emulator")


class Connection:
    """What goes to one client, in order; in a test also later, in pieces, or never.

    `session_id`, `headers` (names in lower case) and `credential` are what the handshake and the
    last login said. Nothing is sent before what it tells of is `kept`.
    """

    def __init__(
        self,
        stream: LimitedStream,
        websocket: WebSocket,
        *,
        name: str,
        session_id: str,
        headers: Mapping[str, str],
        max_buffer_bytes: int,
        kept: Callable[[], Awaitable[None]],
    ) -> None:
        self.session_id = session_id
        self.headers = headers
        self.credential: str | None = None
        self.is_open = True
        self._stream = stream
        self._websocket = websocket
        self.name = name
        self._max_buffer_bytes = max_buffer_bytes
        self._kept = kept
        self._waiting: deque[tuple[float, str | bytes]] = deque()
        self._waiting_bytes = 0
        self._leaving_bytes = 0
        self._delay_s = 0.0
        self._held: list[str] | None = None
        self._held_actions: Collection[str] = ()
        self._held_answers: list[str] = []
        self._changed = anyio.Event()
        self._end: Callable[[], None] | None = None

    # What the server does.

    def push(self, text: str) -> None:
        """Send a message that answers no request."""
        if self._held is None:
            self._enqueue(text)
        elif self.is_open:
            self._held.append(text)

    def answer(self, action: str, text: str) -> None:
        """Send the answer to a request of that action."""
        if action in self._held_actions:
            self._held_answers.append(text)
        else:
            self.push(text)

    def run(self, end: Callable[[], None]) -> None:
        """Begin; `end` is called to end everything that goes on over this connection."""
        self._end = end

    async def send_all(self) -> None:
        """Send what is there to be sent, until the connection ends."""
        try:
            while True:
                if self._waiting:
                    await self._send_due()
                else:
                    await self._changed.wait()
        except Disconnected as error:
            _logger.debug("%s: %s", self.name, error)
            self.drop()

    async def wait_for_reader(self) -> None:
        """Return once the client has taken most of what was sent; at once while it is held."""
        backlog_bytes = min(BACKLOG_BYTES, self._max_buffer_bytes // 2)
        while self._waiting_bytes + self._leaving_bytes > backlog_bytes and self.is_open:
            await self._changed.wait()

    # What a test does.

    def drop(self) -> None:
        """End the connection without a goodbye."""
        self.is_open = False
        self._wake()
        if self._end is not None:
            self._end()

    def hold(self) -> None:
        """Keep everything that is to be sent from now on."""
        if self._held is None:
            self._held = []

    def release(self, count: int | None = None) -> None:
        """Send the first `count` held messages; None sends all and holds no more."""
        held = self._held or []
        if count is None:
            self._held = None
            count = len(held)
        else:
            self._held = held[count:]
        self._enqueue_all(held[:count])

    @property
    def held(self) -> tuple[str, ...]:
        """The messages that are held."""
        return tuple(self._held or ())

    def hold_answers(self, actions: Iterable[str] = WRITES) -> None:
        """Keep the answers to requests of these actions, which others then overtake."""
        self._held_actions = frozenset(actions)

    def release_answers(self, count: int | None = None) -> None:
        """Send the first `count` held answers; None sends all and holds no more."""
        held = self._held_answers
        if count is None:
            self._held_actions = ()
            count = len(held)
        self._held_answers = held[count:]
        for text in held[:count]:
            self.push(text)

    @property
    def held_answers(self) -> tuple[str, ...]:
        """The answers that are held."""
        return tuple(self._held_answers)

    def delay(self, seconds: float) -> None:
        """Send everything that much later from now on."""
        self._delay_s = seconds

    def cut_after(self, count: int, *, incoming: bool = False) -> None:
        """End the connection after `count` more bytes to the client, or from it."""
        self._stream.limit(count, incoming=incoming)

    def send_raw(self, message: str | bytes) -> None:
        """Send one WebSocket message as it is, valid or not; bytes need not be UTF-8."""
        payload = message.encode() if isinstance(message, str) else message
        self._enqueue(encode_text(payload))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that are no frame of ours."""
        self._enqueue(data)

    # Inside.

    def _enqueue_all(self, messages: Sequence[str]) -> None:
        for text in messages:
            self._enqueue(text)

    def _enqueue(self, message: str | bytes) -> None:
        if not self.is_open:
            return
        # What is on its way does not count: one large value alone is no sign of a slow reader.
        if self._waiting_bytes > self._max_buffer_bytes:
            _logger.warning(
                "%s: closed, %d bytes wait for a client that does not read them",
                self.name,
                self._waiting_bytes,
            )
            self.drop()
            return
        due_s = anyio.current_time() + self._delay_s if self._delay_s else 0.0
        self._waiting.append((due_s, message))
        self._waiting_bytes += len(message)
        self._wake()

    async def _send_due(self) -> None:
        await anyio.sleep_until(self._waiting[0][0])
        now_s = anyio.current_time()
        due: list[str | bytes] = []
        while self._waiting and self._waiting[0][0] <= now_s:
            message = self._waiting.popleft()[1]
            self._waiting_bytes -= len(message)
            self._leaving_bytes += len(message)
            due.append(message)
        await self._kept()
        texts: list[str] = []
        for message in due:
            if isinstance(message, str):
                texts += split(message)
            else:
                await self._websocket.send(texts)
                texts = []
                await self._send_bytes(message)
        await self._websocket.send(texts)
        self._leaving_bytes = 0
        self._wake()

    async def _send_bytes(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            raise Disconnected(f"the connection broke: {error}") from error

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
