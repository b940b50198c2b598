"""A firekeep client on npm's firebase-server, which knows a part of the protocol.

It answers listens, puts, merges and logins, and nothing else: no gets, no onDisconnect, no pings;
of a query it sends everything, and of timestamps it knows only plain ones.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.interop.node_peer import NodePeer, install, run

import firekeep
from firekeep.exceptions import FirekeepError

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def program() -> Path:
    """Return where the server is installed."""
    return install("firebase_server")


@asynccontextmanager
async def served(program: Path, data: object) -> AsyncGenerator[tuple[str, NodePeer]]:
    """Run the server; give its URL and what controls it."""
    async with run(program, "server.cjs", json.dumps(data)) as peer:
        await peer.until(lambda: bool(peer.events("port")))
        yield f"http://127.0.0.1:{peer.events('port')[0]['value']}?ns=any", peer


async def until_value(query: firekeep.Query, wanted: Any) -> None:
    """Listen until the value is what is wanted."""
    async with query.values() as values:
        async for snapshot in values:
            if snapshot.value == wanted:
                return


async def test_two_clients_see_what_either_writes(program: Path) -> None:
    async with (
        served(program, {"a": 1}) as (url, _),
        firekeep.open(url) as one,
        firekeep.open(url) as other,
    ):
        await until_value(one.reference(), {"a": 1})
        await one.reference("b/c").set([1, 2])
        await other.reference().update({"b/d": True, "a": None})
        await until_value(one.reference(), {"b": {"c": [1, 2], "d": True}})
        await until_value(other.reference("b/c"), [1, 2])


async def test_long_values_and_timestamps_arrive(program: Path) -> None:
    text = "✔ é" * 30_000
    async with served(program, None) as (url, peer), firekeep.open(url) as client:
        await client.reference("long").set(text)
        await client.reference("at").set(firekeep.TIMESTAMP)
        stored = await peer.call("value")
        assert stored["long"] == text
        assert stored["at"] > 1_600_000_000_000
        await until_value(client.reference("long"), text)


async def test_transactions_of_two_clients_lose_nothing(program: Path) -> None:
    def add_one(value: Any) -> int:
        return (value or 0) + 1

    async def count(client: firekeep.Database) -> None:
        for _ in range(5):
            result = await client.reference("n").transaction(add_one)
            assert result.committed

    async with (
        served(program, {"n": 0}) as (url, peer),
        firekeep.open(url) as one,
        firekeep.open(url) as other,
    ):
        # A client shows its result before the server has it: all have to be committed.
        async with anyio.create_task_group() as tasks:
            for client in (one, other):
                tasks.start_soon(count, client)
        await until_value(one.reference("n"), 10)
        assert await peer.call("value") == {"n": 10}


async def test_writes_made_while_the_line_is_down_are_sent_later(program: Path) -> None:
    async with served(program, {"a": 1}) as (url, peer), firekeep.open(url) as client:
        await until_value(client.reference("a"), 1)
        client.go_offline()
        write = client.reference("b").set(2)
        client.go_online()
        await write
        assert await peer.call("drop") == {"a": 1, "b": 2}
        await client.reference("c").set(3)
        assert await peer.call("value") == {"a": 1, "b": 2, "c": 3}


async def test_a_token_it_cannot_read_is_refused_in_its_words(program: Path) -> None:
    async with (
        served(program, None) as (url, _),
        firekeep.open(url, auth="nonsense") as client,
        client.status_changes() as changes,
    ):
        async for status in changes:
            if status.last_error is not None:
                assert isinstance(status.last_error, FirekeepError)
                return


async def test_a_query_shows_its_window_of_everything_that_is_sent(program: Path) -> None:
    data = {"a": 1, "b": 3, "c": 2}
    async with served(program, data) as (url, _), firekeep.open(url) as client:
        largest = client.reference().order_by_value().limit_to_last(2)
        await until_value(largest, {"b": 3, "c": 2})
        await client.reference("d").set(5)
        await until_value(largest, {"b": 3, "d": 5})
