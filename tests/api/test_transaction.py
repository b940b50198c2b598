"""Transactions as a user writes them."""

from typing import Any

import pytest
from tests.api.driven import World, settle
from tests.api.engine.dialogue import answer, push
from tests.api.offline import offline, over

import firekeep
from firekeep import Transaction
from firekeep.exceptions import (
    DatabaseClosed,
    InvalidArgument,
    PermissionDenied,
    TransactionAborted,
    UsageError,
)

pytestmark = pytest.mark.anyio


def add_one(value: Any) -> Any:
    return (value or 0) + 1


async def test_its_result_shows_at_once_and_it_starts_without_being_awaited() -> None:
    async with offline({"n": 5}) as db:
        values: list[Any] = []
        db.reference("n").on_value(lambda snapshot: values.append(snapshot.value))

        transaction = db.reference("n").transaction(add_one)

        assert isinstance(transaction, Transaction)
        assert transaction.path == db.reference("n").path
        assert values == [5, 6]


async def test_it_can_be_kept_from_showing() -> None:
    # I-82
    async with offline({"n": 5}) as db:
        values: list[Any] = []
        db.reference("n").on_value(lambda snapshot: values.append(snapshot.value))

        db.reference("n").transaction(add_one, apply_locally=False)

        assert values == [5]


async def test_it_is_confirmed_with_what_it_wrote() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        db = over(world)
        db.reference("n").on_value(lambda snapshot: None)
        await server.serve("/n", 5)
        transaction = db.reference("n").transaction(add_one)

        async def confirm() -> None:
            request = await server.request("p")
            assert request["b"]["d"] == 6
            await server.send(push("/n", 6), answer(request))

        driver.start_soon(confirm)
        result = await transaction

        assert result.committed
        assert result.snapshot.value == 6
        assert result.snapshot.key == "n"
        assert not result.snapshot.metadata.has_pending_writes
        assert await transaction == result


async def test_aborting_leaves_it_as_it_is() -> None:
    # I-86
    async with offline({"n": 5}) as db:
        values: list[Any] = []
        db.reference("n").on_value(lambda snapshot: values.append(snapshot.value))

        committed, snapshot = await db.reference("n").transaction(lambda value: firekeep.ABORT)

        assert not committed
        assert snapshot.value == 5
        assert values == [5]


async def test_none_removes() -> None:
    async with offline({"n": 5}) as db:
        values: list[Any] = []
        db.reference("n").on_value(lambda snapshot: values.append(snapshot.value))

        db.reference("n").transaction(lambda value: None)

        assert values == [5, None]


async def test_the_function_gets_a_private_copy() -> None:
    async with offline({"room": {"list": [1]}}) as db:
        values: list[Any] = []
        db.reference("room").on_value(lambda snapshot: values.append(snapshot))

        def change(value: Any) -> Any:
            value["list"].append(2)
            return firekeep.ABORT

        await db.reference("room").transaction(change)

        assert [snapshot.value for snapshot in values] == [{"list": [1]}]


async def test_an_exception_of_the_function_is_raised_where_it_is_awaited() -> None:
    # I-86
    async with offline({"n": "text"}) as db:
        transaction = db.reference("n").transaction(add_one)

        with pytest.raises(TypeError):
            await transaction
        assert (await db.reference("n").get("cache")).value == "text"


async def test_a_result_that_cannot_be_is_refused() -> None:
    async with offline({"n": 5}) as db:
        with pytest.raises(InvalidArgument):
            await db.reference("n").transaction(lambda value: {"a.b": 1})


async def test_its_function_must_not_use_the_database() -> None:
    async with offline({"n": 5}) as db:

        def write_elsewhere(value: Any) -> Any:
            db.reference("m").set(1)
            return value

        with pytest.raises(UsageError, match="function"):
            await db.reference("n").transaction(write_elsewhere)


@pytest.mark.parametrize("function", [5, None, "value"])
async def test_what_cannot_be_called_is_refused_at_once(function: Any) -> None:
    async with offline() as db:
        with pytest.raises(InvalidArgument):
            db.reference("n").transaction(function)


async def test_its_function_can_be_given_by_name() -> None:
    async with offline({"n": 5}) as db:
        db.reference("n").transaction(fn=add_one)

        assert (await db.reference("n").get("cache")).value == 6


@pytest.mark.parametrize("flag", ["apply_locally", "require_server"])
async def test_a_flag_is_true_or_false(flag: str) -> None:
    async with offline({"n": 5}) as db:
        options: dict[str, Any] = {flag: "no"}
        with pytest.raises(InvalidArgument, match=flag):
            db.reference("n").transaction(add_one, **options)

        assert (await db.reference("n").get("cache")).value == 5


async def test_an_asynchronous_function_is_refused_at_once() -> None:
    async def later(value: Any) -> Any:
        return value

    async with offline() as db:
        with pytest.raises(InvalidArgument, match="asynchronous"):
            db.reference("n").transaction(later)


async def test_a_set_takes_its_place() -> None:
    # I-87
    async with offline({"n": 5}) as db:
        transaction = db.reference("n").transaction(add_one)
        db.reference("n").set(100)

        with pytest.raises(TransactionAborted, match="overridden"):
            await transaction


async def test_two_run_one_on_the_result_of_the_other() -> None:
    # I-83
    async with offline({"n": 5}) as db:
        values: list[Any] = []
        db.reference("n").on_value(lambda snapshot: values.append(snapshot.value))
        db.reference("n").transaction(add_one)
        db.reference("n").transaction(add_one)

        assert values == [5, 6, 7]


async def test_the_servers_refusal_is_raised_and_undone() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        db = over(world)
        values: list[Any] = []
        db.reference("n").on_value(lambda snapshot: values.append(snapshot.value))
        await server.serve("/n", 5)
        transaction = db.reference("n").transaction(add_one)

        async def refuse() -> None:
            await server.send(answer(await server.request("p"), "permission_denied", "no"))

        driver.start_soon(refuse)
        with pytest.raises(PermissionDenied):
            await transaction
        assert values == [5, 6, 5]


async def test_it_does_not_run_on_a_guess_if_the_server_is_required() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        db = over(world)
        given: list[Any] = []

        def look(value: Any) -> Any:
            given.append(value)
            return add_one(value)

        db.reference("n").transaction(look, require_server=True)
        await settle()
        assert given == []

        await server.serve("/n", 41)

        assert given == [41]


async def test_leaving_ends_it() -> None:
    async with offline({"n": 5}) as db:
        transaction = db.reference("n").transaction(add_one)
        db.reference("m").transaction(add_one)
        del db
    with pytest.raises((DatabaseClosed, TransactionAborted, firekeep.exceptions.WriteCancelled)):
        await transaction
