"""A driver whose clock, network and server are in the test's hand."""

import json
import random
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
from tests.api.engine.dialogue import DEFAULT, HOST, Message, answer, push

from firekeep.auth.source import CredentialSource
from firekeep.config import Config
from firekeep.driver import Driver
from firekeep.engine.effects import Connect
from firekeep.net.memory import MemoryTransport, memory_pair
from firekeep.net.transport import Transport
from firekeep.types import TokenProvider
from firekeep.url import parse_url
from firekeep.write import Write
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_python
from firekeep_core.sync.event import KINDS, Event
from firekeep_core.wire.chunk import Joiner, split

START_MS = 1_700_000_000_000


async def settle() -> None:
    """Let every other task go as far as it can: none of them waits for anything real."""
    # wait_all_tasks_blocked of anyio takes a tenth of a second on asyncio.
    for _ in range(30):
        await anyio.lowlevel.checkpoint()


class FrozenClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self._sleepers: list[tuple[float, anyio.Event]] = []

    def monotonic_s(self) -> float:
        return self.now_s

    def wall_ms(self) -> int:
        return START_MS + round((self.now_s - 100.0) * 1000)

    async def sleep_until(self, at_s: float) -> None:
        await anyio.lowlevel.checkpoint()
        while self.now_s < at_s:
            event = anyio.Event()
            self._sleepers.append((at_s, event))
            await event.wait()

    async def advance(self, seconds: float) -> None:
        """Move on, let everybody who is due wake up, and let things settle."""
        self.now_s += seconds
        for at_s, event in self._sleepers:
            if at_s <= self.now_s:
                event.set()
        self._sleepers = [sleeper for sleeper in self._sleepers if sleeper[0] > self.now_s]
        await settle()


class Server:
    """The server's end of one connection."""

    def __init__(self, transport: MemoryTransport, connect: Connect) -> None:
        self.transport = transport
        self.connect = connect
        self._joiner = Joiner()
        self._arrived: list[Any] = []

    async def send(self, *messages: Message | str) -> None:
        """Send messages and let the client act on them."""
        texts = [m if isinstance(m, str) else json.dumps(m) for m in messages]
        await self.transport.send([segment for text in texts for segment in split(text)])
        await settle()

    async def greet(self, host: str = HOST) -> None:
        """Send the first message."""
        data = {"ts": START_MS + 5000, "v": "5", "h": host, "s": "s1"}
        await self.send({"t": "c", "d": {"t": "h", "d": data}})

    async def request(self, action: str) -> Message:
        """Return the next request of a kind; others before it are dropped."""
        while True:
            message = await self.next()
            if message != 0 and message["d"].get("a") == action:
                request: Message = message["d"]
                return request

    async def next(self) -> Any:
        """Return the next message of the client."""
        while not self._arrived:
            received = await self.transport.receive()
            # A keep-alive is no message to a joiner.
            self._arrived += [0 for raw in received if raw == b"0"]
            self._arrived += [json.loads(raw) for raw in self._joiner.join(received)]
        return self._arrived.pop(0)

    async def drop(self) -> None:
        """Break the connection and let the client notice."""
        self.transport.drop()
        await settle()

    async def serve(self, path: str, data: object) -> None:
        """Answer the next listen with data."""
        request = await self.request("q")
        assert request["b"]["p"] == path
        await self.send(push(path, data), answer(request, data={}))


class Net:
    """Gives the driver connections, and the test their other ends."""

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.refusal: Exception | None = None

    async def __call__(self, connect: Connect) -> Transport:
        await anyio.lowlevel.checkpoint()
        if self.refusal is not None:
            raise self.refusal
        client, server = memory_pair()
        self.servers.append(Server(server, connect))
        return client

    async def accept(self, number: int = 0) -> Server:
        """Return the server's end of a connection."""
        await settle()
        return self.servers[number]


class World:
    """One driver and everything around it."""

    def __init__(
        self,
        *,
        config: Config | None = None,
        auth: str | TokenProvider | CredentialSource | None = None,
        app_check: str | TokenProvider | None = None,
    ) -> None:
        self.clock = FrozenClock()
        self.net = Net()
        self.driver = Driver(
            parse_url(f"https://{HOST}?ns=test"),
            Config() if config is None else config,
            auth=auth,
            app_check=app_check,
            connector=self.net,
            clock=self.clock,
            chance=random.Random(1),
        )

    async def connect(self) -> Server:
        """Greet the client on its latest connection."""
        await settle()
        server = self.net.servers[-1]
        await server.greet()
        return server


class Recorder:
    """A registration that remembers its events and may do something at each."""

    def __init__(
        self, act: Callable[[Event], object] = lambda event: None, log: list[Any] | None = None
    ) -> None:
        self.act = act
        self.events: list[Event] = []
        self.log = [] if log is None else log

    def deliver(self, event: Event) -> None:
        self.events.append(event)
        self.log.append((self, event))
        self.act(event)

    @property
    def values(self) -> list[Any]:
        """What its value events showed."""
        return [export(event.node) for event in self.events if event.kind == "value"]


def at(text: str) -> Path:
    """Make a path."""
    return Path.from_wire(text)


def put(driver: Driver, path: str, value: object) -> Write:
    """Write a value."""
    return driver.set(at(path), from_python(value))


def listen(
    driver: Driver,
    path: str,
    recorder: Recorder | None = None,
    kinds: int = KINDS["value"],
    params: QueryParams = DEFAULT,
) -> Recorder:
    """Register for values."""
    recorder = recorder or Recorder()
    driver.add_listener(at(path), params, recorder, kinds)
    return recorder
