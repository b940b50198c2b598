"""Callbacks: when they run, in which order, and when they do not any more."""

import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from tests.api.driven import World, settle
from tests.api.engine.dialogue import answer, push
from tests.api.offline import database, offline, over

import firekeep
from firekeep import Snapshot
from firekeep.exceptions import BufferOverflow, FirekeepError, PermissionDenied
from firekeep.serial_callback import BACKLOG

pytestmark = pytest.mark.anyio

PEOPLE = {"ada": {"age": 36}, "bob": {"age": 20}, "cid": {"age": 50}}


async def test_a_plain_callback_runs_before_the_write_returns() -> None:
    async with offline() as db:
        order: list[Any] = []
        db.reference("a").on_value(lambda snapshot: order.append(snapshot.value))

        order.append("write")
        db.reference("a").set(1)
        order.append("written")

        assert order == ["write", 1, "written"]


async def test_child_callbacks_hear_of_their_own_kind_with_the_key_before() -> None:
    async with offline(PEOPLE) as db:
        heard: list[tuple[str, str | None, str | None]] = []
        by_age = db.reference().order_by_child("age")

        def hear(kind: str) -> Callable[[Snapshot, str | None], None]:
            return lambda snapshot, previous_key: heard.append((kind, snapshot.key, previous_key))

        by_age.on_child_added(hear("added"))
        by_age.on_child_changed(hear("changed"))
        by_age.on_child_moved(hear("moved"))
        by_age.on_child_removed(hear("removed"))
        assert heard == [("added", "bob", None), ("added", "ada", "bob"), ("added", "cid", "ada")]

        heard.clear()
        db.reference("bob/age").set(40)
        assert heard == [("moved", "bob", "ada"), ("changed", "bob", "ada")]

        heard.clear()
        db.reference("ada").remove()
        db.reference("eve").set({"age": 60})
        assert heard == [("removed", "ada", None), ("added", "eve", "cid")]


async def test_a_removed_child_is_shown_as_it_was() -> None:
    async with offline(PEOPLE) as db:
        last: list[Any] = []
        db.reference().on_child_removed(lambda snapshot, _: last.append(snapshot.value))

        db.reference("ada").remove()

        assert last == [{"age": 36}]


async def test_a_snapshot_says_where_it_lies() -> None:
    async with offline(PEOPLE) as db:
        paths: list[str] = []
        db.reference().on_child_added(lambda snapshot, _: paths.append(str(snapshot.path)))
        db.reference().order_by_key().on_value(lambda snapshot: paths.append(str(snapshot.path)))

        assert paths == ["/ada", "/bob", "/cid", "/"]


async def test_a_snapshot_in_a_callback_never_changes() -> None:
    # I-11
    async with offline({"n": 0}) as db:
        kept: list[tuple[Snapshot, Any]] = []
        db.reference().on_value(lambda snapshot: kept.append((snapshot, snapshot.value)))
        for number in range(1, 20):
            db.reference("n").set(number)
            db.reference(f"k{number}").set({"deep": number})

        assert len(kept) == 39
        assert all(snapshot.value == value for snapshot, value in kept)


async def test_a_later_listener_hears_what_is_there_and_others_nothing() -> None:
    # I-25
    async with offline(PEOPLE) as db:
        first: list[str | None] = []
        second: list[str | None] = []
        db.reference().on_child_added(lambda snapshot, _: first.append(snapshot.key))
        db.reference().on_child_added(lambda snapshot, _: second.append(snapshot.key))

        assert first == second == ["ada", "bob", "cid"]


async def test_nothing_is_said_of_what_is_not_known() -> None:
    # I-29
    async with offline() as db:
        values: list[Any] = []
        added: list[str | None] = []
        db.reference("room").on_value(lambda snapshot: values.append(snapshot.value))
        db.reference("room").on_child_added(lambda snapshot, _: added.append(snapshot.key))

        db.reference("room/x").set(1)

        assert values == []
        assert added == ["x"]


async def test_no_callback_after_close_returns() -> None:
    # I-31
    async with offline() as db:
        values: list[Any] = []
        listener = db.reference("a").on_value(lambda snapshot: values.append(snapshot.value))
        db.reference("a").set(1)

        listener.close()
        listener.close()
        db.reference("a").set(2)

        assert values == [1]
        assert listener.is_closed


async def test_closing_in_a_callback_ends_it_at_once() -> None:
    # I-31
    async with offline(PEOPLE) as db:
        heard: list[str | None] = []
        listeners: list[firekeep.Listener] = []

        def hear(snapshot: Snapshot, previous_key: str | None) -> None:
            heard.append(snapshot.key)
            for each in listeners:
                each.close()

        listeners.append(db.reference().on_child_changed(hear))
        listeners.append(db.reference().on_child_changed(hear))
        db.reference().update({"ada/age": 1, "bob/age": 2, "cid/age": 3})

        assert heard == ["ada"]


async def test_a_with_block_closes_it() -> None:
    async with offline() as db:
        with db.reference("a").on_value(lambda snapshot: None) as listener:
            assert not listener.is_closed
            assert repr(listener) == "<ValueListener at /a: open>"
        assert listener.is_closed
        assert db.cache_info().queries == 0


async def test_one_callback_twice_is_two_listeners() -> None:
    async with offline() as db:
        values: list[Any] = []

        def hear(snapshot: Snapshot) -> None:
            values.append(snapshot.value)

        first = db.reference("a").on_value(hear)
        db.reference("a").on_value(hear)
        db.reference("a").set(1)
        first.close()
        db.reference("a").set(2)

        assert values == [1, 1, 2]


async def test_a_failing_callback_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    # I-32
    async with offline() as db:
        values: list[Any] = []
        error = ValueError("mine")

        def fail(snapshot: Snapshot) -> None:
            raise error

        db.reference("a").on_value(fail)
        db.reference("a").on_value(lambda snapshot: values.append(snapshot.value))
        db.reference("a").set(1)
        db.reference("a").set(2)

        assert values == [1, 2]
        assert db.status.last_error is error
        assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.ERROR]


async def test_a_write_in_a_callback_is_heard_after_what_came_before() -> None:
    # I-30
    async with offline() as db:
        heard: list[tuple[str, Any]] = []

        def correct(snapshot: Snapshot) -> None:
            heard.append(("first", snapshot.value))
            if snapshot.value is not None and snapshot.value < 3:
                db.reference("a").set(snapshot.value + 1)

        db.reference("a").on_value(correct)
        db.reference("a").on_value(lambda snapshot: heard.append(("second", snapshot.value)))
        db.reference("a").set(1)

        assert [value for who, value in heard if who == "first"] == [1, 2, 3]
        assert [value for who, value in heard if who == "second"] == [1, 2, 3]
        assert heard[:2] == [("first", 1), ("second", 1)]


async def test_deep_nesting_of_callbacks_loses_nothing() -> None:
    # I-30
    async with offline() as db:
        values: list[int] = []

        def count(snapshot: Snapshot) -> None:
            values.append(snapshot.value)
            if snapshot.value < 2000:
                db.reference("a").set(snapshot.value + 1)

        db.reference("a").on_value(count)
        db.reference("a").set(0)

        assert values == list(range(2001))


# Asynchronous callbacks.


async def test_an_asynchronous_callback_runs_one_call_at_a_time_in_order() -> None:
    async with offline() as db:
        log: list[tuple[str, str | None]] = []

        async def hear(snapshot: Snapshot, previous_key: str | None) -> None:
            log.append(("begin", snapshot.key))
            await anyio.lowlevel.checkpoint()
            log.append(("end", snapshot.key))

        db.reference("room").on_child_added(hear)
        for key in "abc":
            db.reference("room").child(key).set(1)
        assert log == [], "it runs in a task of its own"
        await settle()

        assert log == [(when, key) for key in "abc" for when in ("begin", "end")]


async def test_of_the_values_that_an_asynchronous_callback_misses_it_gets_the_last() -> None:
    async with offline() as db:
        values: list[Any] = []
        gate = anyio.Event()

        async def hear(snapshot: Snapshot) -> None:
            values.append(snapshot.value)
            await gate.wait()

        db.reference("a").on_value(hear)
        db.reference("a").set(0)
        await settle()
        for number in range(1, 100):
            db.reference("a").set(number)
        gate.set()
        await settle()

        assert values == [0, 99]


async def test_an_asynchronous_callback_that_falls_behind_too_far_is_told_and_ended() -> None:
    async with offline() as db:
        errors: list[FirekeepError] = []
        calls: list[str | None] = []

        async def never_ends(snapshot: Snapshot, previous_key: str | None) -> None:
            calls.append(snapshot.key)
            await anyio.sleep_forever()

        listener = db.reference("room").on_child_added(never_ends, errors.append)
        db.reference("room").update({"first": 1})
        await settle()
        db.reference("room").update({f"k{number}": 1 for number in range(BACKLOG)})
        assert errors == []
        db.reference("room/one-more").set(1)

        assert [type(error) for error in errors] == [BufferOverflow]
        assert listener.is_closed
        assert calls == ["first"]


async def test_a_failing_asynchronous_callback_goes_on_with_what_waits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # I-32
    async with offline() as db:
        keys: list[str | None] = []

        async def hear(snapshot: Snapshot, previous_key: str | None) -> None:
            keys.append(snapshot.key)
            if snapshot.key == "a":
                raise ValueError("mine")

        db.reference("room").on_child_added(hear)
        db.reference("room").update({"a": 1, "b": 2, "c": 3})
        await settle()

        assert keys == ["a", "b", "c"]
        assert caplog.text.count("ValueError: mine") == 1


async def test_a_plain_function_may_return_something_to_await() -> None:
    async with offline() as db:
        done: list[Any] = []

        async def later(value: Any) -> None:
            await anyio.lowlevel.checkpoint()
            done.append(value)

        db.reference("a").on_value(lambda snapshot: later(snapshot.value))
        db.reference("a").set(1)
        db.reference("a").set(2)
        await settle()

        assert done == [1, 2]


async def test_an_object_with_an_asynchronous_call_is_one() -> None:
    class Hearer:
        def __init__(self) -> None:
            self.values: list[Any] = []

        async def __call__(self, snapshot: Snapshot) -> None:
            self.values.append(snapshot.value)

    async with offline() as db:
        hearer = Hearer()
        db.reference("a").on_value(hearer)
        db.reference("a").set(1)
        await settle()

        assert hearer.values == [1]


async def test_closing_drops_calls_of_an_asynchronous_callback_that_wait() -> None:
    # I-31
    async with offline() as db:
        keys: list[str | None] = []
        gate = anyio.Event()

        async def hear(snapshot: Snapshot, previous_key: str | None) -> None:
            keys.append(snapshot.key)
            await gate.wait()

        listener = db.reference("room").on_child_added(hear)
        db.reference("room").update({"a": 1, "b": 2})
        await settle()
        listener.close()
        gate.set()
        await settle()

        assert keys == ["a"]


async def test_leaving_cancels_an_asynchronous_callback() -> None:
    ended: list[str] = []

    async def hear(snapshot: Snapshot) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    async with database() as db:
        db.reference("a").on_value(hear)
        db.reference("a").set(1)
        await settle()
        db.purge_outstanding_writes()

    assert ended == ["cancelled"]


# The server's part.


async def test_a_refused_listen_ends_with_the_reason_once() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        errors: list[FirekeepError] = []
        values: list[Any] = []
        db = over(world)
        listener = db.reference("a").on_value(
            lambda snapshot: values.append(snapshot.value), errors.append
        )
        db.reference("a").on_child_added(lambda *_: None)

        await server.send(answer(await server.request("q"), "permission_denied", "no"))

        assert [str(error) for error in errors] == ["permission_denied at /a: no"]
        assert isinstance(errors[0], PermissionDenied)
        assert listener.is_closed
        await server.send(push("/a", 5))
        assert values == []


async def test_a_cancelled_listen_without_a_callback_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        over(world).reference("a").on_value(lambda snapshot: None)

        await server.send(answer(await server.request("q"), "permission_denied", "no"))

        assert "the listener at /a has ended: permission_denied" in caplog.text


async def test_an_asynchronous_cancel_callback_runs_too() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        errors: list[FirekeepError] = []

        async def cancelled(error: FirekeepError) -> None:
            errors.append(error)

        over(world).reference("a").on_value(lambda snapshot: None, cancelled)
        await server.send(answer(await server.request("q"), "permission_denied", "no"))
        await settle()

        assert len(errors) == 1


async def test_confirmation_of_what_is_shown_is_silent() -> None:
    # I-27
    world = World()
    async with world.driver:
        server = await world.connect()
        values: list[Any] = []
        db = over(world)
        db.reference("a").on_value(lambda snapshot: values.append(snapshot.value))
        await server.serve("/a", None)

        write = db.reference("a").set(1)
        await server.send(push("/a", 1), answer(await server.request("p")))

        assert write.state == "confirmed"
        assert values == [None, 1]


async def test_metadata_tell_local_from_confirmed() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        seen: list[firekeep.Metadata] = []
        db = over(world)
        db.reference("a").on_value(lambda snapshot: seen.append(snapshot.metadata))
        await server.serve("/a", {"x": 1})
        db.reference("a/x").set(2)

        assert seen == [
            firekeep.Metadata(from_cache=False, has_pending_writes=False, complete=True),
            firekeep.Metadata(from_cache=False, has_pending_writes=True, complete=True),
        ]


async def test_connected_alternates_and_is_never_null() -> None:
    # I-92
    world = World()
    async with world.driver:
        values: list[Any] = []
        db = over(world)
        db.reference(".info/connected").on_value(lambda snapshot: values.append(snapshot.value))
        await world.connect()
        db.go_offline()

        assert values == [False, True, False]
