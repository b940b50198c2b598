"""References: where one can go from them, and what can be written there."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest
from tests.api.offline import URL, database, offline

import firekeep
from firekeep import Reference
from firekeep.exceptions import InvalidArgument, InvalidPath, InvalidValue
from firekeep_core.snap.keys import compare_keys

pytestmark = pytest.mark.anyio


def reference(path: str = "rooms/lobby") -> Reference:
    return database().reference(path)


# Navigating.


def test_one_can_go_down_and_up() -> None:
    lobby = reference()

    assert lobby.key == "lobby"
    assert str(lobby.child("a/b").path) == "/rooms/lobby/a/b"
    assert lobby.child("a/b") == lobby / "a" / "b"
    assert lobby.parent == lobby.root / "rooms"
    assert lobby.root.parent is None
    assert lobby.root.key is None


def test_its_text_is_its_url() -> None:
    assert str(reference()) == f"{URL}/rooms/lobby"
    assert str(reference("a b/ü")) == f"{URL}/a%20b/%C3%BC"


def test_a_key_that_is_no_text_for_utf_8_can_be_shown() -> None:
    assert str(reference("a/\ud800")) == f"{URL}/a/%ED%A0%80"
    assert repr(reference("\ud800")) == f"<Reference {URL}/%ED%A0%80>"


def test_equality_and_hash_are_by_database_and_path() -> None:
    db = database()

    assert db.reference("a/b") == db.reference("/a//b/")
    assert len({db.reference("a"), db.reference("a"), db.reference("b")}) == 2
    assert db.reference("a") != database().reference("a")
    assert db.reference("a") != "a"


def test_a_reference_is_the_query_of_all_that_is_there() -> None:
    db = database()

    assert db.reference("a") != db.reference("a").order_by_key()
    assert db.reference("a").params.is_default


def test_info_is_only_at_the_root() -> None:
    db = database()

    assert str(db.reference(".info/connected").path) == "/.info/connected"
    with pytest.raises(InvalidPath):
        db.reference("a").child(".info/connected")


# Writing.


@pytest.mark.parametrize(
    ("write", "value"),
    [
        (lambda ref: ref.set({"a": [1, 2], "b": None}), {"a": [1, 2]}),
        (lambda ref: ref.set(None), None),
        (
            lambda ref: ref.update({"x": 5, "deep/er": "y", "old": None}),
            {"x": 5, "deep": {"er": "y"}},
        ),
        (lambda ref: ref.remove(), None),
        (lambda ref: ref.set(firekeep.increment(2)), 2),
    ],
)
async def test_a_write_shows_before_the_call_returns(
    write: Callable[[Reference], firekeep.Write], value: object
) -> None:
    async with offline({"place": {"old": 1}}) as db:
        place = db.reference("place")
        values: list[Any] = []
        place.on_value(lambda snapshot: values.append(snapshot.value))

        handle = write(place)

        assert values == [{"old": 1}, value]
        assert handle.state == "queued"
        assert handle.path == place.path


async def test_a_timestamp_shows_the_estimated_time_of_the_server() -> None:
    # I-43
    async with offline() as db:
        values: list[Any] = []
        db.reference("at").on_value(lambda snapshot: values.append(snapshot.value))
        before = db.server_time().timestamp() * 1000

        db.reference("at").set({"a": firekeep.TIMESTAMP, "b": firekeep.TIMESTAMP})

        assert before - 1 <= values[0]["a"] <= db.server_time().timestamp() * 1000
        assert values[0]["a"] == values[0]["b"]


async def test_priorities_are_set_with_the_value_or_alone() -> None:
    async with offline() as db:
        place = db.reference("place")
        seen: list[Any] = []
        place.on_value(lambda snapshot: seen.append((snapshot.value, snapshot.priority)))

        place.set(1, priority="a")
        place.set_priority(5)
        place.update({".priority": None, "child": 2})
        place.set(3)

        assert seen == [(1, "a"), (1, 5), ({"child": 2}, None), (3, None)]


async def test_a_multi_path_update_is_one_event() -> None:
    # I-38
    async with offline({"a": {"x": 1}, "b": {"y": 2}}) as db:
        values: list[Any] = []
        db.reference().on_value(lambda snapshot: values.append(snapshot.value))

        db.reference().update({"a/x": 10, "b": None, "c/d": 3})

        assert values[1:] == [{"a": {"x": 10}, "c": {"d": 3}}]


async def test_an_update_of_nothing_is_confirmed_at_once() -> None:
    # I-46
    async with offline() as db:
        write = db.reference("a").update({})

        await write
        assert write.state == "confirmed"
        assert db.pending_writes() == []


async def test_pushed_keys_sort_by_time() -> None:
    async with offline() as db:
        messages = db.reference("messages")

        pushed = [messages.push({"n": number}) for number in range(50)]

        keys = [each.key or "" for each in pushed]
        assert all(compare_keys(a, b) < 0 for a, b in pairwise(keys))
        assert {len(key) for key in keys} == {20}
        assert pushed[7].write is not None
        assert pushed[7].write.path == pushed[7].path


async def test_pushing_nothing_only_makes_a_key() -> None:
    async with offline() as db:
        pushed = db.reference("messages").push()

        assert pushed.write is None
        assert pushed.parent == db.reference("messages")
        assert db.pending_writes() == []


class Odd:
    """Something that is no JSON."""


BAD_VALUES: list[object] = [
    Odd(),
    {1, 2},
    b"bytes",
    float("nan"),
    float("inf"),
    2**1100,
    {"a.b": 1},
    {"": 1},
    {5: 1},
    {"a": {"b/c": 1}},
    {".sv": "unknown-thing", "x": 1},
    {".value": 1, "x": 2},
    {".value": {"a": 1}},
    {".priority": True, ".value": 1},
]


@pytest.mark.parametrize("value", BAD_VALUES)
@pytest.mark.parametrize(
    "write",
    [
        lambda ref, value: ref.set(value),
        lambda ref, value: ref.update({"child": value}),
        lambda ref, value: ref.push(value),
        lambda ref, value: ref.on_disconnect().set(value),
        lambda ref, value: ref.on_disconnect().update({"child": value}),
    ],
)
async def test_a_value_that_cannot_be_is_refused_at_once_and_changes_nothing(
    write: Callable[[Reference, Any], object], value: object
) -> None:
    async with offline() as db:
        values: list[Any] = []
        db.reference("place").set("before")
        db.reference("place").on_value(lambda snapshot: values.append(snapshot.value))
        pending = db.pending_writes()

        with pytest.raises(InvalidArgument):
            write(db.reference("place"), value)

        assert values == ["before"]
        assert db.pending_writes() == pending


async def test_a_cyclic_value_is_refused() -> None:
    async with offline() as db:
        cyclic: list[Any] = []
        cyclic.append(cyclic)

        with pytest.raises(InvalidValue):
            db.reference("place").set(cyclic)


@pytest.mark.parametrize("levels", [31, 32, 33, 100_000])
async def test_depth_counts_the_path(levels: int) -> None:
    value: Any = 1
    for _ in range(levels - 1):
        value = {"k": value}
    async with offline() as db:
        if levels <= 32:
            db.reference("a").set(value)
        else:
            with pytest.raises(InvalidValue):
                db.reference("a").set(value)


async def test_a_string_above_10_mib_is_refused() -> None:
    # I-101
    async with offline() as db:
        with pytest.raises(InvalidValue):
            db.reference("a").set("x" * (10 * 1024 * 1024 + 1))
        assert db.pending_writes() == []


@pytest.mark.parametrize(
    "values",
    [
        {"a": 1, "a/b": 2},
        {"a/b": 2, "a": 1},
        {"": 1},
        {"/": 1},
        {"a.b": 1},
        {5: 1},
        [("a", 1)],
        None,
        {"a/b/.priority": True},
        {".info": 1},
        {".info/a": 1},
        {".info/.priority": 1},
    ],
)
async def test_an_update_without_sense_is_refused_at_once(values: Any) -> None:
    async with offline() as db:
        with pytest.raises(InvalidArgument):
            db.reference("place").update(values)
        assert db.pending_writes() == []


@pytest.mark.parametrize("priority", [True, {"a": 1}, float("nan"), [1]])
async def test_a_priority_is_a_number_or_text(priority: Any) -> None:
    async with offline() as db:
        with pytest.raises(InvalidArgument):
            db.reference("place").set_priority(priority)
        with pytest.raises(InvalidArgument):
            db.reference("place").set(1, priority=priority)
        assert db.pending_writes() == []


@pytest.mark.parametrize(
    "write",
    [
        lambda ref: ref.set(1),
        lambda ref: ref.update({"a": 1}),
        lambda ref: ref.update({"a/b": 1}),
        lambda ref: ref.remove(),
        lambda ref: ref.set_priority(1),
        lambda ref: ref.push(1),
        lambda ref: ref.push(),
        lambda ref: ref.on_disconnect(),
        lambda ref: ref.transaction(lambda value: value),
        lambda ref: ref.keep_synced(True),
        lambda ref: ref.root.update({".info/connected": True}),
        lambda ref: ref.root.update({".info/.priority": 1}),
    ],
)
async def test_what_the_client_says_of_itself_cannot_be_written(
    write: Callable[[Reference], object],
) -> None:
    async with offline() as db:
        with pytest.raises(InvalidPath):
            write(db.reference(".info/connected"))
        assert db.pending_writes() == []


async def test_values_are_taken_as_they_are_at_the_call() -> None:
    async with offline() as db:
        value = {"list": [1]}
        db.reference("a").set(value)
        value["list"].append(2)

        assert (await db.reference("a").get("cache")).value == {"list": [1]}


async def test_a_mapping_that_cannot_be_read_is_refused_at_once_and_changes_nothing() -> None:
    class Broken(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise RuntimeError("broken")

        def __iter__(self) -> Any:
            return iter(["a"])

        def __len__(self) -> int:
            return 1

    async with offline() as db:
        for write in (
            lambda: db.reference("place").set(Broken()),
            lambda: db.reference("place").set({"below": [Broken()]}),
            lambda: db.reference("place").update(Broken()),
        ):
            with pytest.raises(InvalidValue, match=r"at /place.*Broken cannot be read.*broken"):
                write()
        assert db.pending_writes() == []


async def test_any_mapping_and_sequence_can_be_written() -> None:
    class Own(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return {"a": (1, 2)}[key]

        def __iter__(self) -> Any:
            return iter(["a"])

        def __len__(self) -> int:
            return 1

    async with offline() as db:
        db.reference("place").set(Own())
        db.reference("place").update(Own())

        assert (await db.reference("place").get("cache")).value == {"a": [1, 2]}
