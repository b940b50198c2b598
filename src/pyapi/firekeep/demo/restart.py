"""The part of the demo in which a program dies, and the next one goes on where it was."""

import subprocess
import sys
from functools import partial

import anyio
import anyio.to_thread

from firekeep.database import Database
from firekeep.demo.checks import Checks
from firekeep.demo.waiting import until
from firekeep.emulator import Emulator
from firekeep.snapshot import Snapshot

__all__ = ["Restart"]


class Restart:
    """Carl has a disk, and no luck."""

    def __init__(self, checks: Checks, server: Emulator, other: Database, directory: str) -> None:
        self._checks = checks
        self._server = server
        self._other = other
        self._directory = directory

    async def tell(self, place: str) -> None:
        """Go through it, with the story at `place`."""
        score = self._server.value(f"/{place}/score")
        assert isinstance(score, int)
        await self._sync(place, score)
        await self._die(place, score)
        await self._go_on(place, score + 1)

    async def _sync(self, place: str, score: int) -> None:
        with self._checks.step("Carl keeps his copy on disk"):
            async with Database(self._server.url, persistence=self._directory) as carl:
                await until(carl.reference(place), partial(_has_score, score))
            self._checks.check(f"he has synced a story with {score} points, and left", True)

    async def _die(self, place: str, score: int) -> None:
        with self._checks.step("Without a network he writes, and his program is killed"):
            self._server.refuse_connections()
            command = [sys.executable, "-m", "firekeep.demo.departing"]
            ended = await anyio.to_thread.run_sync(
                partial(
                    subprocess.run,
                    [*command, self._server.url, self._directory, place],
                    capture_output=True,
                    text=True,
                    check=False,
                )
            )
            printed: list[str] = ended.stdout.split()
            check = self._checks.check
            check("the disk told him the score", printed[:1] == [str(score)])
            check("his listener heard of his own point at once", printed[1:] == [str(score + 1)])
            check("the program was killed in the middle of it", ended.returncode != 0)
            check("the server knows nothing of it", self._server.value(f"/{place}/score") == score)

    async def _go_on(self, place: str, score: int) -> None:
        check = self._checks.check
        with self._checks.step("His program starts again, still without a network"):
            async with Database(self._server.url, persistence=self._directory) as carl:
                snapshot = await until(carl.reference(place), partial(_has_score, score))
                check(
                    "his listener hears of the cached story with his own writes in it",
                    snapshot["seen_by"].value == "carl" and snapshot.metadata.from_cache,
                )
                paths = [str(write.path).rpartition("/")[2] for write in carl.pending_writes()]
                check("both writes wait, in their order", paths == ["score", "seen_by"])
                self._server.refuse_connections(False)
                carl.go_online()
                await carl.wait_for_pending_writes()
                check("with the network back they are delivered", not carl.pending_writes())
            snapshot = await until(self._other.reference(place), partial(_has_score, score))
            check("Ada sees his point, counted once", True)


def _has_score(score: int, snapshot: Snapshot) -> bool:
    return bool(snapshot["score"].value == score)
