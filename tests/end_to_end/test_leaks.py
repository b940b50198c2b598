"""Nothing goes on after a database has been left, however that came about."""

import gc
import threading
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from tests.end_to_end.served import client, served, until_connection, until_value

import firekeep

pytestmark = pytest.mark.anyio


WAITS: list[Callable[[firekeep.Database], Awaitable[object]]] = [
    lambda db: db.reference("a").get("server", timeout=None),
    lambda db: db.reference("a").once("child_removed"),
    lambda db: anext(db.reference("a").values()),
    lambda db: db.wait_for_pending_writes(),
    lambda db: until_value(db.reference("a"), "never"),
]


class Trouble(Exception):
    """Something of the user's own."""


async def use(db: firekeep.Database) -> None:
    """Do a bit of everything."""
    reference = db.reference("a")
    reference.on_value(lambda _snapshot: None)
    reference.events()

    async def slow(_snapshot: firekeep.Snapshot) -> None:
        await anyio.sleep_forever()

    reference.on_value(slow)
    db.presence("online")
    reference.set(1)
    reference.transaction(lambda value: value)
    await until_connection(db, "online")


async def test_an_exception_leaves_as_it_is_and_nothing_stays() -> None:
    async with served() as server:
        threads = threading.active_count()
        with pytest.raises(Trouble):
            async with client(server) as db:
                await use(db)
                raise Trouble

        await server.until(lambda: server.connections == 0)
        assert threading.active_count() == threads


async def test_a_cancellation_goes_through_and_nothing_stays() -> None:
    async with served() as server:
        with anyio.CancelScope() as scope:
            async with client(server) as db:
                await use(db)
                scope.cancel()
                await anyio.sleep_forever()

        assert scope.cancelled_caught
        await server.until(lambda: server.connections == 0)


async def test_a_cancellation_while_connecting_goes_through() -> None:
    async with served() as server:
        server.hold()
        with anyio.move_on_after(0.05) as scope:
            async with client(server) as db:
                await db.reference("a").get(timeout=None)

        assert scope.cancelled_caught
        await server.until(lambda: server.connections == 0)


@pytest.mark.parametrize("wait", WAITS)
async def test_a_cancelled_wait_leaves_the_database_in_order(
    wait: Callable[[firekeep.Database], Awaitable[object]],
) -> None:
    async with served({"a": 1, "b": 1}) as server, client(server) as db:
        await until_connection(db, "online")
        server.hold()
        db.reference("b").set(2)

        with anyio.move_on_after(0.01) as scope:
            await wait(db)
        assert scope.cancelled_caught

        server.release()
        await db.wait_for_pending_writes()
        assert (await db.reference("a").get("server")).value == 1
        assert db.cache_info().queries == 0


async def test_a_forgotten_iterator_stops_listening() -> None:
    async with served({"a": 1}) as server, client(server) as db:
        async for _ in db.reference("a").values():
            break
        gc.collect()

        while db.cache_info().queries > 0:
            await anyio.lowlevel.checkpoint()
