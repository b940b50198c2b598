"""Waiting for writes: who waits for which, and who has given up."""

import anyio
import pytest
from tests.api.driven import settle
from tests.api.offline import offline

from firekeep.draining import Draining
from firekeep.exceptions import NotAvailable, TimedOut

pytestmark = pytest.mark.anyio


async def test_everybody_waits_for_the_writes_of_their_moment() -> None:
    async with offline() as db, anyio.create_task_group() as group:
        write = db.reference("a").set(1)
        writes = {1: write, 2: write}
        draining = Draining()
        done: list[str] = []

        async def wait(name: str) -> None:
            await draining.wait(writes, None)
            done.append(name)

        group.start_soon(wait, "early")
        group.start_soon(wait, "as early")
        await settle()
        writes[3] = write
        group.start_soon(wait, "late")
        await settle()

        for id, expected in ((2, 0), (1, 2), (3, 3)):
            del writes[id]
            draining.completed(writes)
            await settle()
            assert len(done) == expected
        assert done[2] == "late"


async def test_who_gives_up_takes_nobody_along() -> None:
    async with offline() as db, anyio.create_task_group() as group:
        writes = {1: db.reference("a").set(1)}
        draining = Draining()
        done: list[bool] = []

        async def wait() -> None:
            await draining.wait(writes, None)
            done.append(True)

        group.start_soon(wait)
        await settle()
        with pytest.raises(TimedOut):
            await draining.wait(writes, 0)
        assert done == []

        writes.clear()
        draining.completed(writes)
        await settle()
        assert done == [True]


async def test_older_writes_of_a_user_who_comes_back_are_waited_for() -> None:
    async with offline() as db, anyio.create_task_group() as group:
        write = db.reference("a").set(1)
        draining = Draining()
        group.start_soon(draining.wait, {3: write}, None)
        await settle()
        writes = {1: write, 2: write, 4: write}
        done: list[bool] = []

        async def wait() -> None:
            await draining.wait(writes, None)
            done.append(True)

        group.start_soon(wait)
        await settle()
        for id in (4, 1):
            del writes[id]
            draining.completed(writes)
            await settle()
        assert done == []

        writes.clear()
        draining.completed(writes)
        await settle()
        assert done == [True]


async def test_who_waits_for_what_is_held_is_told_and_nobody_else() -> None:
    async with offline() as db, anyio.create_task_group() as group:
        write = db.reference("a").set(1)
        writes = {1: write}
        draining = Draining()
        ended: list[str] = []

        async def wait(name: str) -> None:
            try:
                await draining.wait(writes, None)
            except NotAvailable:
                ended.append(f"{name}: held")
            else:
                ended.append(f"{name}: done")

        group.start_soon(wait, "first")
        await settle()
        writes |= {2: write, 3: write}
        group.start_soon(wait, "last")
        await settle()

        del writes[2]
        draining.held({2: write})
        await settle()
        assert ended == ["last: held"]
        del writes[1]
        draining.completed(writes)
        await settle()
        assert ended == ["last: held", "first: done"]
