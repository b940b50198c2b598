"""Snapshots: lazy, immutable, iterated in the order of their query."""

from dataclasses import dataclass, field
from typing import Any, TypedDict

import pytest

import firekeep.snapshot
from firekeep import Metadata, Path, Snapshot
from firekeep.exceptions import InvalidPath, InvalidValue
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.value import from_python

KNOWN = Metadata(from_cache=False, has_pending_writes=False, complete=True)


def snapshot(
    value: object, path: str = "/a", params: QueryParams = QueryParams.DEFAULT
) -> Snapshot:
    return Snapshot(from_python(value), Path.parse(path), params, KNOWN)


def test_it_names_its_location() -> None:
    shown = snapshot(1, "/rooms/lobby")

    assert shown.key == "lobby"
    assert str(shown.path) == "/rooms/lobby"
    assert snapshot(1, "/").key is None


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("text", "text"),
        ({"a": 1}, {"a": 1}),
        ([1, 2], [1, 2]),
        ({"0": "a", "1": "b", "3": "c"}, ["a", "b", None, "c"]),
        ({"0": "a", "6": "b"}, {"0": "a", "6": "b"}),
    ],
)
def test_the_value_is_plain_python_with_lists_where_firebase_has_them(
    written: object, value: object
) -> None:
    assert snapshot(written).value == value


def test_lists_can_be_left_out() -> None:
    assert snapshot(["a", "b"]).to_python(arrays="never") == {"0": "a", "1": "b"}


def test_export_keeps_priorities_and_makes_no_lists() -> None:
    shown = snapshot({"0": {".value": "a", ".priority": 1}, "1": "b", ".priority": "p"})

    assert shown.export() == {"0": {".value": "a", ".priority": 1}, "1": "b", ".priority": "p"}
    assert shown.priority == "p"
    assert shown["0"].priority == 1
    assert shown.value == ["a", "b"]


def test_what_it_gives_is_the_users_to_change() -> None:
    shown = snapshot({"list": [1]})

    shown.value["list"].append(2)

    assert shown.value == {"list": [1]}


def test_nothing_is_converted_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(*_: object) -> Any:
        raise AssertionError("converted")

    monkeypatch.setattr(firekeep.snapshot, "to_python", convert)
    shown = snapshot({"a": {"b": 1}, "c": 2})

    assert shown.exists()
    assert len(shown) == 2
    assert [child.key for child in shown] == ["a", "c"]
    assert shown["a"].has_child("b")
    assert shown.size_bytes > 0
    assert shown == snapshot({"a": {"b": 1}, "c": 2})
    assert "2 children" in repr(shown)


def test_existence_of_what_lies_below() -> None:
    shown = snapshot({"a": {"b": 1}})

    assert shown.exists()
    assert shown.has_children()
    assert shown.has_child("a/b")
    assert "a/b" in shown
    assert "x" not in shown
    assert shown["a/b"].value == 1
    assert shown.child("a").child("b") == shown["a/b"]
    assert not shown["x/y"].exists()
    assert shown["x/y"].value is None
    assert str(shown["x/y"].path) == "/a/x/y"


def test_a_scalar_has_no_children() -> None:
    assert not snapshot(5).has_children()
    assert list(snapshot(5)) == []
    assert not snapshot(5)["x"].exists()


def test_truth_is_existence_not_length() -> None:
    assert snapshot(0)
    assert len(snapshot(0)) == 0
    assert not snapshot(None)


def test_a_path_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidPath):
        snapshot({"a": 1}).child("a.b")


def test_children_come_in_the_order_of_the_query() -> None:
    value = {"a": {"n": 3}, "b": {"n": 1}, "c": {"n": 2}}
    by_n = snapshot(value, params=QueryParams.DEFAULT.order_by_child("n"))

    assert [child.key for child in by_n] == ["b", "c", "a"]
    assert by_n.keys() == ["b", "c", "a"]
    assert snapshot(value).keys() == ["a", "b", "c"]


def test_children_of_children_come_by_priority_then_key() -> None:
    value = {
        "a": {
            "x": {".value": 1, ".priority": 2},
            "y": {".value": 1, ".priority": 1},
            "10": 1,
            "9": 1,
        }
    }
    (child,) = snapshot(value, params=QueryParams.DEFAULT.order_by_key())

    assert child.keys() == ["9", "10", "y", "x"]


def test_equality_is_by_value_and_priority_wherever_they_lie() -> None:
    assert snapshot({"a": 1}, "/x") == snapshot({"a": 1.0}, "/y")
    assert snapshot({"a": 1}) != snapshot({"a": True})
    assert snapshot(1) != snapshot({".value": 1, ".priority": 1})
    assert snapshot(1) != 1


def test_it_cannot_be_hashed() -> None:
    with pytest.raises(TypeError):
        hash(snapshot(1))


def test_size_is_an_estimate_of_the_json() -> None:
    small, large = snapshot({"a": "x"}), snapshot({"a": "x" * 1000})

    assert large.size_bytes - small.size_bytes == 999


@dataclass
class Room:
    name: str
    members: dict[str, bool]
    tags: list[str]
    score: float = 0.5
    topic: str | None = None
    level: int = field(default=3)


class Person(TypedDict):
    name: str
    rooms: list[Room]


def test_it_becomes_a_dataclass_with_missing_fields_at_their_defaults() -> None:
    room = snapshot({"name": "lobby", "members": {"ada": True}, "score": 2}).as_type(Room)

    assert room == Room("lobby", {"ada": True}, [], 2.0, None, 3)
    assert isinstance(room.score, float)


def test_it_becomes_a_typed_dict_with_lists_of_dataclasses() -> None:
    person = snapshot({"name": "Ada", "rooms": [{"name": "lobby"}], "unknown": 1}).as_type(Person)

    assert person == {"name": "Ada", "rooms": [Room("lobby", {}, [])]}


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (int, 3.0, 3),
        (float, 3, 3.0),
        (str, "x", "x"),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict[int, str], {"5": "a"}, {5: "a"}),
        (list[int], [1, 2], [1, 2]),
        (tuple[int, str], [1, "a"], (1, "a")),
        (list[int], None, []),
    ],
)
def test_it_becomes_types_made_of_json(kind: Any, value: object, result: object) -> None:
    built = snapshot(value).as_type(kind)

    assert built == result
    assert type(built) is type(result)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Room, {"members": {"ada": True}}, "name"),
        (Room, {"name": "x", "members": {"a": 1}}, "members/a"),
        (Room, 5, "Room"),
        (int, 1.5, "int"),
        (int, True, "int"),
        (list[int], {"a": 1}, "list"),
        (list[int], {"100": 1}, "gaps"),
        (Person, {"name": "x", "rooms": [{"name": 1}]}, "rooms/0/name"),
    ],
)
def test_what_is_not_of_the_type_says_where(kind: Any, value: object, message: str) -> None:
    with pytest.raises(InvalidValue, match=message) as caught:
        snapshot(value, "/place").as_type(kind)

    assert "/place" in str(caught.value)


def test_a_notebook_shows_a_bounded_table_without_markup_from_the_data() -> None:
    html = snapshot({f"k{number}": "<b>&" for number in range(1000)})._repr_html_()

    assert "&lt;b&gt;&amp;" in html
    assert "<b>" not in html
    assert html.count("<tr>") < 100
    assert "more" in html


def test_repr_is_short_whatever_the_value() -> None:
    assert len(repr(snapshot("x" * 100_000))) < 400
    assert len(repr(snapshot({f"k{n}": "x" * 100 for n in range(1000)}))) < 400
