"""A firekeep client on a scripted peer, and the clock that stops at its sentinel."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager

import anyio

import firekeep
from bench.workloads import Push, compact


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

    def provide(self, path: str, make: Callable[[], object]) -> None:
        """Give the peer the data of a path from another process; this one never holds them."""
        child = os.fork()
        if child == 0:
            self("data", path=path, json=compact(make()))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0

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

    async def prepare(self, pushes: Iterable[Push]) -> None:
        """Have messages encoded by the peer."""
        await anyio.to_thread.run_sync(lambda: self.control("prepare", pushes=list(pushes)))

    async def played(self) -> None:
        """Have the messages sent and wait for the sentinel behind it."""
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
