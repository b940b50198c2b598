"""The connection that tests use loses, holds and orders messages as told."""

import anyio
import pytest

from firekeep.exceptions import Disconnected
from firekeep.net.memory import memory_pair
from firekeep.net.transport import Transport

pytestmark = pytest.mark.anyio


async def test_messages_travel_both_ways_in_order() -> None:
    client, server = memory_pair()

    await client.send(["a", "é"])
    await client.send(["c"])
    await server.send(["d"])

    assert await server.receive() == [b"a", "é".encode(), b"c"]
    assert await client.receive() == [b"d"]


async def test_an_end_is_a_transport() -> None:
    transport: Transport
    transport, _ = memory_pair()

    await transport.aclose()


async def test_receiving_waits_for_the_first_message() -> None:
    client, server = memory_pair()
    received: list[bytes] = []

    async def receive() -> None:
        received.extend(await server.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        assert received == []
        await client.send(["a"])

    assert received == [b"a"]


async def test_held_messages_are_let_through_one_by_one_then_all() -> None:
    client, server = memory_pair()
    client.hold()
    await client.send(["a", "b", "c"])
    assert client.held == (b"a", b"b", b"c")

    client.release(1)
    assert await server.receive() == [b"a"]
    client.release()
    assert await server.receive() == [b"b", b"c"]
    await client.send(["d"])
    assert await server.receive() == [b"d"]


async def test_a_drop_loses_what_is_held_and_nothing_else() -> None:
    client, server = memory_pair()
    await client.send(["a"])
    client.hold()
    await client.send(["b"])

    client.drop()
    client.release()

    assert await server.receive() == [b"a"]
    for end in (client, server):
        with pytest.raises(Disconnected, match="dropped"):
            await end.receive()
        with pytest.raises(Disconnected, match="dropped"):
            await end.send(["c"])


async def test_closing_wakes_whoever_waits() -> None:
    client, server = memory_pair()

    async def receive() -> None:
        with pytest.raises(Disconnected, match="closed"):
            await server.receive()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        await client.aclose()
        await client.aclose()
