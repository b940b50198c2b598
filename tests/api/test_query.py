"""Queries: built step by step, checked at once, read once."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.api.offline import database, offline

import firekeep
from firekeep import Query, Reference
from firekeep.exceptions import InvalidArgument, InvalidQuery, NotCached, Offline, TimedOut

pytestmark = pytest.mark.anyio

SCORES = {"ada": 3, "bob": 1, "cid": 2}


def query() -> Reference:
    return database().reference("scores")


def test_each_step_gives_a_new_query() -> None:
    scores = query()

    top = scores.order_by_value().limit_to_last(2)

    assert isinstance(top, Query)
    assert not isinstance(top, Reference)
    assert scores.params.is_default
    assert (top.path, top.key) == (scores.path, "scores")


def test_queries_are_equal_by_database_path_and_parameters() -> None:
    db = database()
    scores = db.reference("scores")

    one = scores.order_by_key().start_at("a").limit_to_first(2)
    other = scores.limit_to_first(2).order_by_key().start_at("a")

    assert one == other
    assert hash(one) == hash(other)
    assert one != scores
    assert one != db.reference("other").order_by_key().start_at("a").limit_to_first(2)
    assert scores != database().reference("scores")
    assert scores.order_by_value().start_at(1) == scores.order_by_value().start_at(1.0)


@pytest.mark.parametrize(
    "build",
    [
        lambda q: q.order_by_key().order_by_value(),
        lambda q: q.order_by_child(""),
        lambda q: q.order_by_child("$key"),
        lambda q: q.start_at(1).start_after(2),
        lambda q: q.start_at(1).equal_to(2),
        lambda q: q.end_at(1).end_before(2),
        lambda q: q.limit_to_first(1).limit_to_last(1),
        lambda q: q.limit_to_first(0),
        lambda q: q.limit_to_first(1.5),
        lambda q: q.limit_to_first(2**31),
        lambda q: q.order_by_key().start_at(5),
        lambda q: q.order_by_key().start_at("a", "b"),
        lambda q: q.order_by_priority().start_at(True),
        lambda q: q.order_by_value().start_at(float("nan")),
        lambda q: q.order_by_value().start_at({"a": 1}),
        lambda q: q.order_by_child("x").end_at(1, "a/b"),
    ],
)
def test_a_combination_without_sense_is_refused_at_once(build: Callable[[Any], Query]) -> None:
    # I-13
    with pytest.raises(InvalidQuery):
        build(query())


@pytest.mark.parametrize(
    "call",
    [
        lambda q: q.on_value(5),
        lambda q: q.on_child_added(lambda *_: None, "no"),
        lambda q: q.values(buffer=0),
        lambda q: q.values(buffer=True),
        lambda q: q.values(buffer=10**30),
        lambda q: q.events(["value"]),
        lambda q: q.events("child_vanished"),
        lambda q: q.events(overflow="spill"),
        lambda q: q.events(buffer=-1),
        lambda q: q.keep_synced(1),
    ],
)
async def test_a_bad_argument_is_refused_at_once_and_nothing_listens(
    call: Callable[[Any], object],
) -> None:
    async with offline() as db:
        with pytest.raises(InvalidArgument):
            call(db.reference("scores"))

        assert db.cache_info().queries == 0


async def test_bounds_and_limits_choose_the_children() -> None:
    async with offline(SCORES) as db:
        scores = db.reference()

        scores.keep_synced(True)
        top = await scores.order_by_value().limit_to_last(2).get("cache")

        assert [child.key for child in top] == ["cid", "ada"]
        assert top.value == {"cid": 2, "ada": 3}


async def test_the_cache_gives_what_a_live_listener_holds() -> None:
    async with offline(SCORES) as db, db.reference().values():
        snapshot = await db.reference("ada").get(source="cache")

        assert snapshot.value == 3
        assert snapshot.metadata == (True, True, True)


async def test_the_cache_does_not_guess() -> None:
    async with offline() as db:
        with pytest.raises(NotCached, match="/scores"):
            await db.reference("scores").get(source="cache")


async def test_without_a_wanted_connection_the_server_cannot_be_asked() -> None:
    async with offline() as db:
        with pytest.raises(Offline, match="/scores"):
            await db.reference("scores").get(source="server")


async def test_a_read_never_hangs() -> None:
    # I-103
    async with offline() as db:
        db.go_online()
        with pytest.raises(Offline):
            await db.reference("scores").get(timeout=0.01)


@pytest.mark.parametrize("seconds", [-1, "soon", True, float("nan"), [], 10**400])
async def test_a_timeout_without_sense_is_refused(seconds: Any) -> None:
    async with offline() as db:
        with pytest.raises(InvalidArgument):
            await db.reference().get(timeout=seconds)
        with pytest.raises(InvalidArgument):
            await db.wait_for_pending_writes(seconds)


async def test_a_source_that_does_not_exist_is_refused() -> None:
    async with offline() as db:
        with pytest.raises(InvalidArgument):
            await db.reference().get(source="disk")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["vanished", None, ["value"]])
async def test_an_event_of_no_kind_is_not_waited_for(kind: Any) -> None:
    async with offline() as db:
        with pytest.raises(InvalidArgument, match="kind of event"):
            await db.reference().once(kind)
        assert db.cache_info().queries == 0


async def test_once_gives_the_first_event_and_stops_listening() -> None:
    async with offline(SCORES) as db:
        first = await db.reference().order_by_value().once("child_added")

        assert first.key == "bob"
        assert db.cache_info().queries == 0


async def test_once_from_the_cache_does_not_wait() -> None:
    async with offline(SCORES) as db:
        with pytest.raises(NotCached):
            await db.reference().once("child_removed", source="cache")


async def test_once_gives_up_after_its_timeout() -> None:
    async with offline(SCORES) as db:
        with pytest.raises((Offline, TimedOut)):
            await db.reference().once("child_removed", timeout=0.01)

        assert db.cache_info().queries == 0


async def test_keeping_twice_is_keeping_once() -> None:
    # I-72
    async with offline(SCORES) as db:
        top = db.reference("scores").order_by_value().limit_to_last(1)
        db.reference("scores").keep_synced(True)
        top.keep_synced(True)
        top.keep_synced(True)

        assert [kept.query for kept in db.kept_synced()] == [db.reference("scores"), top]

        db.reference("scores").keep_synced(False)

        assert [kept.query for kept in db.kept_synced()] == [top]

        top.keep_synced(False)

        assert db.kept_synced() == []


def test_it_shows_what_it_means() -> None:
    scores = query()

    assert str(scores.limit_to_first(1)) == f"{firekeep_url()}/scores"
    assert "limit" in repr(scores.limit_to_first(1)) or "l" in repr(scores.limit_to_first(1))
    assert repr(scores) == f"<Reference {firekeep_url()}/scores>"


def firekeep_url() -> str:
    return firekeep.Database("https://demo-test.firebaseio.com").url.rstrip("/")


async def test_offline_one_reads_what_one_wrote() -> None:
    async with offline() as db:
        db.reference("scores").set(SCORES)

        snapshot = await db.reference("scores").order_by_value().limit_to_first(1).get()

        assert snapshot.value == {"bob": 1}
        assert snapshot.metadata == (True, True, True)
        with pytest.raises(Offline):
            await db.reference("scores").get(source="server")
        with pytest.raises(Offline):
            await db.reference("other").get()
