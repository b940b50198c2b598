"""Live sync: what one side does, the others hear of."""

import anyio
import pytest
from tests.end_to_end.served import client, served, until, until_value

import firekeep
from firekeep.exceptions import BufferOverflow, PermissionDenied

pytestmark = pytest.mark.anyio


async def test_a_listener_hears_of_the_servers_data_and_of_every_change() -> None:
    async with (
        served({"scores": {"ada": 1}}) as server,
        client(server) as db,
        db.reference("scores").values() as values,
    ):
        assert (await anext(values)).value == {"ada": 1}

        server.set("/scores/bob", 2)
        assert (await anext(values)).value == {"ada": 1, "bob": 2}

        server.set("/scores", None)
        assert not (await anext(values)).exists()


async def test_what_one_client_writes_another_receives() -> None:
    async with served() as server, client(server) as ada, client(server) as bob:
        ada.reference("messages").push({"text": "hello"})

        snapshot = await until(bob.reference("messages"), firekeep.Snapshot.has_children)

        assert [child["text"].value for child in snapshot] == ["hello"]


async def test_a_confirmed_write_is_told_once() -> None:
    async with served({"a": 1}) as server, client(server) as db:
        heard: list[object] = []
        await until_value(db.reference("a"), 1)
        with db.reference("a").on_value(lambda snapshot: heard.append(snapshot.value)):
            write = db.reference("a").set(2)

            assert heard[-1] == 2
            await write
            assert heard.count(2) == 1
            assert server.value("/a") == 2


async def test_the_first_events_tell_of_the_past() -> None:
    async with (
        served({"a": 1, "b": 2}) as server,
        client(server) as db,
        db.reference().events("value", "child_added") as events,
    ):
        first = [await anext(events) for _ in range(3)]
        server.set("/c", 3)
        later = [await anext(events) for _ in range(2)]

    assert [(event.kind, event.snapshot.key, event.initial) for event in first] == [
        ("child_added", "a", True),
        ("child_added", "b", True),
        ("value", None, True),
    ]
    assert [(event.kind, event.initial, event.origin) for event in later] == [
        ("child_added", False, "server"),
        ("value", False, "server"),
    ]


async def test_a_limited_query_follows_its_window() -> None:
    scores = {"ada": 1, "bob": 2, "cid": 3}
    async with served({"scores": scores}) as server, client(server) as db:
        top = db.reference("scores").order_by_value().limit_to_last(2)
        async with top.values() as values:
            assert (await anext(values)).keys() == ["bob", "cid"]

            server.set("/scores/ada", 9)
            assert (await anext(values)).keys() == ["cid", "ada"]

            server.set("/scores/ada", None)
            await until(top, lambda snapshot: snapshot.keys() == ["bob", "cid"])


async def test_a_refused_write_is_taken_back_and_says_why() -> None:
    async with served({"a": 1}) as server, client(server) as db:
        server.deny("/a", read=False)
        rejected: list[firekeep.Write] = []
        db.on_write_rejected(rejected.append)
        heard: list[object] = []
        with db.reference("a").on_value(lambda snapshot: heard.append(snapshot.value)):
            await until_value(db.reference("a"), 1)
            with pytest.raises(PermissionDenied) as caught:
                await db.reference("a").set(2)
            assert caught.value.path == "/a"
            assert rejected == []

            write = db.reference("a").set(3)
            await db.wait_for_pending_writes()

    assert heard == [1, 2, 1, 3, 1]
    assert rejected == [write]
    assert write.state == "rejected"
    assert server.value("/a") == 1


async def test_a_refused_listen_ends_with_the_reason() -> None:
    async with served({"a": 1}) as server, client(server) as db:
        server.deny("/a")
        errors: list[Exception] = []
        listener = db.reference("a").on_value(lambda _snapshot: None, errors.append)

        with pytest.raises(PermissionDenied):
            async for _ in db.reference("a").values():
                pass

        assert [type(error) for error in errors] == [PermissionDenied]
        assert listener.is_closed


async def test_a_revoked_listen_ends_after_what_it_gave() -> None:
    async with (
        served({"a": 1}) as server,
        client(server) as db,
        db.reference("a").values() as values,
    ):
        assert (await anext(values)).value == 1

        server.revoke("/a")

        with pytest.raises(PermissionDenied):
            await anext(values)


async def test_reads_do_not_need_a_listener() -> None:
    async with served({"a": {"b": 1}}) as server, client(server) as db:
        snapshot = await db.reference("a").get()

        assert snapshot.value == {"b": 1}
        assert snapshot.metadata == (False, False, True)
        assert (await db.reference("a").once()).value == {"b": 1}
        assert (await db.reference("a").once("child_added")).key == "b"
        assert (await db.reference("a").once("value", source="server")).value == {"b": 1}


async def test_transactions_of_two_clients_all_count() -> None:
    async with served({"n": 0}) as server, client(server) as ada, client(server) as bob:

        async def count(db: firekeep.Database) -> None:
            for _ in range(10):
                result = await db.reference("n").transaction(lambda value: (value or 0) + 1)
                assert result.committed

        async with anyio.create_task_group() as group:
            group.start_soon(count, ada)
            group.start_soon(count, bob)

        assert server.value("/n") == 20


async def test_a_slow_consumer_that_blocks_holds_up_the_socket_and_loses_nothing() -> None:
    async with served({"n": 0}) as server, client(server) as db:
        events = db.reference("n").events("value", buffer=4, overflow="block")
        seen = [(await anext(events)).snapshot.value]
        for number in range(1, 500):
            server.set("/n", number)

        while seen[-1] != 499:
            seen.append((await anext(events)).snapshot.value)

        assert seen == list(range(500))
        events.close()


async def test_a_slow_consumer_of_errors_is_told_that_it_lost_events() -> None:
    async with served({"n": 0}) as server, client(server) as db:
        events = db.reference("n").events("value", buffer=4)
        assert (await anext(events)).snapshot.value == 0
        for number in range(1, 500):
            server.set("/n", number)
        await until_value(db.reference("n"), 499)

        assert [(await anext(events)).snapshot.value for _ in range(4)] == [1, 2, 3, 4]
        with pytest.raises(BufferOverflow):
            await anext(events)
