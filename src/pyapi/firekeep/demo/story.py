"""What happens in the demo."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from importlib.resources import files
from json import loads
from pathlib import Path as FilePath
from tempfile import TemporaryDirectory

import firekeep
from firekeep.config import Config
from firekeep.database import Database
from firekeep.demo.checks import Checks, Paint
from firekeep.demo.restart import Restart
from firekeep.demo.waiting import until
from firekeep.emulator import Emulator
from firekeep.snapshot import Snapshot
from firekeep_core.snap.value import export

__all__ = ["run"]

STORY = "v0/item/8863"
ARTICLE_BYTES = 150_000
CUT_AFTER_BYTES = 60_000

# Impatient clients, or most of the demo would be waiting for the next attempt to connect.
CONFIG = Config(backoff_min_s=0.1, backoff_max_s=0.5)


async def run(line: Callable[[str], None], paint: Paint) -> int:
    """Tell the story, print it with `line`, and return 0 if every check held, else 1."""
    checks = Checks(line, paint)
    checks.title("firekeep demo: two clients of one Realtime Database")
    async with AsyncExitStack() as stack:
        data = loads(files("firekeep.demo").joinpath("hacker-news.json").read_bytes())
        server = await stack.enter_async_context(Emulator(data=data))
        ada = await stack.enter_async_context(Database(server.url, config=CONFIG))
        bob = await stack.enter_async_context(Database(server.url, config=CONFIG))
        await Story(checks, server, ada, bob).tell()
        directory = stack.enter_context(TemporaryDirectory())
        await Restart(checks, server, ada, str(FilePath(directory, "carl"))).tell(STORY)
    return 0 if checks.end() else 1


class Story:
    """The server, its two clients, and what they go through."""

    def __init__(self, checks: Checks, server: Emulator, ada: Database, bob: Database) -> None:
        self._checks = checks
        self._server = server
        self._ada = ada
        self._bob = bob
        self._article = "The quick brown fox jumps over the lazy dog. " * (ARTICLE_BYTES // 45)

    async def tell(self) -> None:
        """Go through it all."""
        ada, bob = self._ada.reference(), self._bob.reference()
        with ada.on_value(_ignore), bob.on_value(_ignore):
            await self._meet()
            await self._write_live()
            await self._write_offline()
            await self._be_cut_off()
            await self._come_back()

    async def _meet(self) -> None:
        check, server = self._checks.check, self._server
        with self._checks.step("Two clients listen to a server with data of Hacker News"):
            self._checks.say(f"the server is {server.url}")
            for name, database in (("Ada", self._ada), ("Bob", self._bob)):
                snapshot = await until(database.reference(), Snapshot.exists)
                size = f"{snapshot.size_bytes} bytes"
                check(f"{name} has all of it, {size}", self._is_equal(snapshot))

        with self._checks.step("Live: the server's data change"):
            self._checks.say("somebody changes the score of a story to 111 + 1")
            server.set(f"{STORY}/score", 112)
            for name, database in (("Ada", self._ada), ("Bob", self._bob)):
                await until(database.reference(f"{STORY}/score"), _has(112))
                check(f"{name} hears of it", True)

    async def _write_live(self) -> None:
        check = self._checks.check
        heard: list[object] = []
        title = "Dropbox: throw away your USB drive"
        with self._checks.step("A write is shown at once, then sent"):
            place = self._ada.reference(f"{STORY}/title")
            with place.on_value(lambda snapshot: heard.append(snapshot.value)):
                await until(place, Snapshot.exists)
                write = place.set(title)
                check(
                    "Ada's own listener was told before the call returned",
                    heard[-1] == title and write.state != "confirmed",
                )
                await write
                check("the server has confirmed it", self._server.value(f"/{STORY}/title") == title)
                check("Ada's listener was not told twice", heard.count(title) == 1)
            await until(self._bob.reference(f"{STORY}/title"), _has(title))
            check("Bob has received it", True)

    async def _write_offline(self) -> None:
        check, server = self._checks.check, self._server
        with self._checks.step("Both go offline and go on writing"):
            self._ada.go_offline()
            self._bob.go_offline()
            await server.until(lambda: server.connections == 0)
            check("nobody is connected to the server", server.connections == 0)
            before = server.node("/")

            self._checks.say(f"Ada publishes an article of {len(self._article) // 1000} kB")
            self._ada.reference("v0/article").set({"by": "ada", "text": self._article})
            comments = self._ada.reference("v0/comments")
            keys = [str(comments.push({"by": "ada", "text": text}).key) for text in ("1st", "2nd")]
            self._ada.reference(f"{STORY}/score").set(firekeep.increment(10))

            self._checks.say("Bob counts votes, edits and deletes in one step")
            self._bob.reference().update(
                {
                    f"{STORY}/score": firekeep.increment(5),
                    f"{STORY}/edited": firekeep.TIMESTAMP,
                    "v0/item/121003": None,
                }
            )
            ada = await self._ada.reference("v0").get("cache")
            bob = await self._bob.reference("v0").get("cache")
            check(
                "Ada sees her article, her comments in order, and 122 points",
                ada["article/text"].value == self._article
                and ada["comments"].keys() == sorted(keys)
                and ada["item/8863/score"].value == 122,
            )
            check(
                "Bob sees 117 points, and one item less",
                bob["item/8863/score"].value == 117 and not bob.has_child("item/121003"),
            )
            check("the server knows nothing of all that", server.node("/") == before)
            waiting = len(self._ada.pending_writes()), len(self._bob.pending_writes())
            check("4 writes of Ada's wait, and 1 of Bob's", waiting == (4, 1))

    async def _be_cut_off(self) -> None:
        check, server = self._checks.check, self._server
        with self._checks.step("Ada comes back and is cut off in the middle of her article"):
            server.hold()
            self._ada.go_online()
            await server.until(lambda: server.connections == 1)
            client = server.clients[0]
            client.cut_after(CUT_AFTER_BYTES, incoming=True)
            self._checks.say(f"the line will break after {CUT_AFTER_BYTES // 1000} kB")
            server.refuse_connections()
            server.release()
            await server.until(lambda: server.connections == 0)
            check("the connection broke", not client.is_open)
            check("nothing of the article is on the server", server.value("/v0/article") is None)
            check("all 4 writes still wait", len(self._ada.pending_writes()) == 4)
            shown = await self._ada.reference("v0/article/text").get("cache")
            check("Ada still sees her article", shown.value == self._article)

    async def _come_back(self) -> None:
        check, server = self._checks.check, self._server
        with self._checks.step("The network is back"):
            self._checks.say("Ada's client has been trying by itself; Bob goes online")
            server.refuse_connections(False)
            self._bob.go_online()
            await self._ada.wait_for_pending_writes()
            await self._bob.wait_for_pending_writes()
            check("every write has been confirmed", True)
            check("the article is there", server.value("/v0/article/text") == self._article)
            score = server.value(f"/{STORY}/score")
            check("all votes count: 112 + 10 + 5 = 127", score == 127)
            for name, database in (("Ada", self._ada), ("Bob", self._bob)):
                snapshot = await until(database.reference(), self._is_equal)
                check(
                    f"{name} ends equal to the server, {snapshot.size_bytes} bytes",
                    self._is_equal(snapshot) and not snapshot.metadata.has_pending_writes,
                )

    def _is_equal(self, snapshot: Snapshot) -> bool:
        return bool(snapshot.export() == export(self._server.node(str(snapshot.path))))


def _has(value: object) -> Callable[[Snapshot], bool]:
    return partial(_is, value)


def _is(value: object, snapshot: Snapshot) -> bool:
    return bool(snapshot.value == value)


def _ignore(_snapshot: Snapshot) -> None:
    """Only keep the data there."""
