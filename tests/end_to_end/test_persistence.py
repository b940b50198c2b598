"""What is kept on disk, as a user sees it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from tests.end_to_end.served import EAGER, served, until_connection, until_value

import firekeep
from firekeep.emulator import Emulator
from firekeep.exceptions import DatabaseClosed, NotCached, PersistenceInUse

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


def client(server: Emulator, directory: Path, **options: Any) -> firekeep.Database:
    """Return a client with a disk that has not been entered."""
    persistence = firekeep.Persistence(directory, **options)
    return firekeep.open(server.url, persistence=persistence, config=EAGER)


def departed(server: Emulator, directory: Path) -> list[str]:
    """Run a program that dies in the middle of its work; return what it printed."""
    path = os.pathsep.join([str(ROOT), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.departed", server.url, str(directory)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        cwd=ROOT,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    return ended.stdout.splitlines()


async def test_the_story_that_the_documents_tell(tmp_path: Path) -> None:
    """Sync; lose the network; write; die; start without a network; have the network back."""
    data = {"lobby": {"topic": "welcome", "count": 1}}
    async with served({"rooms": data}) as server:
        async with client(server, tmp_path) as db:
            await until_value(db.reference("rooms"), data)

        printed = await anyio.to_thread.run_sync(departed, server, tmp_path)
        assert printed == ["first welcome", "heard written offline"]
        assert server.value("/rooms") == data

        db = client(server, tmp_path)
        db.go_offline()
        async with db, firekeep.open(server.url, config=EAGER) as other:
            heard: list[Any] = []
            db.reference("rooms").on_value(lambda snapshot: heard.append(snapshot.value))
            expected = {"lobby": {"topic": "written offline", "count": 3}}
            await until_value(db.reference("rooms"), expected)
            assert heard == [expected], "from the cache and the queue, in one"
            assert [str(write.path) for write in db.pending_writes()] == [
                "/rooms/lobby/topic",
                "/rooms/lobby/count",
            ]

            arrivals: list[Any] = []
            other.reference("rooms/lobby").on_child_changed(
                lambda snapshot, _previous: arrivals.append((snapshot.key, snapshot.value))
            )
            await until_value(other.reference("rooms"), data)
            db.go_online()
            await db.wait_for_pending_writes()

            await until_value(other.reference("rooms"), expected)
            assert arrivals == [("topic", "written offline"), ("count", 3)]
            assert server.value("/rooms") == expected
            assert heard == [expected], "the server confirmed what was shown"

        async with client(server, tmp_path) as db:
            assert db.pending_writes() == []


async def test_leaving_without_a_network_loses_nothing(tmp_path: Path) -> None:
    async with served() as server:
        db = client(server, tmp_path)
        db.go_offline()
        async with db:
            writes = [db.reference(f"k{number}").set(number) for number in range(100)]
        with pytest.raises(DatabaseClosed):
            await writes[0]

        async with client(server, tmp_path) as db:
            await db.wait_for_pending_writes()

        assert server.value() == {f"k{number}": number for number in range(100)}


@pytest.mark.parametrize("durability", ["batch", "write", "none"])
async def test_a_write_is_durable_before_the_server_knows_of_it(
    tmp_path: Path, durability: Any
) -> None:
    async with served() as server:
        db = client(server, tmp_path, durability=durability)
        db.go_offline()
        async with db:
            await db.reference("a").set(1).durable()
            assert db.status.storage == "disk"
            assert db.status.disk_bytes > 0


async def test_a_restored_write_can_be_found_and_awaited(tmp_path: Path) -> None:
    async with served() as server:
        db = client(server, tmp_path)
        db.go_offline()
        async with db:
            id = db.reference("a").set(1).id

        async with client(server, tmp_path) as db:
            write = db.pending_write(id)
            assert write is not None
            await write
            assert write.state == "confirmed"


async def test_an_unchanged_location_is_not_transferred_again(tmp_path: Path) -> None:
    data = {f"k{number:04}": {"text": "x" * 100} for number in range(500)}
    async with served({"a": data}) as server:
        async with client(server, tmp_path) as db:
            await until_value(db.reference("a"), data)

        async with client(server, tmp_path) as db:
            heard: list[Any] = []
            db.reference("a").on_value(lambda snapshot: heard.append(snapshot.value))
            await until_connection(db, "online")
            # More than this from the server would break the line.
            server.cut_after(2_000)
            await until_value(db.reference("a"), data)
            await db.reference("ping").set(1)

            assert heard == [data]
            assert db.status.last_error is None


async def test_kept_queries_are_kept_through_restarts(tmp_path: Path) -> None:
    async with served({"a": 1, "b": 2}) as server:
        async with client(server, tmp_path) as db:
            db.reference("a").keep_synced(True)
            await db.reference("ping").set(1)

        async with client(server, tmp_path) as db:
            assert [str(kept.query.path) for kept in db.kept_synced()] == ["/a"]
            await until_value(db.reference("a"), 1)
            server.set("/a", 5)
            await until_value(db.reference("a"), 5)

        db = client(server, tmp_path)
        db.go_offline()
        async with db:
            assert (await db.reference("a").get("cache")).value == 5
            with pytest.raises(NotCached):
                await db.reference("b").get("cache")
            db.reference("a").keep_synced(False)

        async with client(server, tmp_path) as db:
            assert db.kept_synced() == []


async def test_a_directory_has_one_user_at_a_time(tmp_path: Path) -> None:
    async with served() as server, client(server, tmp_path) as db:
        with pytest.raises(PersistenceInUse, match=str(os.getpid())):
            async with client(server, tmp_path):
                raise AssertionError("entered")

        await db.reference("a").set(1)

    async with served() as server, client(server, tmp_path):
        pass


async def test_a_damaged_cache_starts_empty_and_the_queue_is_untouched(tmp_path: Path) -> None:
    async with served({"a": 1}) as server:
        async with client(server, tmp_path) as db:
            await until_value(db.reference("a"), 1)
            db.go_offline()
            db.reference("b").set(2)
        for file in (tmp_path / "cache").iterdir():
            if file.name.startswith("MANIFEST"):
                file.write_bytes(b"\xff" * file.stat().st_size)

        async with client(server, tmp_path) as db:
            await db.wait_for_pending_writes()
            await until_value(db.reference("a"), 1)

        assert server.value("/b") == 2
        assert list((tmp_path / "quarantine").iterdir())


async def test_a_queue_that_is_damaged_costs_the_writes_that_were_hit(tmp_path: Path) -> None:
    """Whenever that is found: when a payload is read, or when the disk tidies up."""
    async with served() as server:
        db = client(server, tmp_path)
        db.go_offline()
        async with db:
            old = [db.reference(f"old/{n}").set(f"{n} {'x' * 1000}") for n in range(4000)]
            await old[-1].durable()
        table = min((tmp_path / "queue").glob("*.sst"))
        data = bytearray(table.read_bytes())
        data[data.index(b"x" * 500)] ^= 1
        table.write_bytes(data)

        db = client(server, tmp_path)
        db.go_offline()
        async with db:
            for n in range(200):
                await db.reference(f"new/{n}").set("y" * 1000).durable()
            db.go_online()
            await db.wait_for_pending_writes()
            assert db.status.storage == "disk"
        new, rest = server.value("/new"), server.value("/old")
        assert isinstance(new, list)
        assert isinstance(rest, (list, dict))
        assert len(new) == 200
        found = rest if isinstance(rest, list) else list(rest.values())
        assert sum(value is not None for value in found) >= 3999
        async with client(server, tmp_path) as db:
            assert db.status.pending_writes == 0


async def test_the_cache_is_cleared_of_what_nobody_needs(tmp_path: Path) -> None:
    async with served({"a": 1, "b": 2}) as server, client(server, tmp_path) as db:
        await until_value(db.reference("a"), 1)
        db.reference("b").keep_synced(True)
        await until_value(db.reference("b"), 2)

        db.clear_cache()
        db.go_offline()

        with pytest.raises(NotCached):
            await db.reference("a").get("cache")
        assert (await db.reference("b").get("cache")).value == 2


async def test_a_transaction_runs_on_what_the_disk_knows(tmp_path: Path) -> None:
    async with served({"n": 5}) as server:
        async with client(server, tmp_path) as db:
            await until_value(db.reference("n"), 5)

        db = client(server, tmp_path)
        db.go_offline()
        async with db:
            seen: list[Any] = []

            def add(value: Any) -> Any:
                seen.append(value)
                return (value or 0) + 1

            pending = db.reference("n").transaction(add)
            await until_value(db.reference("n"), 6)
            db.go_online()
            result = await pending

            assert result.committed
            assert seen == [5]
        assert server.value("/n") == 6


async def test_a_value_nested_as_deep_as_a_server_may_is_kept(tmp_path: Path) -> None:
    deepest = 255
    place = "x" + "/a" * deepest
    value: Any = 1
    for _ in range(deepest + 1):
        value = {"b": value}
    push = {"t": "d", "d": {"a": "d", "b": {"p": place, "d": value}}}
    async with served({"x": 1}) as server:
        async with client(server, tmp_path) as db:
            await until_value(db.reference("x"), 1)
            with db.reference(place).on_value(lambda _: None):
                server.send_raw(json.dumps(push))
                await until_value(db.reference(place), value)
            await db.reference("y").set(1)

        db = client(server, tmp_path)
        db.go_offline()
        async with db:
            assert (await db.reference(place).get(source="cache")).value == value
