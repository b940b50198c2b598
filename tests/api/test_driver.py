"""The driver: order of delivery, the connection's tasks, leaving."""

import logging
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.api.driven import Recorder, Server, World, at, listen, settle
from tests.api.engine.dialogue import DEFAULT, answer, control, push

from firekeep.driver import Driver
from firekeep.exceptions import (
    DatabaseClosed,
    Disconnected,
    Offline,
    PermissionDenied,
    ProtocolError,
    TimedOut,
    UsageError,
    WriteCancelled,
)
from firekeep.status import Status
from firekeep.write import Write
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.value import export, from_python
from firekeep_core.sync.event import KINDS, Event

pytestmark = pytest.mark.anyio

FIRST_TWO = QueryParams.DEFAULT.limit_to_first(2)


def put(driver: Driver, path: str, value: object) -> Write:
    return driver.set(at(path), from_python(value))


async def test_a_write_shows_before_the_call_returns_and_awaits_the_servers_answer() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        recorder = listen(driver, "/a")
        await server.serve("/a", None)

        write = put(driver, "/a", 5)

        assert recorder.values == [None, 5]
        request = await server.request("p")
        assert write.state == "sent"
        await server.send(push("/a", 5), answer(request))
        await write
        assert write.state == "confirmed"
        assert recorder.values == [None, 5]


async def test_awaiting_a_refused_write_raises_what_the_server_said() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        write = put(driver, "/a", 5)

        async def refuse() -> None:
            await server.send(answer(await server.request("p"), "permission_denied", "no"))

        driver.start_soon(refuse)
        with pytest.raises(PermissionDenied, match="no"):
            await write
        with pytest.raises(PermissionDenied):
            await write


async def test_a_refused_write_that_nobody_awaits_is_logged_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        refused: list[Write] = []
        remove = driver.add_rejection_callback(refused.append)
        write = put(driver, "/a", 5)
        await server.send(answer(await server.request("p"), "permission_denied", "no"))
        assert refused == [write]
        assert "a write at /a failed" in caplog.text

        remove()
        remove()
        put(driver, "/b", 5)
        await server.send(answer(await server.request("p"), "permission_denied", "no"))
        assert refused == [write]


async def test_a_write_in_a_callback_is_delivered_after_what_was_queued_before() -> None:
    # I-30
    world = World()
    log: list[Any] = []
    async with world.driver as driver:
        outer = Recorder(log=log)
        nested = Recorder(log=log)

        def write_once(event: Event) -> None:
            if len(outer.events) == 1:
                put(driver, "/a/y", 2)
                seen.append([export(event.node) for event in nested.events])

        outer.act = write_once
        seen: list[Any] = []
        listen(driver, "/a/x", outer)
        listen(driver, "/a", nested, KINDS["child_added"])

        put(driver, "/a", {"x": 1, "z": 3})

        assert [(who, event.key) for who, event in log] == [
            (outer, None),
            (nested, "x"),
            (nested, "z"),
            (nested, "y"),
        ]
        assert seen == [[1, 3, 2]], "the inner call had delivered everything when it returned"


async def test_writes_nested_deeper_than_the_stack_allows_lose_nothing() -> None:
    # I-30
    world = World()
    async with world.driver as driver:
        recorder = Recorder()

        def count_up(event: Event) -> None:
            value: Any = event.node.value
            if value < 2000:
                put(driver, "/n", value + 1)

        recorder.act = count_up
        listen(driver, "/n", recorder)

        put(driver, "/n", 0)

        assert recorder.values == list(range(2001))


async def test_a_failing_callback_disturbs_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # I-32
    world = World()
    async with world.driver as driver:
        failure = ZeroDivisionError("mine")

        def fail(event: Event) -> None:
            raise failure

        before = listen(driver, "/a")
        failing = listen(driver, "/a", Recorder(fail))
        after = listen(driver, "/a")

        write = put(driver, "/a", 1)
        put(driver, "/a", 2)

        assert before.values == failing.values == after.values == [1, 2]
        assert write.state == "queued"
        assert driver.status.last_error is failure
        assert "mine" in caplog.text


async def test_nothing_is_delivered_after_a_listener_was_removed() -> None:
    # I-31
    world = World()
    async with world.driver as driver:
        second = Recorder()
        third = Recorder()

        def remove_second(event: Event) -> None:
            driver.remove_listener(at("/a"), DEFAULT, second)

        listen(driver, "/a", Recorder(remove_second), KINDS["child_added"])
        listen(driver, "/a", second, KINDS["value"] | KINDS["child_added"])
        listen(driver, "/a", third, KINDS["child_added"])

        put(driver, "/a", {"x": 1, "y": 2})

        assert second.events == []
        assert [event.key for event in third.events] == ["x", "y"]


async def test_removing_one_of_several_queries_of_a_registration_keeps_the_others() -> None:
    # I-31
    world = World()
    async with world.driver as driver:
        recorder = Recorder()

        def remove_first(event: Event) -> None:
            driver.remove_listener(at("/a"), DEFAULT, recorder)

        listen(driver, "/a/x", Recorder(remove_first))
        listen(driver, "/a", recorder)
        listen(driver, "/a", recorder, params=FIRST_TWO)

        put(driver, "/a", {"x": 1})

        assert [event.params for event in recorder.events] == [FIRST_TWO]


async def test_a_broken_connection_is_replaced_and_the_queue_sent_again() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        write = put(driver, "/a", 1)
        await server.request("p")

        await server.drop()
        assert driver.status.connection == "waiting"
        assert isinstance(driver.status.last_error, Disconnected)
        await world.clock.advance(1.0)
        again = await world.connect()

        assert again.connect.last_session == "s1"
        await again.send(answer(await again.request("p")))
        assert write.state == "confirmed"


async def test_a_refusal_to_connect_shows_and_going_online_tries_at_once() -> None:
    world = World()
    world.net.refusal = Disconnected("db.example.com:443 refused the WebSocket: HTTP 403")
    async with world.driver as driver:
        await settle()
        assert driver.status.connection == "waiting"
        assert driver.status.last_error is world.net.refusal

        world.net.refusal = None
        driver.go_online()
        await world.connect()

        assert driver.status.connection == "online"


async def test_an_unexpected_failure_to_connect_is_one_more_attempt() -> None:
    world = World()
    world.net.refusal = RuntimeError("a bug in the connector")
    async with world.driver as driver:
        await settle()
        assert driver.status.connection == "waiting"
        world.net.refusal = None

        await world.clock.advance(2.0)
        await world.connect()

        assert driver.status.connection == "online"


@pytest.mark.parametrize(
    "hostile", ["{", "[1]", "\x00", '{"t":"d","d":{"a":"d","b":7}}', "99999999"]
)
async def test_hostile_messages_cost_the_connection_and_nothing_else(
    hostile: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        recorder = listen(driver, "/a")
        await server.serve("/a", 1)
        write = put(driver, "/b", 1)

        await server.send(hostile)

        assert driver.status.connection == "waiting"
        assert isinstance(driver.status.last_error, ProtocolError)
        assert "ProtocolError" in caplog.text
        assert driver.pending_writes() == [write]
        await world.clock.advance(2.0)
        again = await world.connect()
        await again.serve("/a", 2)
        assert recorder.values == [1, 2]


async def test_a_long_value_goes_out_and_comes_in_by_segments() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        recorder = listen(driver, "/a")
        await server.serve("/a", None)
        text = "🙂é" * 60_000

        put(driver, "/b", text)
        assert (await server.request("p"))["b"]["d"] == text
        await server.send(push("/a", text))

        assert recorder.values == [None, text]


async def test_the_timer_runs_on_the_clock_it_was_given() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        assert (await server.next())["d"]["a"] == "s"

        await world.clock.advance(45.0)
        assert await server.next() == 0
        assert (await server.next())["d"]["t"] == "p"
        await world.clock.advance(15.0)
        await world.clock.advance(1.0)

        assert len(world.net.servers) == 2
        assert driver.status.connection == "connecting"


async def test_a_read_gives_what_the_server_says() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        results: list[Any] = []

        async def read() -> None:
            results.append(await driver.get(at("/a"), DEFAULT, timeout_s=10.0))

        driver.start_soon(read)
        await server.send(answer(await server.request("g"), data={"x": 1}))

        assert export(results[0].node) == {"x": 1}
        assert not results[0].from_cache


async def test_a_read_ends_by_its_deadline() -> None:
    # I-103
    world = World()
    world.net.refusal = Disconnected("no network")
    async with world.driver as driver:
        errors: list[Exception] = []

        async def read() -> None:
            try:
                await driver.get(at("/a"), DEFAULT, timeout_s=10.0)
            except Offline as error:
                errors.append(error)

        driver.start_soon(read)
        await settle()
        await world.clock.advance(9.0)
        assert errors == []
        await world.clock.advance(1.0)

        assert len(errors) == 1


async def test_a_cancelled_read_is_forgotten() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        with anyio.move_on_after(0):
            await driver.get(at("/a"), DEFAULT, timeout_s=None)
        request = await server.request("g")

        await server.send(answer(request, data=1))
        await server.drop()
        await world.clock.advance(2.0)
        again = await world.connect()
        put(driver, "/b", 1)

        assert (await again.next())["d"]["a"] == "p"


async def test_waiting_for_pending_writes_waits_for_those_of_now() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        await driver.wait_for_pending_writes()
        put(driver, "/a", 1)
        put(driver, "/b", 1)
        done: list[str] = []

        async def wait() -> None:
            await driver.wait_for_pending_writes()
            done.append("done")

        driver.start_soon(wait)
        await settle()
        put(driver, "/c", 1)
        await server.send(answer(await server.request("p")))
        assert done == []
        await server.send(answer(await server.request("p")))
        assert done == ["done"]

        with pytest.raises(TimedOut):
            await driver.wait_for_pending_writes(timeout_s=0)


async def test_writes_can_be_found_cancelled_and_purged() -> None:
    world = World()
    async with world.driver as driver:
        driver.go_offline()
        first, second = put(driver, "/a", 1), put(driver, "/b", 2)
        assert driver.pending_writes() == [first, second]
        assert driver.pending_write(second.id) is second
        assert driver.has_pending_writes(at("/a/below"))
        assert not driver.has_pending_writes(at("/c"))

        assert first.cancel()
        assert not first.cancel()
        driver.purge()

        assert driver.pending_writes() == []
        for write in (first, second):
            with pytest.raises(WriteCancelled):
                await write


async def test_nothing_is_durable_without_persistence() -> None:
    world = World()
    async with world.driver as driver:
        with pytest.raises(UsageError, match="persistence"):
            await put(driver, "/a", 1).durable()


async def test_the_status_tells_every_step() -> None:
    world = World()
    seen: list[str] = []

    def note(status: Status) -> None:
        if not seen or seen[-1] != status.connection:
            seen.append(status.connection)

    remove = world.driver.add_status_callback(note)
    assert world.driver.status.connection == "offline"
    async with world.driver as driver:
        server = await world.connect()
        await server.send(control("s", "gone for good"))
        assert driver.status.reason == "gone for good"
        driver.go_online()
        await world.connect()
        driver.go_offline()
        remove()
        driver.go_online()

    assert seen == ["connecting", "online", "shutdown", "connecting", "online", "offline"]
    assert world.driver.status.connection == "offline"


async def test_a_failing_status_callback_is_no_endless_loop() -> None:
    world = World()

    def fail(status: Status) -> None:
        raise ZeroDivisionError

    world.driver.add_status_callback(fail)
    async with world.driver as driver:
        await world.connect()
        assert driver.status.connection == "online"
        assert isinstance(driver.status.last_error, ZeroDivisionError)


async def test_going_offline_before_entry_keeps_away() -> None:
    world = World()
    world.driver.go_offline()
    async with world.driver as driver:
        await settle()
        assert world.net.servers == []
        driver.go_online()
        await world.connect()
        assert driver.status.connection == "online"


async def test_credentials_come_from_their_provider_and_afresh_when_refused() -> None:
    asked: list[bool] = []

    async def provide(force: bool, /) -> str | None:
        asked.append(force)
        await anyio.lowlevel.checkpoint()
        return "owner"

    world = World(auth=provide)
    async with world.driver as driver:
        server = await world.connect()
        put(driver, "/a", 1)
        await server.send(answer(await server.request("gauth"), "expired_token", "old"))
        assert driver.status.auth == "expired"
        await world.clock.advance(2.0)
        again = await world.connect()
        await again.send(answer(await again.request("gauth")))

        assert (await again.request("p"))["b"]["p"] == "/a"
        assert driver.status.auth == "valid"
    assert asked == [False, True]


async def test_a_failing_provider_is_no_connection_and_another_attempt() -> None:
    failures = [OSError("no network")]

    async def provide(force: bool, /) -> str | None:
        await anyio.lowlevel.checkpoint()
        if failures:
            raise failures.pop()
        return None

    world = World(auth=provide)
    async with world.driver as driver:
        await settle()
        assert world.net.servers == []
        assert str(driver.status.last_error) == "the token provider failed: OSError"
        await world.clock.advance(2.0)
        await world.connect()
        assert driver.status.auth == "signed_out"


async def test_a_transactions_function_must_not_use_the_database() -> None:
    world = World()
    async with world.driver as driver:
        recorder = listen(driver, "/b")

        def misuse(value: Any) -> Any:
            put(driver, "/b", 1)
            return 1

        handle = driver.transaction(at("/a"), misuse)
        with pytest.raises(UsageError, match="must not use the database"):
            await handle
        assert recorder.values == []
        put(driver, "/b", 2)
        assert recorder.values == [2]


async def test_a_transaction_gives_its_outcome() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        handle = driver.transaction(at("/n"), lambda value: (value or 0) + 1)  # type: ignore[operator]
        await server.serve("/n", None)
        await server.send(push("/n", 1), answer(await server.request("p")))

        committed, node = await handle

        assert committed
        assert export(node) == 1


async def test_an_asynchronous_callback_that_fails_ends_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    async with world.driver as driver:

        async def fail() -> None:
            raise ZeroDivisionError("asynchronous")

        driver.start_soon(fail)
        await world.connect()

        assert "asynchronous" in caplog.text
        assert isinstance(driver.status.last_error, ZeroDivisionError)
        assert driver.status.connection == "online"


async def test_reading_stops_while_somebody_asks_for_it() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        recorder = listen(driver, "/a")
        await server.serve("/a", 1)
        one, other = object(), object()
        driver.pause_receiving(one)
        driver.pause_receiving(other)

        await server.send(push("/a", 2))
        await world.clock.advance(200.0)
        assert recorder.values == [1]
        driver.resume_receiving(one)
        await settle()
        assert recorder.values == [1]
        driver.resume_receiving(other)
        await settle()

        assert recorder.values == [1, 2]
        assert driver.status.connection == "online"


async def test_push_ids_follow_the_servers_clock() -> None:
    world = World()
    async with world.driver as driver:
        await world.connect()
        assert driver.server_time_ms() == world.clock.wall_ms() + 5000
        ids = [driver.next_push_id() for _ in range(100)]
        assert ids == sorted(set(ids))


async def test_metadata_say_what_the_server_has_confirmed() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        assert driver.view_metadata(at("/a"), DEFAULT) == (True, False)
        listen(driver, "/a")
        await server.serve("/a", 1)
        assert driver.view_metadata(at("/a"), DEFAULT) == (False, True)
        driver.go_offline()
        assert driver.view_metadata(at("/a"), DEFAULT) == (True, True)


async def test_keeping_synced_downloads_without_a_listener() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        driver.keep_synced(at("/a"), DEFAULT, True)
        await server.serve("/a", {"x": 1})
        assert driver.kept_synced() == [(at("/a"), DEFAULT)]

        assert listen(driver, "/a/x").values == [1]
        driver.keep_synced(at("/a"), DEFAULT, False)
        assert driver.kept_synced() == []


async def test_an_operation_for_the_end_of_the_connection_is_confirmed() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        write = driver.on_disconnect("set", at("/p"), from_python(False), persistent=True)
        await server.send(answer(await server.request("o")))
        await write


async def test_leaving_tells_who_still_waits_and_logs_what_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="firekeep")
    world = World()
    errors: list[Exception] = []
    async with anyio.create_task_group() as group, world.driver as driver:
        await world.connect()
        write = put(driver, "/a", 1)
        reading = driver.transaction(at("/b"), lambda value: 1)

        async def wait_for(something: Any) -> None:
            with pytest.raises(DatabaseClosed) as caught:
                await something
            errors.append(caught.value)

        group.start_soon(wait_for, write)
        group.start_soon(wait_for, reading)
        group.start_soon(wait_for, driver.get(at("/c"), DEFAULT, timeout_s=None))
        group.start_soon(wait_for, driver.wait_for_pending_writes())
        await settle()

    assert len(errors) == 4
    assert "2 writes" in caplog.text


async def test_leaving_closes_the_connection_and_delivers_nothing_more() -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        recorder = listen(driver, "/.info/connected")

    with pytest.raises(Disconnected):
        while True:
            await server.transport.receive()
    assert recorder.values == [True]


async def test_an_error_in_the_body_comes_out_as_it_is() -> None:
    world = World()
    with pytest.raises(ZeroDivisionError):
        async with world.driver:
            await world.connect()
            raise ZeroDivisionError

    with pytest.raises(Disconnected):
        while True:
            await world.net.servers[0].transport.receive()


async def test_a_cancelled_body_leaves_nothing_running() -> None:
    world = World()
    with anyio.CancelScope() as scope:
        async with world.driver:
            await world.connect()
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    with pytest.raises(Disconnected):
        while True:
            await world.net.servers[0].transport.receive()
    with pytest.raises(DatabaseClosed):
        put(world.driver, "/a", 1)


async def test_leaving_while_connecting_and_while_fetching_a_token() -> None:
    async def never(force: bool, /) -> str | None:
        await anyio.sleep_forever()
        return None

    for world in (World(), World(auth=never)):
        async with world.driver:
            pass
        assert world.driver.status.connection == "offline"


async def test_a_database_is_used_between_entry_and_exit_only() -> None:
    world = World()
    with pytest.raises(UsageError, match="async with"):
        put(world.driver, "/a", 1)
    async with world.driver:
        pass

    for use in (
        lambda: put(world.driver, "/a", 1),
        lambda: listen(world.driver, "/a"),
        lambda: world.driver.purge(),
        lambda: world.driver.transaction(at("/a"), lambda value: 1),
    ):
        with pytest.raises(DatabaseClosed):
            use()
    world.driver.remove_listener(at("/a"), DEFAULT, Recorder())
    world.driver.go_offline()
    with pytest.raises(UsageError):
        async with world.driver:
            pass


async def test_changing_ones_mind_at_once_leaves_no_connection() -> None:
    world = World()
    world.driver.go_offline()
    async with world.driver as driver:
        driver.go_online()
        driver.go_offline()
        await settle()
        assert world.net.servers == []
        driver.go_online()
        driver.go_offline()
        driver.go_online()
        await world.connect()
        assert len(world.net.servers) == 1
        assert driver.status.connection == "online"


async def test_a_failed_transaction_that_nobody_awaits_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        driver.transaction(at("/n"), lambda value: 1)
        await server.send(
            answer(await server.request("q"), data={}),
            answer(await server.request("p"), "permission_denied", "no"),
        )
        assert "permission_denied" in caplog.text


async def test_a_fault_of_ours_is_logged_and_the_client_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # I-107
    world = World()
    async with world.driver as driver:
        server = await world.connect()
        monkeypatch.setattr("firekeep.engine.engine.Engine.wake", _fail)
        await world.clock.advance(45.0)
        monkeypatch.undo()
        await world.clock.advance(1.0)
        assert await _until_ping(server)

        monkeypatch.setattr("firekeep.engine.engine.Engine.closed", _fail)
        await server.drop()
        monkeypatch.undo()
        assert caplog.text.count("internal error") == 2
        for _ in range(4):
            await world.clock.advance(20.0)
        await world.connect()

        assert driver.status.connection == "online"


def _fail(*arguments: object) -> None:
    raise AssertionError("an invariant does not hold")


async def _until_ping(server: Server) -> bool:
    while True:
        message = await server.next()
        if message != 0 and message["t"] == "c":
            return bool(message["d"]["t"] == "p")
