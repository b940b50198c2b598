"""Iterators: bounded, honest about what they lose, ended by every kind of end."""

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.api.driven import World, settle
from tests.api.engine.dialogue import answer, push
from tests.api.offline import database, offline, over

from firekeep import Database, Event, EventStream
from firekeep.exceptions import BufferOverflow, PermissionDenied

pytestmark = pytest.mark.anyio


def shown(events: list[Event]) -> list[tuple[str, str | None, Any]]:
    return [(event.kind, event.snapshot.key, event.snapshot.value) for event in events]


async def take(stream: EventStream, count: int) -> list[Event]:
    return [await anext(stream) for _ in range(count)]


async def drain(stream: EventStream) -> list[Event]:
    """Take what is there and end."""
    stream.close()
    return [event async for event in stream]


# Values.


async def test_values_begin_with_what_is_known_and_go_on() -> None:
    async with offline({"a": 1}) as db:
        values: list[Any] = []
        async for snapshot in db.reference("a").values():
            values.append(snapshot.value)
            if snapshot.value == 4:
                break
            db.reference("a").set(snapshot.value + 1)

        assert values == [1, 2, 3, 4]


async def test_values_that_are_not_taken_give_way_to_the_latest() -> None:
    async with offline({"a": 0}) as db:
        stream = db.reference("a").values()
        for number in range(1, 1000):
            db.reference("a").set(number)

        assert (await anext(stream)).value == 999
        stream.close()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_larger_buffer_keeps_the_last_values() -> None:
    async with offline({"a": 0}) as db:
        stream = db.reference("a").values(buffer=3)
        for number in range(1, 10):
            db.reference("a").set(number)
        stream.close()

        assert [snapshot.value async for snapshot in stream] == [7, 8, 9]


async def test_an_iterator_listens_from_its_creation() -> None:
    async with offline() as db:
        stream = db.reference("a").events("value")
        db.reference("a").set(1)
        db.reference("a").set(2)

        assert shown(await drain(stream)) == [("value", "a", 1), ("value", "a", 2)]


async def test_a_consumer_that_waits_is_woken() -> None:
    async with offline() as db:
        seen: list[Any] = []

        async def consume() -> None:
            async for snapshot in db.reference("a").values():
                seen.append(snapshot.value)
                if snapshot.value == "end":
                    return

        async with anyio.create_task_group() as group:
            group.start_soon(consume)
            await settle()
            assert seen == []
            db.reference("a").set("end")

        assert seen == ["end"]


# Events.


async def test_events_are_those_of_children_unless_others_are_named() -> None:
    async with offline({"x": 1}) as db:
        children = db.reference().events()
        named = db.reference().events("child_removed", "value")
        db.reference("y").set(2)
        db.reference("x").remove()

        assert shown(await drain(children)) == [
            ("child_added", "x", 1),
            ("child_added", "y", 2),
            ("child_removed", "x", 1),
        ]
        assert [event.kind for event in await drain(named)] == [
            "value",
            "value",
            "child_removed",
            "value",
        ]


async def test_an_event_says_whether_it_is_initial_and_what_caused_it() -> None:
    async with offline({"x": 1}) as db:
        stream = db.reference().events()
        write = db.reference("y").set(2)
        write.cancel()

        events = await drain(stream)

        assert [(event.kind, event.initial, event.origin) for event in events] == [
            ("child_added", True, events[0].origin),
            ("child_added", False, "local"),
            ("child_removed", False, "revert"),
        ]
        assert [event.previous_key for event in events] == [None, "x", None]


async def test_an_overflow_is_raised_after_what_was_kept() -> None:
    async with offline() as db:
        stream = db.reference("room").events(buffer=3)
        for number in range(5):
            db.reference(f"room/k{number}").set(number)

        kept = await take(stream, 3)

        assert [event.snapshot.key for event in kept] == ["k0", "k1", "k2"]
        for _ in range(2):
            with pytest.raises(BufferOverflow, match="more than 3 events of /room"):
                await anext(stream)
        assert db.cache_info().queries == 0


async def test_a_full_buffer_is_no_overflow() -> None:
    async with offline() as db:
        stream = db.reference("room").events(buffer=3)
        for key in "abc":
            db.reference("room").child(key).set(1)
        await take(stream, 1)
        db.reference("room/d").set(1)

        assert [event.snapshot.key for event in await drain(stream)] == ["b", "c", "d"]


async def test_initial_events_count_too() -> None:
    async with offline({f"k{number}": number for number in range(4)}) as db:
        stream = db.reference().events(buffer=3)

        await take(stream, 3)
        with pytest.raises(BufferOverflow):
            await anext(stream)


async def test_conflated_events_tell_what_became_of_each_child() -> None:
    async with offline({"old": 1, "gone": 1, "same": 1}) as db:
        stream = db.reference().events(buffer=3, overflow="conflate")
        assert len(await take(stream, 3)) == 3

        db.reference("new").set(1)
        db.reference("new").set(2)
        db.reference("old").set(2)
        db.reference("old").set(3)
        db.reference("brief").set(1)
        db.reference("brief").remove()
        db.reference("gone").set(2)
        db.reference("gone").remove()
        db.reference("same").remove()
        db.reference("same").set(5)

        assert shown(await drain(stream)) == [
            ("child_added", "new", 2),
            ("child_changed", "old", 3),
            ("child_removed", "gone", 2),
            ("child_moved", "same", 5),
            ("child_changed", "same", 5),
        ]


async def test_conflation_ends_when_it_has_caught_up() -> None:
    async with offline() as db:
        stream = db.reference("room").events(buffer=2, overflow="conflate")
        for number in range(10):
            db.reference("room/k").set(number)
        (only,) = await take(stream, 1)
        assert (only.kind, only.snapshot.value) == ("child_added", 9)

        db.reference("room/k").set("x")
        db.reference("room/k").set("y")

        assert shown(await take(stream, 2)) == [
            ("child_changed", "k", "x"),
            ("child_changed", "k", "y"),
        ]


async def test_conflation_gives_only_the_kinds_asked_for() -> None:
    async with offline({"a": 1, "b": 1}) as db:
        stream = db.reference().events("child_changed", buffer=1, overflow="conflate")
        for number in range(5):
            db.reference("a").set(number)
            db.reference("b").set(number)
        db.reference("b").remove()

        assert shown(await drain(stream)) == [("child_changed", "a", 4), ("child_changed", "b", 4)]


async def test_what_comes_back_is_no_news_to_who_hears_of_coming_and_going_only() -> None:
    async with offline({"a": 1, "b": 1}) as db:
        stream = db.reference().events(
            "child_added", "child_removed", buffer=1, overflow="conflate"
        )
        assert len(await take(stream, 2)) == 2
        for key in "abc":
            db.reference(key).remove()
            db.reference(key).set(2)

        assert shown(await drain(stream)) == [("child_added", "c", 2)]


async def test_a_child_that_comes_back_to_a_query_by_key_has_not_moved() -> None:
    async with offline({"a": 1}) as db:
        stream = db.reference().order_by_key().events(buffer=1, overflow="conflate")
        assert len(await take(stream, 1)) == 1
        db.reference("a").remove()
        db.reference("a").set(2)

        assert shown(await drain(stream)) == [("child_changed", "a", 2)]


# Properties of the policies.

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from("abcdef"), st.integers(0, 9)),
        st.tuples(st.just("remove"), st.sampled_from("abcdef"), st.just(0)),
        st.tuples(st.just("take"), st.just(""), st.integers(1, 4)),
    ),
    max_size=60,
)


def act(db: Database, step: tuple[str, str, int]) -> None:
    kind, key, number = step
    if kind == "set":
        db.reference("room").child(key).set({"n": number})
    elif kind == "remove":
        db.reference("room").child(key).remove()


def replay(children: list[tuple[str, Any]], event: Event) -> None:
    """Apply an event as a user's list does: remove, or put after the previous key."""
    key = event.snapshot.key
    assert key is not None
    present = [name for name, _ in children]
    if event.kind == "child_added":
        assert key not in present, "added twice"
    else:
        assert key in present, f"{event.kind} of what is not there"
    if event.kind == "child_changed":
        children[present.index(key)] = (key, event.snapshot.value)
        return
    if event.kind != "child_added":
        del children[present.index(key)]
    if event.kind == "child_removed":
        return
    names = [name for name, _ in children]
    place = names.index(event.previous_key) + 1 if event.previous_key in names else 0
    children.insert(place, (key, event.snapshot.value))


@given(steps=STEPS, size=st.integers(1, 5))
def test_no_policy_holds_more_than_its_bound_nor_loses_in_silence(
    steps: list[tuple[str, str, int]], size: int
) -> None:
    async def run() -> None:
        async with offline({"room": {"a": {"n": 1}}}) as db:
            query = db.reference("room").order_by_child("n")
            complete = query.events(buffer=10_000)
            strict = query.events(buffer=size)
            folded = query.events(buffer=size, overflow="conflate")
            taken: list[Event] = []
            for step in steps:
                act(db, step)
                assert len(strict._buffer._items) <= size  # type: ignore[attr-defined]
                held = folded._buffer
                assert len(held._items) + 2 * len(held._folded._children) <= max(size, 12) + size  # type: ignore[attr-defined]
                if step[0] == "take":
                    for _ in range(step[2]):
                        event = held.take()
                        if event is not None:
                            taken.append(event)
            everything = await drain(complete)

            # error: a prefix of everything, then the error; or everything.
            kept: list[Event] = []
            try:
                while True:
                    event = strict._buffer.take()
                    if event is None:
                        break
                    kept.append(event)
                is_whole = strict._buffer.error is None
            finally:
                strict.close()
            assert shown(kept) == shown(everything)[: len(kept)]
            assert len(kept) == len(everything) if is_whole else len(kept) == size

            # conflate: what is taken and what is left give the same children.
            expected: list[tuple[str, Any]] = []
            for event in everything:
                replay(expected, event)
            children: list[tuple[str, Any]] = []
            for event in taken + await drain(folded):
                replay(children, event)
            assert dict(children) == dict(expected)

    anyio.run(run)


# Blocking.


async def test_a_blocking_iterator_stops_the_reading_until_half_is_taken() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        db = over(world)
        stream = db.reference("room").events(buffer=4, overflow="block")
        await server.serve("/room", {f"k{number}": number for number in range(4)})
        await server.send(push("/room/k4", 4))
        waiting = stream._buffer._items  # type: ignore[attr-defined]
        assert len(waiting) == 4

        await take(stream, 1)
        await settle()
        assert len(waiting) == 3
        await take(stream, 1)
        await settle()

        assert [event.snapshot.key for event in await take(stream, 3)] == ["k2", "k3", "k4"]


async def test_what_one_message_brings_is_kept_whole() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        stream = over(world).reference("room").events(buffer=2, overflow="block")
        await server.serve("/room", {f"k{number}": number for number in range(10)})

        assert len(await take(stream, 10)) == 10


async def test_a_local_event_beyond_a_blocking_buffer_ends_it() -> None:
    async with offline({"room": {"a": 1, "b": 2}}) as db:
        stream = db.reference("room").events(buffer=2, overflow="block")
        db.reference("room/c").set(3)

        assert len(await take(stream, 2)) == 2
        with pytest.raises(BufferOverflow):
            await anext(stream)


async def test_a_blocking_iterator_that_is_closed_holds_nothing_up() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        db = over(world)
        values: list[Any] = []
        db.reference("other").on_value(lambda snapshot: values.append(snapshot.value))
        await server.serve("/other", 1)
        stream = db.reference("room").events(buffer=1, overflow="block")
        await server.serve("/room", {"a": 1})
        await server.send(push("/other", 2))
        await server.send(push("/other", 3))
        assert values[-1] != 3

        stream.close()
        await settle()

        assert values[-1] == 3


# Ends.


async def test_leaving_a_with_block_stops_listening() -> None:
    async with offline() as db:
        async with db.reference("a").values():
            assert db.cache_info().queries == 1
        assert db.cache_info().queries == 0


async def test_cancelling_a_wait_loses_nothing() -> None:
    async with offline() as db:
        stream = db.reference("a").events("value")
        with anyio.move_on_after(0):
            await anext(stream)
        db.reference("a").set(1)
        db.reference("a").set(2)

        assert [event.snapshot.value for event in await take(stream, 2)] == [1, 2]


async def test_cancelling_between_items_loses_none() -> None:
    async with offline() as db:
        stream = db.reference("room").events("child_added")
        for number in range(200):
            db.reference(f"room/{number:03}").set(number)

        taken: list[int] = []
        for _ in range(210):
            with anyio.CancelScope() as scope:
                scope.cancel()
                taken.append((await anext(stream)).snapshot.value)

        assert taken == list(range(200))


async def test_a_consumer_that_never_waits_can_be_cancelled() -> None:
    async with offline({"a": 0}) as db:
        with anyio.move_on_after(0.05) as scope:
            async for snapshot in db.reference("a").values():
                write = db.reference("a").set(snapshot.value + 1)
                db.pending_writes()[0].cancel() if len(db.pending_writes()) > 3 else None
                del write

        assert scope.cancelled_caught


async def test_a_refusal_is_raised_after_what_came_before() -> None:
    world = World()
    async with world.driver:
        server = await world.connect()
        db = over(world)
        events = db.reference("a").events()
        values = db.reference("a").values()
        folded = db.reference("a").events(overflow="conflate")
        db.reference("a/x").set(1)

        await server.send(answer(await server.request("q"), "permission_denied", "no"))

        assert shown(await take(events, 1)) == [("child_added", "x", 1)]
        assert shown(await take(folded, 1)) == [("child_added", "x", 1)]
        for stream in (events, values, folded):
            with pytest.raises(PermissionDenied):
                while True:
                    await anext(stream)


async def test_two_consumers_of_one_iterator_share_its_events() -> None:
    async with offline() as db:
        stream = db.reference("room").events()
        seen: list[str | None] = []

        async def consume() -> None:
            seen.extend([event.snapshot.key async for event in stream])

        async with anyio.create_task_group() as group:
            group.start_soon(consume)
            group.start_soon(consume)
            await settle()
            for key in "abcdef":
                db.reference("room").child(key).set(1)
            await settle()
            stream.close()

        assert sorted(filter(None, seen)) == list("abcdef")


async def test_metadata_are_those_of_the_moment() -> None:
    async with database() as db:
        stream = db.reference("a").events("value")
        db.reference("a").set(1)
        db.purge_outstanding_writes()

        (event,) = await take(stream, 1)

        assert event.snapshot.metadata.has_pending_writes
