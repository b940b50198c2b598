"""Presence: one record for each connection, and none left over."""

from typing import Any

import pytest
from tests.api.driven import Server, World
from tests.api.engine.dialogue import Message, answer
from tests.api.offline import offline, over

from firekeep.exceptions import InvalidArgument, InvalidPath

pytestmark = pytest.mark.anyio


async def requests(server: Server, count: int) -> list[tuple[str, str, Any]]:
    """Confirm the next requests; return action, path and data of each."""
    seen: list[tuple[str, str, Any]] = []
    while len(seen) < count:
        message = await server.next()
        if isinstance(message, dict) and message["d"].get("a") in ("p", "m", "o", "om", "oc"):
            request: Message = message["d"]
            seen.append((request["a"], request["b"]["p"], request["b"].get("d")))
            await server.send(answer(request))
    return seen


async def test_the_removal_is_agreed_on_before_the_record_is_written() -> None:
    world = World()
    async with world.driver:
        db = over(world)
        with db.presence("online/ada", value={"device": "phone"}) as presence:
            assert presence.record is None
            server = await world.connect()

            record = str(presence.record)
            assert record.startswith("/online/ada/-")
            assert await requests(server, 2) == [
                ("o", record, None),
                ("p", record, {"device": "phone"}),
            ]
            assert repr(presence) == f"<Presence at /online/ada: {record.rpartition('/')[2]}>"


async def test_when_it_ended_is_noted_by_the_server() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        with over(world).presence("online/ada", last_seen="seen/ada") as presence:
            assert await requests(server, 3) == [
                ("o", str(presence.record), None),
                ("o", "/seen/ada", {".sv": "timestamp"}),
                ("p", str(presence.record), True),
            ]


async def test_each_connection_has_a_record_of_its_own() -> None:
    world = World()
    async with world.driver:
        db = over(world)
        server = await world.connect()
        with db.presence("online") as presence:
            first = str(presence.record)
            await requests(server, 2)
            db.go_offline()
            assert presence.record is None
            db.go_online()
            server = await world.connect()

            second = str(presence.record)
            assert second > first
            assert await requests(server, 2) == [("o", second, None), ("p", second, True)]


async def test_a_record_that_was_not_confirmed_is_not_written_by_the_next_connection() -> None:
    world = World()
    async with world.driver:
        db = over(world)
        await world.connect()
        with db.presence("online") as presence:
            first = str(presence.record)
            db.go_offline()
            db.go_online()
            server = await world.connect()

            seen = await requests(server, 4)

            written = [(path, data) for action, path, data in seen if action == "p"]
            assert (first, None) in written, "the first record is undone"
            assert written[-1] == (str(presence.record), True)


async def test_closing_removes_the_record_and_takes_back_the_instruction() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        presence = over(world).presence("online")
        record = str(presence.record)
        await requests(server, 2)

        presence.close()
        presence.close()

        assert await requests(server, 2) == [("oc", record, None), ("p", record, None)]
        assert presence.record is None


async def test_offline_there_is_no_record() -> None:
    async with offline() as db:
        with db.presence("online") as presence:
            assert presence.record is None
            assert str(presence.path) == "/online"
            assert db.pending_writes() == []


async def test_bad_arguments_are_refused_at_once_and_nothing_listens() -> None:
    async with offline() as db:
        with pytest.raises(InvalidPath):
            db.presence(".info/connected")
        with pytest.raises(InvalidPath):
            db.presence("a.b")
        with pytest.raises(InvalidPath):
            db.presence("a", last_seen=".info/x")
        with pytest.raises(InvalidArgument):
            db.presence("a", value=object())  # type: ignore[arg-type]

        db.go_online()
        assert db.pending_writes() == []
