"""Without a connection, and back again."""

import anyio
import pytest
from tests.end_to_end.served import client, served, until, until_connection, until_value

import firekeep
from firekeep.exceptions import DatabaseClosed, Offline, WriteCancelled

pytestmark = pytest.mark.anyio


async def test_offline_writes_are_shown_at_once_and_sent_later_in_order() -> None:
    async with served({"n": 1}) as server, client(server) as db:
        await until_value(db.reference("n"), 1)
        with db.reference().on_value(lambda _snapshot: None):
            db.go_offline()
            await server.until(lambda: server.connections == 0)

            for number in range(2, 50):
                db.reference("n").set(number)
            write = db.reference("list").push("x").write

            assert (await db.reference("n").get("cache")).value == 49
            assert server.value("/n") == 1
            assert db.status.pending_writes == 49
            db.go_online()
            assert write is not None
            await write
            assert server.value("/n") == 49


async def test_two_clients_that_wrote_offline_end_equal_to_the_server() -> None:
    async with (
        served({"a": 0, "b": 0, "both": 0}) as server,
        client(server) as ada,
        client(server) as bob,
    ):
        with ada.reference().on_value(_ignore), bob.reference().on_value(_ignore):
            await until(ada.reference(), firekeep.Snapshot.exists)
            await until(bob.reference(), firekeep.Snapshot.exists)
            ada.go_offline()
            bob.go_offline()
            ada.reference().update({"a": 1, "both": firekeep.increment(1)})
            bob.reference().update({"b": 1, "both": firekeep.increment(1)})
            ada.go_online()
            bob.go_online()

            await ada.wait_for_pending_writes()
            await bob.wait_for_pending_writes()
            await until_value(ada.reference(), {"a": 1, "b": 1, "both": 2})
            await until_value(bob.reference(), {"a": 1, "b": 1, "both": 2})
            assert server.value() == {"a": 1, "b": 1, "both": 2}


async def test_a_long_value_survives_a_cut_in_the_middle_of_its_transfer() -> None:
    text = "x" * 200_000
    async with served() as server, client(server) as db:
        await until_connection(db, "online")
        server.cut_after(50_000, incoming=True)

        await db.reference("text").set(text)

        assert server.value("/text") == text


async def test_a_long_value_survives_a_cut_in_the_middle_of_its_arrival() -> None:
    text = "x" * 200_000
    async with served() as server, client(server) as db:
        await until_connection(db, "online")
        server.cut_after(50_000)
        server.set("/text", text)

        await until_value(db.reference("text"), text)


async def test_what_changed_while_away_arrives_with_the_connection() -> None:
    async with (
        served({"a": 1}) as server,
        client(server) as db,
        db.reference("a").values() as values,
    ):
        assert (await anext(values)).value == 1
        db.go_offline()
        await server.until(lambda: server.connections == 0)
        server.set("/a", 2)
        db.go_online()

        assert (await anext(values)).value == 2


async def test_a_lost_connection_is_made_again_by_itself() -> None:
    async with served({"a": 1}) as server, client(server) as db:
        await until_value(db.reference("a"), 1)
        with db.reference("a").on_value(_ignore):
            for number in range(2, 6):
                server.drop_connections()
                server.set("/a", number)
                await until_value(db.reference("a"), number)


async def test_a_server_that_sends_clients_away_is_obeyed_until_told_otherwise() -> None:
    async with served() as server, client(server) as db:
        await until_connection(db, "online")

        server.shutdown_clients("going down")
        status = await until_connection(db, "shutdown")

        assert "going down" in str(status.reason)
        db.go_online()
        await until_connection(db, "online")


async def test_a_cancelled_write_is_never_sent() -> None:
    async with served({"a": 1}) as server, client(server) as db:
        await until_value(db.reference("a"), 1)
        db.go_offline()
        write = db.reference("a").set(2)

        assert write.cancel()
        with pytest.raises(WriteCancelled):
            await write
        db.go_online()
        await db.reference("b").set(1)
        assert server.value("/a") == 1


async def test_purged_writes_are_never_sent() -> None:
    async with served({"a": 1}) as server, client(server) as db:
        await until_value(db.reference("a"), 1)
        db.go_offline()
        db.reference("a").set(2)
        db.reference("b").set(2)

        db.purge_outstanding_writes()

        assert db.pending_writes() == []
        db.go_online()
        await db.reference("c").set(3)
        assert server.value() == {"a": 1, "c": 3}


async def test_a_read_without_a_connection_never_hangs() -> None:
    async with served() as server, client(server) as db:
        db.go_offline()

        with pytest.raises(Offline):
            await db.reference("a").get()


async def test_presence_is_taken_back_by_the_server() -> None:
    async with served() as server, client(server) as ada, client(server) as bob:
        presence = ada.presence("online/ada", value="phone", last_seen="seen/ada")
        online = bob.reference("online/ada")
        snapshot = await until(online, firekeep.Snapshot.exists)
        assert [child.value for child in snapshot] == ["phone"]
        first = presence.record

        ada.go_offline()
        await until(online, lambda snapshot: not snapshot.exists())
        assert isinstance(server.value("/seen/ada"), int)
        assert presence.record is None

        ada.go_online()
        await until(online, firekeep.Snapshot.exists)
        assert presence.record not in (None, first)

        presence.close()
        await until(online, lambda snapshot: not snapshot.exists())


async def test_leaving_does_not_wait_and_says_what_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as server:
        db = client(server)
        async with db:
            db.go_offline()
            write = db.reference("a").set(1)
            stream = db.reference("a").values()
            await anext(stream)

        with pytest.raises(DatabaseClosed):
            await write
        with pytest.raises(DatabaseClosed):
            await anext(stream)
        with pytest.raises(DatabaseClosed):
            db.reference("a").set(2)
        assert "1 write" in caplog.text


async def test_whoever_waits_is_woken_when_the_database_is_left() -> None:
    async with served() as server:
        outcomes: list[str] = []
        async with (
            anyio.create_task_group() as group,
            client(server) as db,
        ):
            server.hold()

            async def consume() -> None:
                try:
                    await anext(db.reference("a").values())
                except DatabaseClosed:
                    outcomes.append("closed")

            group.start_soon(consume)
            await anyio.wait_all_tasks_blocked()

        assert outcomes == ["closed"]


def _ignore(_snapshot: firekeep.Snapshot) -> None:
    """Only keep the data there."""
