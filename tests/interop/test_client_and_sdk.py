"""A firekeep client and the official SDK on one emulator, each seeing what the other does."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.interop.node_peer import NodePeer, install, run

import firekeep
from firekeep.emulator import Emulator
from firekeep.testing import emulated_database

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def sdk() -> Path:
    """Return where the SDK is installed."""
    return install("sdk")


@asynccontextmanager
async def both(
    sdk: Path, data: object = None
) -> AsyncGenerator[tuple[firekeep.Database, NodePeer, Emulator]]:
    """Give our client, theirs, and the emulator that both are connected to."""
    async with (
        emulated_database(data) as (database, server),
        run(sdk, "client.mjs", server.url) as peer,
    ):
        yield database, peer, server


async def until_value(query: firekeep.Query, wanted: Any) -> None:
    """Listen until the value is what is wanted."""
    async with query.values() as values:
        async for snapshot in values:
            if snapshot.value == wanted:
                return


async def test_each_sees_what_the_other_writes(sdk: Path) -> None:
    async with both(sdk, {"a": 1}) as (ours, theirs, server):
        await theirs.listen("all", "/")
        await ours.reference("b/c").set(["x", None, "z"])
        await theirs.until_value("all", {"a": 1, "b": {"c": {"0": "x", "2": "z"}}})
        await theirs.call("update", path="/b", value={"c/1": "y", "d": 0.5})
        await until_value(ours.reference("b"), {"c": ["x", "y", "z"], "d": 0.5})
        await ours.reference("a").remove()
        await theirs.until_value("all", {"b": {"c": {"0": "x", "1": "y", "2": "z"}, "d": 0.5}})
        assert server.value() == {"b": {"c": ["x", "y", "z"], "d": 0.5}}


async def test_keys_pushed_by_either_sort_by_time(sdk: Path) -> None:
    async with both(sdk) as (ours, theirs, server):
        keys: list[Any] = []
        for number in range(3):
            pushed = ours.reference("list").push(number)
            assert pushed.write is not None
            await pushed.write
            keys.append(pushed.key)
            server.clock.advance(1)
        assert list(server.node("/list").keys()) == keys
        their_key = await theirs.call("push", path="/list", value=9)
        assert len(their_key) == len(keys[0])


async def test_queries_show_both_the_same(sdk: Path) -> None:
    data = {f"k{number}": {"score": number * 7 % 10} for number in range(10)}
    async with both(sdk, {"list": data}) as (ours, theirs, server):
        best = ours.reference("list").order_by_child("score").limit_to_last(3)
        names = [["orderByChild", "score"], ["limitToLast", 3]]
        await theirs.listen("best", "/list", names)
        await until_value(best, {key: data[key] for key in ("k1", "k4", "k7")})
        await theirs.call("set", path="/list/k0/score", value=99)
        await ours.reference("list/new").set({"score": 50})
        await theirs.call("remove", path="/list/k7")
        await ours.reference("list/k0/score").set(firekeep.increment(-90))
        wanted = {"k4": {"score": 8}, "k0": {"score": 9}, "new": {"score": 50}}
        await theirs.until_value("best", wanted)
        await until_value(best, wanted)
        assert (theirs.last("best") or {})["children"] == list(wanted)
        assert (await best.get()).keys() == list(wanted)
        assert server.value("/list/k0/score") == 9


async def test_transactions_of_both_lose_nothing(sdk: Path) -> None:
    def add_one(value: Any) -> int:
        return (value or 0) + 1

    async def count(database: firekeep.Database) -> None:
        for _ in range(10):
            assert (await database.reference("n").transaction(add_one)).committed

    async with both(sdk, {"n": 0}) as (ours, theirs, server):
        asked = [
            await theirs.ask("transaction", path="/n", change="add", operand=1) for _ in range(10)
        ]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count, ours)
            for number in asked:
                assert (await theirs.answer(number))["committed"]
        assert server.value("/n") == 20


async def test_presence_of_either_is_seen_by_the_other(sdk: Path) -> None:
    async with both(sdk) as (ours, theirs, server):
        await theirs.listen("presence", "/presence")
        await ours.reference("presence/us").on_disconnect().set(value=False)
        await ours.reference("presence/us").set(value=True)
        await theirs.call("onDisconnectSet", path="/presence/them", value=False)
        await theirs.call("set", path="/presence/them", value=True)
        await theirs.until_value("presence", {"us": True, "them": True})
        ours.go_offline()
        await theirs.until_value("presence", {"us": False, "them": True})
        ours.go_online()
        await theirs.call("goOffline")
        await until_value(ours.reference("presence"), {"us": False, "them": False})
        assert server.value("/presence") == {"us": False, "them": False}


async def test_the_server_s_time_and_sums_reach_both(sdk: Path) -> None:
    async with both(sdk, {"n": 1}) as (ours, theirs, server):
        server.clock.freeze(1_700_000_000_000)
        await theirs.listen("all", "/")
        await ours.reference().update({"n": firekeep.increment(2), "t": firekeep.TIMESTAMP})
        await theirs.call("set", path="/n", value={".sv": {"increment": 4}})
        wanted = {"n": 7, "t": 1_700_000_000_000}
        await theirs.until_value("all", wanted)
        await until_value(ours.reference(), wanted)


async def test_both_meet_again_after_the_line_broke(sdk: Path) -> None:
    async with both(sdk, {"a": 1}) as (ours, theirs, server):
        await theirs.listen("all", "/")
        await until_value(ours.reference(), {"a": 1})
        await theirs.until_value("all", {"a": 1})
        server.drop_connections()
        write = ours.reference("b").set(2)
        asked = await theirs.ask("set", path="/c", value=3)
        await write
        await theirs.answer(asked)
        wanted = {"a": 1, "b": 2, "c": 3}
        await theirs.until_value("all", wanted)
        await until_value(ours.reference(), wanted)
        assert server.value() == wanted


async def test_priorities_order_for_both(sdk: Path) -> None:
    async with both(sdk) as (ours, theirs, server):
        await theirs.listen("all", "/")
        await ours.reference("a").set(1, priority=3)
        await theirs.call("setWithPriority", path="/b", value={"x": 1}, priority="p")
        await theirs.call("set", path="/c", value=True)
        await ours.reference("a").set_priority("z")
        await theirs.until(lambda: (theirs.last("all") or {})["children"] == ["c", "b", "a"])
        snapshot = await ours.reference().get()
        assert snapshot.export() == (theirs.last("all") or {})["value"]
        assert server.node("/a").priority == "z"
