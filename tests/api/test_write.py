"""Writes whose answer somebody waits for, or waited for."""

import anyio
import pytest
from tests.api.driven import World, settle
from tests.api.engine.dialogue import answer
from tests.api.offline import over

from firekeep import Write
from firekeep.exceptions import PermissionDenied

pytestmark = pytest.mark.anyio


async def test_a_refused_write_is_reported_when_who_awaited_it_has_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        db = over(world)
        refused: list[Write] = []
        db.on_write_rejected(refused.append)
        write = db.reference("a").set(5)
        with anyio.move_on_after(0):
            await write

        await server.send(answer(await server.request("p"), "permission_denied", "no"))

        assert refused == [write]
        assert "a write at /a failed" in caplog.text


async def test_a_refused_write_is_raised_where_it_is_awaited_and_nowhere_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        db = over(world)
        refused: list[Write] = []
        db.on_write_rejected(refused.append)
        write = db.reference("a").set(5)
        raised: list[Exception] = []

        async def wait() -> None:
            with pytest.raises(PermissionDenied) as error:
                await write
            raised.append(error.value)

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await settle()
            with anyio.move_on_after(0):
                await write
            await server.send(answer(await server.request("p"), "permission_denied", "no"))

        assert len(raised) == 1
        assert refused == []
        assert caplog.text == ""


async def test_a_failed_transaction_is_logged_when_who_awaited_it_has_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        transaction = over(world).reference("n").transaction(lambda value: 1)
        with anyio.move_on_after(0):
            await transaction

        await server.send(
            answer(await server.request("q"), data={}),
            answer(await server.request("p"), "permission_denied", "no"),
        )

        assert "permission_denied" in caplog.text
