"""What the server is asked to do when it loses this client."""

from typing import Any

import anyio
import pytest
from tests.api.driven import World, settle
from tests.api.engine.dialogue import Message, answer
from tests.api.offline import offline, over

import firekeep
from firekeep import OnDisconnect
from firekeep.exceptions import InvalidArgument, MaybeApplied, PermissionDenied

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("call", "action", "path", "data"),
    [
        (lambda it: it.set(1), "o", "/a", 1),
        (lambda it: it.set(1, priority=2), "o", "/a", {".value": 1, ".priority": 2}),
        (lambda it: it.set(firekeep.TIMESTAMP), "o", "/a", {".sv": "timestamp"}),
        (lambda it: it.remove(), "o", "/a", None),
        (lambda it: it.set_priority(3), "o", "/a/.priority", 3),
        (lambda it: it.update({"x/y": 1, "z": None}), "om", "/a", {"x/y": 1, "z": None}),
        (lambda it: it.cancel(), "oc", "/a", None),
    ],
)
async def test_each_instruction_is_one_request(
    call: Any, action: str, path: str, data: Any
) -> None:
    world = World()
    async with world.driver:
        server = await world.connect()

        write = call(over(world).reference("a").on_disconnect())
        request = await server.request(action)
        await server.send(answer(request))

        assert request["b"]["p"] == path
        assert request["b"].get("d") == data
        assert write.state == "confirmed"
        await write


async def test_nothing_is_shown_before_the_connection_ends_and_all_of_it_once_after() -> None:
    # I-93
    world = World()
    async with world.driver:
        server = await world.connect()
        db = over(world)
        values: list[Any] = []
        db.reference("a").on_value(lambda snapshot: values.append(snapshot.value))
        await server.serve("/a", {"x": 1, "y": 1})
        await confirm(db.reference("a/x").on_disconnect(), server)
        await confirm(db.reference("a/y").on_disconnect(), server)
        assert values == [{"x": 1, "y": 1}]

        db.go_offline()
        assert values[-1] == {"x": "gone", "y": "gone"}
        values.clear()
        db.go_online()
        await world.connect()
        db.go_offline()

        assert values == []


async def confirm(instructions: OnDisconnect, server: Any) -> Message:
    instructions.set("gone")
    request: Message = await server.request("o")
    await server.send(answer(request))
    return request


async def test_cancelling_a_deep_path_leaves_its_siblings() -> None:
    # I-94
    world = World()
    async with world.driver:
        server = await world.connect()
        db = over(world)
        values: list[Any] = []
        db.reference("a").on_value(lambda snapshot: values.append(snapshot.value))
        await server.serve("/a", {"x": 1, "y": 1})
        db.reference("a").on_disconnect().set({"x": 2, "y": 2})
        await server.send(answer(await server.request("o")))
        db.reference("a/x").on_disconnect().cancel()
        await server.send(answer(await server.request("oc")))

        db.go_offline()

        assert values[-1] == {"x": 1, "y": 2}


async def test_a_refusal_is_raised() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        write = over(world).reference("a").on_disconnect().remove()

        async def refuse() -> None:
            await server.send(answer(await server.request("o"), "permission_denied", "no"))

        driver.start_soon(refuse)
        with pytest.raises(PermissionDenied):
            await write


async def test_one_in_flight_at_the_cut_may_have_been_taken() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        write = over(world).reference("a").on_disconnect().remove()
        await server.request("o")
        await server.drop()
        await settle()

        assert write.state == "unknown"
        with pytest.raises(MaybeApplied):
            await write


async def test_offline_it_waits_for_a_connection() -> None:
    async with offline() as db:
        write = db.reference("a").on_disconnect().remove()

        with anyio.move_on_after(0):
            await write

        assert write.state == "queued"


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.set(object()),
        lambda it: it.set(1, priority=True),
        lambda it: it.set_priority({}),
        lambda it: it.update({"a": 1, "a/b": 2}),
        lambda it: it.update(5),
    ],
)
async def test_bad_arguments_are_refused_at_once(call: Any) -> None:
    async with offline() as db:
        with pytest.raises(InvalidArgument):
            call(db.reference("a").on_disconnect())
