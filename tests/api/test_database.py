"""A database: opened, configured, entered, asked, left."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any

import anyio
import pytest
from tests.api.driven import World, settle
from tests.api.offline import URL, database, offline, over, unreachable

import firekeep
from firekeep import Config, Database, Path
from firekeep.exceptions import (
    ConfiguredTooLate,
    DatabaseClosed,
    InvalidArgument,
    InvalidPath,
    InvalidUrl,
    QueueFull,
    TimedOut,
    UsageError,
    WriteCancelled,
)

pytestmark = pytest.mark.anyio


# Opening.


@pytest.mark.parametrize("url", ["", "ftp://x.firebaseio.com", "https://x y.com", "https://short"])
def test_an_address_that_cannot_be_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidUrl):
        firekeep.open(url)


def test_the_address_of_a_location_is_not_a_database() -> None:
    with pytest.raises(InvalidUrl, match="reference"):
        firekeep.open(f"{URL}/scores")


@pytest.mark.parametrize(
    "options",
    [
        {"persistence": 5},
        {"auth": 5},
        {"app_check": object()},
        {"config": {"linger_s": 1}},
        {"config": Config(proxy="http://host:port")},
    ],
)
def test_a_bad_option_is_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        firekeep.open(URL, **options)


def test_the_emulator_of_the_environment_replaces_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIREBASE_DATABASE_EMULATOR_HOST", "localhost:9000")

    assert firekeep.open(URL).url == "http://localhost:9000/?ns=demo-test"


async def test_persistence_that_was_switched_off_again_is_no_matter() -> None:
    db = database(persistence=True)
    db.set_persistence_enabled(False)

    async with db:
        pass


async def test_firebases_setters_enable_persistence_in_the_place_for_state(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    db = database()
    db.set_persistence_enabled(True)
    db.set_persistence_cache_size_bytes(50 * 1024 * 1024)

    async with db:
        await db.reference("a").set(1).durable()
        assert db.cache_info().budget_bytes == 50 * 1024 * 1024

    assert list(tmp_path.rglob("queue"))


async def test_the_size_of_the_cache_can_be_set_before_it_is_enabled(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    db = database()
    db.set_persistence_cache_size_bytes(50 * 1024 * 1024)
    db.set_persistence_enabled(True)

    async with db:
        assert db.cache_info().budget_bytes == 50 * 1024 * 1024


async def test_a_directory_survives_that_persistence_is_switched_off_and_on(
    tmp_path: FilePath,
) -> None:
    db = database(persistence=tmp_path / "here")
    db.set_persistence_enabled(False)
    db.set_persistence_enabled(True)

    async with db:
        await db.reference("a").set(1).durable()

    assert list(tmp_path.rglob("here/queue"))


@pytest.mark.parametrize("size", [0, 1024 * 1024 - 1, -1, True, 2.5e6, "10"])
def test_a_cache_size_below_firebases_range_is_refused(size: Any) -> None:
    with pytest.raises(InvalidArgument):
        database().set_persistence_cache_size_bytes(size)


def test_a_flag_is_true_or_false() -> None:
    with pytest.raises(InvalidArgument):
        database().set_persistence_enabled("yes")  # type: ignore[arg-type]


async def test_settings_come_before_entering() -> None:
    async with offline() as db:
        with pytest.raises(ConfiguredTooLate):
            db.set_persistence_enabled(True)
        with pytest.raises(ConfiguredTooLate):
            db.set_persistence_cache_size_bytes(2**21)


# Entering and leaving.


async def test_it_is_entered_once() -> None:
    async with offline() as db:
        with pytest.raises(UsageError, match="once"):
            await db.__aenter__()
    with pytest.raises(UsageError, match="once"):
        await db.__aenter__()


CALLS: list[Callable[[Database], object]] = [
    lambda db: db.reference("a").set(1),
    lambda db: db.reference("a").update({"b": 1}),
    lambda db: db.reference("a").remove(),
    lambda db: db.reference("a").push(1),
    lambda db: db.reference("a").on_value(print),
    lambda db: db.reference("a").values(),
    lambda db: db.reference("a").events(),
    lambda db: db.reference("a").keep_synced(True),
    lambda db: db.reference("a").transaction(lambda value: value),
    lambda db: db.reference("a").on_disconnect().remove(),
    lambda db: db.presence("online"),
    lambda db: db.purge_outstanding_writes(),
    lambda db: db.clear_cache(),
]


async def test_after_leaving_there_are_no_status_changes_to_wait_for() -> None:
    async with database() as db:
        before = db.status_changes()

    assert (await anext(before)).connection == "offline"
    with pytest.raises(DatabaseClosed):
        await anext(before)
    with pytest.raises(DatabaseClosed):
        db.status_changes()


async def test_what_is_closed_after_leaving_is_closed_in_silence() -> None:
    world = World()
    async with world.driver:
        await world.connect()
        db = over(world)
        presence = db.presence("online", last_seen="seen")
        open_ones = [
            presence,
            db.presence("offline"),
            db.reference("a").on_value(print),
            db.reference("a").values(),
            db.status_changes(),
            db.on_status(print),
        ]

    for one in open_ones:
        one.close()
        one.close()
    assert presence.record is None


@pytest.mark.parametrize("call", CALLS)
def test_before_entering_it_does_nothing(call: Callable[[Database], object]) -> None:
    with pytest.raises(UsageError, match="async with") as caught:
        call(database())

    assert not isinstance(caught.value, DatabaseClosed)


@pytest.mark.parametrize("call", CALLS)
async def test_after_leaving_it_does_nothing(call: Callable[[Database], object]) -> None:
    async with database() as db:
        pass

    with pytest.raises(DatabaseClosed):
        call(db)


async def test_leaving_says_how_many_writes_are_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with database() as db:
        write = db.reference("a").set(1)
        db.reference("b").set(2)

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "2 writes" in caplog.text
    with pytest.raises(DatabaseClosed):
        await write


async def test_leaving_ends_what_is_awaited_and_iterated() -> None:
    ends: list[BaseException] = []

    async def expect_end(wait: Callable[[], Any]) -> None:
        try:
            await wait()
        except DatabaseClosed as error:
            ends.append(error)

    async with anyio.create_task_group() as group, database() as db:
        write = db.reference("a").set(1)
        values = db.reference("b").values()
        statuses = db.status_changes()
        await anext(statuses)
        db.go_online()

        async def wait_for_write() -> None:
            await write

        for wait in (
            wait_for_write,
            values.__anext__,
            db.wait_for_pending_writes,
            lambda: db.reference("c").get(timeout=None),
        ):
            group.start_soon(expect_end, wait)
        await settle()

    assert len(ends) == 4
    with pytest.raises(DatabaseClosed):
        while True:
            await anext(statuses)


async def test_an_exception_inside_leaves_as_it_is() -> None:
    class OwnError(Exception):
        pass

    with pytest.raises(OwnError):
        async with database():
            raise OwnError


async def test_a_cancellation_inside_leaves_as_it_is() -> None:
    with anyio.CancelScope() as scope:
        async with database() as db:
            db.reference("a").on_value(print)
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    with pytest.raises(DatabaseClosed):
        db.reference("a").set(1)


# References.


@pytest.mark.parametrize("path", [None, 0, False, [], b"", {}])
def test_what_is_empty_and_no_text_is_not_the_root(path: Any) -> None:
    with pytest.raises(InvalidPath):
        database().reference(path)


def test_a_reference_is_a_location() -> None:
    db = database()

    assert str(db.reference("a/b").path) == "/a/b"
    assert db.reference() == db.reference("/") == db.reference("").root
    assert db.get_reference("a") == db.reference(Path.parse("a"))
    assert db.url == f"{URL}/"


@pytest.mark.parametrize("path", ["a.b", "a/$x", "a#", "[x]", "a\0b", "x" * 800, 5, None])
def test_a_path_that_cannot_be_is_refused_at_once(path: Any) -> None:
    db = database()
    if path is None:
        path = ["a"]

    with pytest.raises(InvalidPath):
        db.reference(path)
    with pytest.raises(InvalidPath):
        db.reference("ok").child(path)


# The queue.


async def test_the_queue_shows_what_waits() -> None:
    async with offline() as db:
        first, second = db.reference("a").set(1), db.reference("b").update({"c": 2})

        assert db.pending_writes() == [first, second]
        assert db.pending_write(second.id) is second
        assert db.pending_write(10**9) is None
        for id in ([], "1", True, None):
            with pytest.raises(InvalidArgument):
                db.pending_write(id)  # type: ignore[arg-type]
        assert first.state == second.state == "queued"
        assert str(second.path) == "/b"
        assert db.status.pending_writes == 2
        assert db.status.pending_bytes > 0
        assert db.status.oldest_pending_ms is not None


async def test_waiting_for_writes_gives_up_after_its_timeout() -> None:
    async with offline() as db:
        await db.wait_for_pending_writes(timeout=0)
        write = db.reference("a").set(1)

        with pytest.raises(TimedOut):
            await db.wait_for_pending_writes(timeout=0.01)

        assert db.pending_writes() == [write]


async def test_a_cancelled_write_is_undone_and_says_so() -> None:
    async with offline() as db:
        values: list[Any] = []
        db.reference("a").set(1)
        db.reference("a").on_value(lambda snapshot: values.append(snapshot.value))
        write = db.reference("a").set(2)

        assert write.cancel()

        assert values == [1, 2, 1]
        assert write.state == "cancelled"
        assert not write.cancel()
        with pytest.raises(WriteCancelled):
            await write


async def test_purging_undoes_all_that_waits() -> None:
    # I-47
    async with offline() as db:
        values: list[Any] = []
        writes = [db.reference("a").set(number) for number in range(3)]
        db.reference("a").on_value(lambda snapshot: values.append(snapshot.value))

        db.purge_outstanding_writes()

        assert db.pending_writes() == []
        assert values == [2]
        assert [write.state for write in writes] == ["cancelled"] * 3


async def test_a_full_queue_refuses_a_write_and_shows_nothing_of_it() -> None:
    async with database(config=Config(max_pending_writes=2)) as db:
        values: list[Any] = []
        db.reference("a").set(1)
        db.reference("a").on_value(lambda snapshot: values.append(snapshot.value))
        db.reference("b").set(1)

        with pytest.raises(QueueFull):
            db.reference("a").set(2)

        assert values == [1]
        db.purge_outstanding_writes()
        db.reference("a").set(3)
        db.purge_outstanding_writes()


async def test_a_write_is_not_on_disk() -> None:
    async with offline() as db:
        with pytest.raises(UsageError, match="persistence"):
            await db.reference("a").set(1).durable()


# Status.


async def test_the_status_tells_why_there_is_no_connection() -> None:
    async with database() as db:
        assert db.status.connection == "offline"
        assert db.status.auth == "signed_out"

        db.go_online()
        async with db.status_changes() as changes:
            async for status in changes:
                if status.last_error is not None:
                    break

        assert status.connection == "waiting"
        assert "not to be reached" in str(status.last_error)
        db.go_offline()
        assert db.status.connection == "offline"
    assert db.status.connection == "offline"


async def test_status_callbacks_are_called_until_closed() -> None:
    async with database() as db:
        plain: list[str] = []
        watch = db.on_status(lambda status: plain.append(status.connection))

        db.go_online()
        assert plain == ["connecting"]
        watch.close()
        watch.close()
        db.go_offline()

        assert plain == ["connecting"]


async def test_an_asynchronous_status_callback_gets_the_latest() -> None:
    async with database() as db:
        seen: list[str] = []
        gate = anyio.Event()

        async def show(status: firekeep.Status) -> None:
            seen.append(status.connection)
            await gate.wait()

        db.on_status(show)
        db.go_online()
        await settle()
        db.go_offline()
        db.go_online()
        db.go_offline()
        gate.set()
        await settle()

        assert len(seen) == 2
        assert seen[-1] == "offline"


async def test_a_failing_status_callback_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # I-32
    async with database() as db:
        seen: list[str] = []
        error = ValueError("mine")

        def fail(status: firekeep.Status) -> None:
            raise error

        db.on_status(fail)
        db.on_status(lambda status: seen.append(status.connection))
        db.go_online()

        assert seen[0] == "connecting"
        assert db.status.last_error is error
        assert "mine" in caplog.text


async def test_a_failing_callback_is_told_to_who_hears_of_the_status() -> None:
    async with offline() as db:
        error = ValueError("mine")
        told: list[Exception | None] = []

        def fail(snapshot: firekeep.Snapshot) -> None:
            raise error

        async def fail_later(snapshot: firekeep.Snapshot) -> None:
            raise error

        db.on_status(lambda status: told.append(status.last_error))
        for place, callback in (("a", fail), ("b", fail_later)):
            db.reference(place).on_value(callback)
            told.clear()
            db.reference(place).set(1)
            await settle()
            assert told == [error]


async def test_a_failing_asynchronous_status_callback_is_not_told_of_its_own_failure() -> None:
    async with database() as db:
        seen: list[str] = []
        error = ValueError("mine")

        async def fail(status: firekeep.Status) -> None:
            seen.append(status.connection)
            raise error

        db.on_status(fail)
        db.go_online()
        await settle()
        calls = len(seen)
        await settle()

        assert len(seen) == calls
        assert db.status.last_error is error


@pytest.mark.parametrize("name", ["on_status", "on_write_rejected"])
async def test_a_callback_can_be_called(name: str) -> None:
    async with offline() as db:
        with pytest.raises(InvalidArgument):
            getattr(db, name)(5)


async def test_servers_time_is_the_local_one_before_it_is_known() -> None:
    async with offline() as db:
        before = datetime.now(UTC).replace(microsecond=0)

        assert before <= db.server_time() <= datetime.now(UTC)


# What is cached.


async def test_what_is_kept_and_listened_to_is_counted() -> None:
    async with offline({"a": {"x": 1}, "b": 2}) as db:
        assert db.cache_info()[:5] == (0, 0, 0, 0, 0)

        db.reference("a").keep_synced(True)
        listener = db.reference("b").on_value(lambda snapshot: None)
        info = db.cache_info()

        assert (info.queries, info.kept) == (2, 1)
        assert info.kept_bytes > 0
        listener.close()
        db.clear_cache()
        assert db.cache_info().queries == 1
        assert [kept.size_bytes for kept in db.kept_synced()] == [info.kept_bytes]


async def test_clearing_drops_what_only_lingers() -> None:
    async with database(config=Config(linger_s=60)) as db:
        db.reference("a").on_value(lambda snapshot: None).close()
        assert db.cache_info().queries == 1

        db.clear_cache()

        assert db.cache_info().queries == 0


def test_repr_names_address_and_connection() -> None:
    assert repr(database()) == f"<Database {URL}/: offline>"
    assert unreachable.__doc__
