"""Iterators that nobody refers to any more, wherever the garbage collector finds them."""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import anyio.to_thread
import pytest
from tests.api.driven import World, settle
from tests.api.engine.dialogue import push
from tests.api.offline import database, offline, over

from firekeep.forgotten import Forgotten

pytestmark = pytest.mark.anyio


class Holder:
    """Refers to itself, so that only the collector ends it and what it holds."""

    def __init__(self, held: object) -> None:
        self.held = held
        self.itself = self


@contextmanager
def no_collection() -> Generator[None]:
    """Let the collector run where the test says only."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def test_an_iterator_that_is_forgotten_stops_listening() -> None:
    async with offline({"a": 1}) as db:

        async def look() -> None:
            async for _ in db.reference("a").values():
                return

        await look()
        gc.collect()
        await settle()

        assert db.cache_info().queries == 0


async def test_one_that_is_collected_within_a_turn_is_closed_after_it() -> None:
    async with offline({"n": 1}) as db:
        queries: list[int] = []

        def collect(value: Any) -> Any:
            gc.collect()
            queries.append(db._driver._engine.overview.cache_info().queries)
            return value

        with no_collection():
            Holder(db.reference("a").events())
            db.reference("n").transaction(collect)
        await settle()

        assert queries[0] > db.cache_info().queries
        assert db.cache_info().queries == 1, "that of the transaction"


async def test_one_that_is_collected_on_another_thread_is_closed() -> None:
    async with offline() as db:
        with no_collection():
            Holder(db.reference("a").values())
            Holder(db.status_changes())
            await anyio.to_thread.run_sync(gc.collect)
        await settle()

        assert db.cache_info().queries == 0


async def test_a_blocking_one_that_is_forgotten_holds_nothing_up() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        db = over(world)
        values: list[Any] = []
        db.reference("a").on_value(lambda snapshot: values.append(snapshot.value))
        stream = db.reference("b").events(buffer=1, overflow="block")
        await server.send(push("b", {"x": 1, "y": 2}))
        await server.send(push("a", 1))
        assert values == []

        del stream
        gc.collect()
        await settle()

        assert values == [1]


async def test_one_that_is_forgotten_before_entering_or_after_leaving_does_no_harm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    db = database()
    Holder(db.status_changes())
    gc.collect()
    async with db:
        await settle()
        last = [db.reference("a").values(), db.status_changes()]
    del last
    gc.collect()

    assert caplog.text == ""


def test_a_note_that_is_left_after_the_event_loop_has_ended_is_dropped() -> None:
    forgotten = Forgotten()
    closed: list[bool] = []

    async def run_a_while() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(forgotten.run)
            await settle()
            group.cancel_scope.cancel()

    for backend in ("asyncio", "trio"):
        anyio.run(run_a_while, backend=backend)
        forgotten.add(lambda: closed.append(True))

    assert closed == []


async def test_a_failure_to_close_stops_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    forgotten = Forgotten()
    closed: list[bool] = []

    def fail() -> None:
        raise AssertionError("an invariant does not hold")

    async with anyio.create_task_group() as group:
        group.start_soon(forgotten.run)
        await settle()
        forgotten.add(fail)
        forgotten.add(lambda: closed.append(True))
        await settle()
        group.cancel_scope.cancel()

    assert closed == [True]
    assert "internal error" in caplog.text
