"""Programs that run on Node.js, with the packages they need, driven line by line."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "firekeep-interop"
NPM_INSTALL = [
    "npm",
    "install",
    "--no-audit",
    "--no-fund",
    "--no-package-lock",
    "--ignore-scripts",
    "--fetch-retries=1",
]
INSTALL_TIMEOUT_S = 300
MAX_LINE_BYTES = 64 * 1024 * 1024


def install(name: str) -> Path:
    """Return a directory outside the project with a program of ours and its packages.

    Skips the test if there is no Node.js, or the packages cannot be had.
    """
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}, which is not installed")
    source = HERE / name
    wanted = (source / "package.json").read_bytes()
    target = CACHE / f"{name}-{hashlib.sha256(wanted).hexdigest()[:12]}"
    installed = target / "installed"
    if not installed.exists():
        target.mkdir(parents=True, exist_ok=True)
        (target / "package.json").write_bytes(wanted)
        try:
            subprocess.run(
                NPM_INSTALL,
                cwd=target,
                check=True,
                capture_output=True,
                text=True,
                timeout=INSTALL_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm has not installed what is needed within {INSTALL_TIMEOUT_S} s")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"npm cannot install what is needed: {error.stderr[-500:]}")
        installed.touch()
    for program in source.glob("*.*js"):
        shutil.copy(program, target)
    return target


class NodePeer:
    """A running program: requests and their answers, and what it says of its own accord."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self._process = process
        self._output = BufferedByteReceiveStream(process.stdout)
        self._next_id = 1
        self._answers: dict[int, dict[str, Any]] = {}
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._changed = anyio.Event()

    async def read(self) -> None:
        """Take in what the program says, to its end."""
        while True:
            try:
                line = await self._output.receive_until(b"\n", MAX_LINE_BYTES)
            except (anyio.IncompleteRead, anyio.EndOfStream):
                return
            message = json.loads(line)
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._events.setdefault(message["listener"], []).append(message)
            self._changed.set()
            self._changed = anyio.Event()

    async def ask(self, action: str, **request: object) -> int:
        """Ask for something without waiting for the answer; return what it will be known by."""
        assert self._process.stdin is not None
        number, self._next_id = self._next_id, self._next_id + 1
        line = json.dumps({"id": number, "action": action, **request})
        await self._process.stdin.send(line.encode() + b"\n")
        return number

    async def answer(self, number: int) -> Any:
        """Return the answer; raises `PeerError` if it is an error."""
        await self.until(lambda: number in self._answers)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer["value"]

    async def call(self, action: str, **request: object) -> Any:
        """Ask for something and return the answer."""
        return await self.answer(await self.ask(action, **request))

    async def listen(self, listener: str, path: str, query: Any = (), event: str = "value") -> None:
        """Let a listener of that name hear an event of the location or query."""
        self._events.setdefault(listener, [])
        await self.call("listen", listener=listener, path=path, query=query, event=event)

    def events(self, listener: str) -> list[dict[str, Any]]:
        """Return what a listener has heard so far."""
        return self._events.get(listener, [])

    def last(self, listener: str) -> dict[str, Any] | None:
        """Return what a listener has heard last."""
        events = self.events(listener)
        return events[-1] if events else None

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until something is so, looking again at each thing the program says."""
        while not predicate():
            await self._changed.wait()

    async def until_value(self, listener: str, value: object) -> None:
        """Wait until the last value that a listener has heard is this."""
        await self.until(lambda: (self.last(listener) or {"value": self})["value"] == value)


class PeerError(Exception):
    """The program answered with an error."""


@asynccontextmanager
async def run(directory: Path, program: str, *arguments: str) -> AsyncGenerator[NodePeer]:
    """Run a program in its directory while the block lasts, a minute at most."""
    command = ["node", program, *arguments]
    with anyio.fail_after(60):
        async with await anyio.open_process(command, cwd=directory, stderr=None) as process:
            peer = NodePeer(process)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(peer.read)
                yield peer
                process.kill()
                tasks.cancel_scope.cancel()
