"""Waiting for one event that the server has confirmed on the present connection."""

from typing import Any

import anyio
import pytest
from tests.api.driven import Server, World, settle
from tests.api.engine.dialogue import answer, push
from tests.api.offline import over

import firekeep
from firekeep import Query, Snapshot
from firekeep.exceptions import DatabaseClosed, Offline, PermissionDenied, TimedOut
from firekeep.types import EventKind

pytestmark = pytest.mark.anyio


class Answer:
    """What somebody who waits has been given so far."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None

    @property
    def shown(self) -> tuple[str | None, Any] | None:
        return None if self.snapshot is None else (self.snapshot.key, self.snapshot.value)

    async def wait(self, query: Query, kind: EventKind) -> None:
        self.snapshot = await query.once(kind, source="server")


async def cached(world: World, db: firekeep.Database, value: object) -> Server:
    """Show what the server confirmed on a connection that is no more; return the next one."""
    server = await world.connect()
    db.reference("l").on_value(lambda snapshot: None)
    await server.serve("/l", value)
    await server.drop()
    await world.clock.advance(2.0)
    return await world.connect()


async def test_the_first_child_is_given_when_the_confirmation_comes_after_the_data() -> None:
    world = World()
    async with world.driver, anyio.create_task_group() as group:
        server = await world.connect()
        first = Answer()
        group.start_soon(first.wait, over(world).reference("l").order_by_value(), "child_added")
        request = await server.request("q")
        await server.send(push("l", {"a": 2, "b": 1}, request["b"].get("t")))
        assert first.shown is None

        await server.send(answer(request, data={}))

        assert first.shown == ("b", 1)
        assert first.snapshot is not None
        assert not first.snapshot.metadata.from_cache


async def test_the_first_child_is_given_when_nothing_has_changed_since_the_last_connection() -> (
    None
):
    world = World()
    async with world.driver, anyio.create_task_group() as group:
        db = over(world)
        server = await cached(world, db, {"a": 1, "b": 2})
        first = Answer()
        group.start_soon(first.wait, db.reference("l"), "child_added")
        await settle()
        assert first.shown is None

        await server.send(answer(await server.request("q"), data={}))

        assert first.shown == ("a", 1)


async def test_where_nothing_is_the_first_child_that_comes_is_given() -> None:
    world = World()
    async with world.driver, anyio.create_task_group() as group:
        server = await world.connect()
        first = Answer()
        group.start_soon(first.wait, over(world).reference("l"), "child_added")
        await server.serve("/l", None)
        assert first.shown is None

        await server.send(push("l/x", 1))

        assert first.shown == ("x", 1)


@pytest.mark.parametrize(
    ("kind", "told", "shown"),
    [
        ("child_removed", None, ("a", 1)),
        ("child_changed", 3, ("a", 3)),
        ("child_moved", 3, ("a", 3)),
    ],
)
async def test_what_the_server_tells_before_it_confirms_is_given_then(
    kind: EventKind, told: object, shown: object
) -> None:
    world = World()
    async with world.driver, anyio.create_task_group() as group:
        db = over(world)
        server = await cached(world, db, {"a": 1, "b": 2})
        query = db.reference("l").order_by_value() if kind == "child_moved" else db.reference("l")
        first = Answer()
        group.start_soon(first.wait, query, kind)
        await settle()
        await server.send(push("l/a", told))
        assert first.shown is None

        await server.send(answer(await server.request("q"), data={}))

        assert first.shown == shown


async def test_what_a_local_write_does_before_the_confirmation_is_passed_over() -> None:
    world = World()
    async with world.driver, anyio.create_task_group() as group:
        db = over(world)
        server = await cached(world, db, {"a": 1, "b": 2})
        first = Answer()
        group.start_soon(first.wait, db.reference("l"), "child_removed")
        await settle()
        db.reference("l/a").remove()
        await server.send(answer(await server.request("q"), data={}))
        assert first.shown is None

        db.reference("l/b").remove()
        await settle()

        assert first.shown == ("b", 2)


async def test_a_value_is_asked_of_the_server_whatever_is_listened_to() -> None:
    world = World()
    async with world.driver, anyio.create_task_group() as group:
        db = over(world)
        server = await cached(world, db, {"a": 1})
        first = Answer()
        group.start_soon(first.wait, db.reference("l"), "value")

        await server.send(answer(await server.request("g"), data={"a": 2}))

        assert first.shown == ("l", {"a": 2})


async def test_a_refusal_is_raised_and_so_is_leaving() -> None:
    world = World()
    raised: list[Exception] = []

    async def wait(path: str) -> None:
        try:
            await db.reference(path).once("child_added", source="server")
        except (PermissionDenied, DatabaseClosed) as error:
            raised.append(error)

    async with anyio.create_task_group() as group, world.driver:
        db = over(world)
        server = await world.connect()
        group.start_soon(wait, "secret")
        await server.send(answer(await server.request("q"), "permission_denied", "no"))
        group.start_soon(wait, "open")
        await settle()
        for stream in list(db._client.streams):
            stream.end()

    assert [type(error) for error in raised] == [PermissionDenied, DatabaseClosed]


async def test_it_ends_in_time_and_listens_no_more() -> None:
    world = World()
    async with world.driver:
        db = over(world)
        with pytest.raises(Offline):
            await db.reference("l").once("child_added", source="server", timeout=0)
        await world.connect()
        with pytest.raises(TimedOut):
            await db.reference("l").once("child_added", source="server", timeout=0)

        assert db.cache_info().queries == 0
