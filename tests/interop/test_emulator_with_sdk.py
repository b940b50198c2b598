"""The official JavaScript SDK on our emulator."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.interop.node_peer import NodePeer, PeerError, install, run

from firekeep.emulator import Emulator
from firekeep_core.query.params import QueryParams

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def sdk() -> Path:
    """Return where the SDK is installed."""
    return install("sdk")


@asynccontextmanager
async def connected(sdk: Path, server: Emulator) -> AsyncGenerator[NodePeer]:
    """Run the SDK on the emulator until the block ends."""
    async with run(sdk, "client.mjs", server.url) as peer:
        yield peer


async def test_it_hears_its_own_writes_and_those_of_others(sdk: Path) -> None:
    async with Emulator(data={"a": 1}) as server, connected(sdk, server) as client:
        await client.listen("all", "/")
        await client.until_value("all", {"a": 1})
        await client.call("set", path="/b", value={"c": [1, 2]})
        await client.call("update", path="/", value={"b/d": True, "a": None})
        server.set("/e", 5)
        expected = {"b": {"c": {"0": 1, "1": 2}, "d": True}, "e": 5}
        await client.until_value("all", expected)
        assert server.value() == {"b": {"c": [1, 2], "d": True}, "e": 5}


async def test_a_local_write_does_not_flicker(sdk: Path) -> None:
    async with Emulator(data={"n": 1}) as server, connected(sdk, server) as client:
        await client.listen("n", "/n")
        await client.until_value("n", 1)
        await client.call("set", path="/n", value=2)
        await client.call("set", path="/n", value=3)
        assert [event["value"] for event in client.events("n")] == [1, 2, 3]


async def test_pushed_children_keep_their_order(sdk: Path) -> None:
    async with Emulator() as server, connected(sdk, server) as client:
        keys = [await client.call("push", path="/list", value=n) for n in range(5)]
        assert list(server.node("/list").keys()) == keys
        assert server.value("/list") == dict(zip(keys, range(5), strict=True))


async def test_get_reads_values_and_queries(sdk: Path) -> None:
    data = {"a": {"n": 3}, "b": {"n": 1}, "c": {"n": 2}}
    async with Emulator(data=data) as server, connected(sdk, server) as client:
        assert (await client.call("get", path="/b/n"))["value"] == 1
        assert (await client.call("get", path="/nothing"))["value"] is None
        query = [["orderByChild", "n"], ["limitToLast", 2]]
        found = await client.call("get", path="/", query=query)
        assert found["children"] == ["c", "a"]


async def test_transactions_of_two_clients_lose_nothing(sdk: Path) -> None:
    async with (
        Emulator(data={"n": 0}) as server,
        connected(sdk, server) as one,
        connected(sdk, server) as other,
    ):
        asked = [
            (client, await client.ask("transaction", path="/n", change="add", operand=1))
            for client in (one, other) * 10
        ]
        results = [await client.answer(number) for client, number in asked]
        assert all(result["committed"] for result in results)
        assert server.value("/n") == 20


async def test_a_transaction_on_unknown_data_is_rerun_with_the_truth(sdk: Path) -> None:
    async with Emulator(data={"list": ["a"]}) as server, connected(sdk, server) as client:
        result = await client.call("transaction", path="/list", change="append", operand="b")
        assert result == {"committed": True, "value": {"0": "a", "1": "b"}}
        assert server.value("/list") == ["a", "b"]
        result = await client.call(
            "transaction", path="/list", change="abortUnlessNull", operand="x"
        )
        assert result["committed"] is False


async def test_the_server_resolves_timestamps_and_increments(sdk: Path) -> None:
    async with Emulator(data={"n": 40}) as server, connected(sdk, server) as client:
        server.clock.freeze(1_700_000_000_000)
        await client.listen("all", "/")
        stamp, two_more = {".sv": "timestamp"}, {".sv": {"increment": 2}}
        await client.call("update", path="/", value={"t": stamp, "n": two_more})
        expected = {"n": 42, "t": 1_700_000_000_000}
        await client.until_value("all", expected)
        assert server.value() == expected


async def test_priorities_arrive(sdk: Path) -> None:
    async with Emulator() as server, connected(sdk, server) as client:
        await client.listen("all", "/")
        await client.call("setWithPriority", path="/a", value=1, priority=9)
        await client.call("setWithPriority", path="/b", value={"c": 2}, priority="x")
        await client.call("set", path="/c", value=3)
        await client.call("setPriority", path="/a", priority=-1)
        event = client.last("all")
        assert event is not None
        assert event["children"] == ["c", "a", "b"]
        assert server.node("/a").priority == -1
        server.set("/a/.priority", "z")
        await client.until(lambda: (client.last("all") or event)["children"] == ["c", "b", "a"])


async def test_presence_is_written_when_the_client_goes(sdk: Path) -> None:
    async with Emulator() as server, connected(sdk, server) as watcher:
        await watcher.listen("presence", "/presence")
        async with connected(sdk, server) as client:
            await client.call(
                "onDisconnectSet", path="/presence/u1", value={"at": {".sv": "timestamp"}}
            )
            await client.call("onDisconnectUpdate", path="/presence", value={"u2": 1, "u3/x": 2})
            await client.call("onDisconnectCancel", path="/presence/u2")
            await client.call("set", path="/presence/u1", value=True)
            await watcher.until_value("presence", {"u1": True})
            server.clock.freeze(1234)
            await client.call("goOffline")
            await watcher.until_value("presence", {"u1": {"at": 1234}, "u3": {"x": 2}})


async def test_it_comes_back_after_a_drop_and_sends_what_it_wrote(sdk: Path) -> None:
    async with Emulator(data={"a": 1}) as server, connected(sdk, server) as client:
        await client.listen("all", "/")
        await client.listen("connected", "/.info/connected")
        await client.until_value("all", {"a": 1})
        await client.call("goOffline")
        await client.until_value("connected", value=False)
        written = await client.ask("set", path="/b", value=2)
        await client.until_value("all", {"a": 1, "b": 2})
        server.set("/a", 7)
        await client.call("goOnline")
        await client.answer(written)
        await client.until_value("all", {"a": 7, "b": 2})
        assert server.value() == {"a": 7, "b": 2}

        server.drop_connections()
        await client.call("set", path="/c", value=3)
        assert server.value("/c") == 3


async def test_values_of_many_segments_arrive_both_ways(sdk: Path) -> None:
    text = "✔ é 🐵" * 50_000
    async with Emulator() as server, connected(sdk, server) as client:
        await client.listen("long", "/long")
        await client.call("set", path="/mine", value="x" * 300_000)
        server.set("/long", text)
        await client.until_value("long", text)
        assert server.value("/mine") == "x" * 300_000


async def test_a_refused_write_is_taken_back_and_a_revoked_listen_cancelled(sdk: Path) -> None:
    async with Emulator(data={"a": 1}) as server, connected(sdk, server) as client:
        await client.listen("a", "/a")
        query = [["limitToLast", 1]]
        await client.listen("query", "/", query)
        await client.until_value("query", {"a": 1})
        server.deny("/a", read=False)
        with pytest.raises(PeerError, match="PERMISSION_DENIED"):
            await client.call("set", path="/a", value=2)
        assert [event["value"] for event in client.events("a")] == [1, 2, 1]
        assert server.revoke("/a") == 1
        assert server.revoke("/", {"l": 1, "vf": "r"}) == 1
        for listener in ("a", "query"):
            await client.until(lambda name=listener: client.last(name)["event"] == "cancel")  # type: ignore[index, misc]
        server.deny("/secret")
        await client.listen("secret", "/secret")
        await client.until(lambda: bool(client.events("secret")))
        assert client.events("secret")[0]["value"] == "PERMISSION_DENIED"


CHILDREN: dict[str, Any] = {
    "a": {"n": 1, "s": "x"},
    "b": {"n": 1, "s": "y"},
    "c": {"n": -2.5},
    "d": {"n": "text"},
    "e": {"n": True, "s": {"deep": 1}},
    "f": {"s": "é"},
    "1": 5,
    "2": {".value": 5, ".priority": 2},
    "10": {".value": "ten", ".priority": 2},
    "g": {"n": 1, ".priority": "p"},
    "h": False,
}
BOUNDS: dict[str, list[list[Any]]] = {
    "all": [],
    "from": [["startAt", 1]],
    "after": [["startAfter", 1]],
    "after b": [["startAfter", 1, "b"]],
    "to": [["endAt", "text"]],
    "before": [["endBefore", 1]],
    "between": [["startAt", 1, "b"], ["endAt", 5, "g"]],
    "equal": [["equalTo", 1]],
    "null": [["equalTo", None]],
}
KEY_BOUNDS: dict[str, list[list[Any]]] = {
    "all": [],
    "from": [["startAt", "10"]],
    "after": [["startAfter", "2"]],
    "to": [["endAt", "c"]],
    "before": [["endBefore", "a"]],
    "equal": [["equalTo", "e"]],
}
LIMITS: dict[str, list[list[Any]]] = {
    "no limit": [],
    "first 2": [["limitToFirst", 2]],
    "last 3": [["limitToLast", 3]],
}
ORDERS: list[list[Any]] = [
    ["orderByChild", "n"],
    ["orderByChild", "s/deep"],
    ["orderByValue"],
    ["orderByPriority"],
    ["orderByKey"],
]
WRITES: list[tuple[str, Any]] = [
    ("/l/b/n", 0),
    ("/l/new", {"n": 1, "s": {"deep": 0}}),
    ("/l/a", None),
    ("/l/2", {".value": 7, ".priority": 1}),
    ("/l/h", {"n": 1, "x": 1}),
    ("/l/f/n", "zzz"),
    ("/l/c/n", 1),
    ("/l/10", 1),
]
NAMES = {
    "startAt": "start_at",
    "startAfter": "start_after",
    "endAt": "end_at",
    "endBefore": "end_before",
    "equalTo": "equal_to",
    "limitToFirst": "limit_to_first",
    "limitToLast": "limit_to_last",
    "orderByChild": "order_by_child",
    "orderByKey": "order_by_key",
    "orderByValue": "order_by_value",
    "orderByPriority": "order_by_priority",
}


def all_queries() -> dict[str, list[list[Any]]]:
    """Return every order with every bound and limit that it may have."""
    queries: dict[str, list[list[Any]]] = {}
    for order in ORDERS:
        bounds = KEY_BOUNDS if order == ["orderByKey"] else BOUNDS
        for (bound, calls), (limit, more) in product(bounds.items(), LIMITS.items()):
            queries[f"{'/'.join(order)} {bound} {limit}"] = [order, *calls, *more]
    return queries


def params_of(query: list[list[Any]]) -> QueryParams:
    params = QueryParams.DEFAULT
    for name, *arguments in query:
        params = getattr(params, NAMES[name])(*arguments)
    return params


async def test_every_query_shows_what_the_server_holds_after_every_write(sdk: Path) -> None:
    queries = all_queries()
    async with Emulator(data={"l": CHILDREN}) as server, connected(sdk, server) as client:
        for name, query in queries.items():
            await client.listen(name, "/l", query)
        for path, value in [("/other", 1), *WRITES]:
            server.set(path, value)
            await client.call("set", path="/sync", value=1)
            node = server.node("/l")
            for name, query in queries.items():
                event = client.last(name)
                assert event is not None, name
                expected = [key for key, _ in params_of(query).window(node)]
                assert event["children"] == expected, (path, name)
