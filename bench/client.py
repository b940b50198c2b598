"""A firekeep client on a scripted peer, and the clock that stops at its sentinel."""

import json
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

import anyio

import firekeep


class Control:
    """The benchmark's side of the peer's control port."""

    def __init__(self, port: int) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.lines = self.connection.makefile("rw")

    def __call__(self, do: str, **arguments: object) -> dict[str, int]:
        """Give an order and return the answer to it."""
        self.lines.write(json.dumps({"do": do, **arguments}) + "\n")
        self.lines.flush()
        answer: dict[str, int] = json.loads(self.lines.readline())
        return answer

    def close(self) -> None:
        """End the peer."""
        self.lines.close()
        self.connection.close()


class Bench:
    """A live database, the peer's control, and the sentinel."""

    def __init__(self, db: firekeep.Database, control: Control) -> None:
        self.db = db
        self.control = control
        self.arrived = anyio.Event()

    def on_sentinel(self, _: object) -> None:
        """Note that everything sent before has been delivered."""
        self.arrived.set()

    async def push_trace(self, path: str, updates: Iterable[tuple[str, object]]) -> None:
        """Have a trace encoded by the peer."""
        await anyio.to_thread.run_sync(
            lambda: self.control("trace", path=path, updates=list(updates))
        )

    async def played(self) -> None:
        """Have the trace sent and wait for the sentinel behind it."""
        self.arrived = anyio.Event()
        await anyio.to_thread.run_sync(self.control, "push")
        await self.arrived.wait()


@asynccontextmanager
async def connected() -> AsyncGenerator[Bench]:
    """Start a peer, connect, and wait for the first sentinel."""
    peer = subprocess.Popen(
        [sys.executable, "-m", "bench.scripted_peer"], stdout=subprocess.PIPE, text=True
    )
    assert peer.stdout is not None
    port, control_port = (int(word) for word in peer.stdout.readline().split())
    control = Control(control_port)
    try:
        async with firekeep.open(f"http://127.0.0.1:{port}?ns=bench") as db:
            bench = Bench(db, control)
            with db.reference("sentinel").on_value(bench.on_sentinel):
                await bench.arrived.wait()
                yield bench
    finally:
        control.close()
        peer.wait(10)
