"""Which events are raised, and in which order (sync-engine §3)."""

from typing import Any

import pytest
from tests.core.sync.scene import Scene

from firekeep_core.operation.operation import Overwrite
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_export
from firekeep_core.sync.event import KINDS
from firekeep_core.sync.sync_tree import SyncTree

DEFAULT = QueryParams.DEFAULT


def test_events_of_a_batch_come_by_kind_and_the_value_last(scene: Scene) -> None:
    # I-22, I-23
    scene.listen("", orderBy="v")
    scene.server_sets("", {"a": {"v": 1}, "b": {"v": 2}, "c": {"v": 3}, "d": {"v": 4, "w": 0}})
    scene.heard()

    scene.server_merges(
        "", {"a": {"v": 5}, "b": None, "d": {"v": 4, "w": 1}, "e": {"v": 0}, "f": {"v": 9}}
    )

    assert scene.heard() == [
        ("", "removed", "b", {"v": 2}),
        ("", "added", "e", None, {"v": 0}),
        ("", "moved", "a", "d", {"v": 5}),
        ("", "added", "f", "a", {"v": 9}),
        ("", "changed", "d", "c", {"v": 4, "w": 1}),
        ("", "changed", "a", "d", {"v": 5}),
        ("", "value", scene.value("", orderBy="v")),
    ]


def test_the_worked_example_of_a_local_set_and_its_answer(scene: Scene) -> None:
    # §4.8
    scene.listen("")
    scene.server_sets("", {"a": 1, "b": {"x": 1}})
    scene.listen("b/x")
    scene.heard()

    write = scene.set("b", {"x": 2, "y": 3})

    assert scene.heard() == [
        ("b/x", "value", 2),
        ("", "changed", "b", "a", {"x": 2, "y": 3}),
        ("", "value", {"a": 1, "b": {"x": 2, "y": 3}}),
    ]

    scene.server_sets("b", {"x": 2, "y": 3})
    scene.accept(write)

    assert scene.heard() == []


def test_the_worked_example_of_a_limited_query(scene: Scene) -> None:
    # §4.8, I-55
    scene.listen("", limitToLast=2)
    scene.server_sets("", {"b": 2, "c": 3}, tag=1)
    scene.heard()

    write = scene.set("d", 4)
    entered = scene.heard()
    scene.reject(write)
    left = scene.heard()
    scene.set("c", None)

    assert entered == [
        ("", "removed", "b", 2),
        ("", "added", "d", "c", 4),
        ("", "value", {"c": 3, "d": 4}),
    ]
    assert left == [
        ("", "removed", "d", 4),
        ("", "added", "b", None, 2),
        ("", "value", {"b": 2, "c": 3}),
    ]
    assert scene.heard() == [("", "removed", "c", 3), ("", "value", {"b": 2})]


def test_a_hole_in_a_window_is_filled_by_the_server(scene: Scene) -> None:
    # I-55
    scene.listen("", limitToFirst=2)
    scene.server_sets("", {"a": 1, "b": 2}, tag=1)
    write = scene.set("a", None)
    scene.heard()

    scene.server_merges("", {"a": None, "c": 3}, tag=1)
    refill = scene.heard()
    scene.accept(write)

    assert refill == [("", "added", "c", "b", 3), ("", "value", {"b": 2, "c": 3})]
    assert scene.heard() == []


def test_a_value_is_told_once_and_not_again_when_it_stays(scene: Scene) -> None:
    # I-21
    scene.listen("a")

    scene.server_sets("a", 1)
    scene.server_sets("a", 1)
    scene.server_sets("a", 1.0)
    scene.answer_listen("a")

    assert scene.heard() == [("a", "value", 1)]


def test_a_write_that_changes_nothing_for_a_deeper_listener_is_not_told_there(
    scene: Scene,
) -> None:
    # I-21; found by the model: recomputed, equal, but another object
    scene.listen("")
    scene.server_sets("", {"a": {"b": 1}, "c": 1})
    scene.listen("a")
    scene.set("a", {"b": 1})
    scene.set_priority("", 5)
    scene.heard()

    scene.update("", {"a/b": 1, "c": 2})

    assert {path for path, *_ in scene.heard()} == {""}


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, "1"), (0, False), (None, False)])
def test_values_of_another_type_are_other_values(scene: Scene, before: Any, after: Any) -> None:
    scene.listen("a")
    scene.server_sets("a", before)
    scene.heard()

    scene.server_sets("a", after)

    [(path, kind, value)] = scene.heard()
    assert (path, kind, type(value)) == ("a", "value", type(after))


def test_a_listener_that_comes_later_is_told_alone(scene: Scene) -> None:
    # I-25
    scene.listen("a")
    scene.server_sets("a", {"y": 1, "x": 2})
    scene.heard()

    scene.listen("a")

    assert scene.heard() == [
        ("a", "added", "x", None, 2),
        ("a", "added", "y", "x", 1),
        ("a", "value", {"y": 1, "x": 2}),
    ]


def test_the_first_batch_says_that_it_is_initial(scene: Scene) -> None:
    # W-22
    scene.listen("a")
    scene.server_sets("a", {"x": 1})
    scene.server_sets("a/y", 2)
    scene.set("a/z", 3)
    marks = [(event.initial, event.origin) for event in scene.events]

    assert marks == [(True, "server")] * 2 + [(False, "server")] * 2 + [(False, "local")] * 2


def test_events_of_a_rejection_say_so(scene: Scene) -> None:
    scene.listen("a")
    scene.server_sets("a", 1)
    write = scene.set("a", 2)
    scene.heard()

    scene.reject(write)

    assert [event.origin for event in scene.events] == ["revert"]


def test_deeper_locations_come_first_and_siblings_in_key_order(scene: Scene) -> None:
    # I-26, §3.6
    for path in ("", "10", "9", "a", "9/x"):
        scene.listen(path, kinds=("value",))

    scene.server_sets("", {"9": {"x": 1}, "10": 1, "a": 1})

    assert [path for path, *_ in scene.heard()] == ["9/x", "9", "10", "a", ""]


def test_queries_of_one_location_come_in_the_order_of_their_first_listener(scene: Scene) -> None:
    # I-26
    late = [scene.listen("", kinds=("value",), orderByKey=True, limitToFirst=1)[0]]
    late += [scene.listen("", kinds=("value",))[0]]
    early, _ = scene.listen("", kinds=("value",), orderByKey=True, limitToFirst=1)

    scene.server_sets("", {"a": 1, "b": 2})

    assert [event.registration for event in scene.events] == [late[0], early, late[1]]


def test_each_listener_hears_only_the_kinds_it_asked_for(scene: Scene) -> None:
    scene.listen("a", kinds=("child_added", "child_removed"))
    scene.listen("a", kinds=("cancel",))
    scene.server_sets("a", {"x": 1, "y": 1})
    scene.server_merges("a", {"x": 2, "y": None})

    assert scene.heard() == [
        ("a", "added", "x", None, 1),
        ("a", "added", "y", "x", 1),
        ("a", "removed", "y", 1),
    ]


def test_children_are_told_before_the_whole_is_known_and_the_value_only_then(scene: Scene) -> None:
    # I-29
    scene.listen("a/b")
    scene.server_sets("a/b", 1)
    scene.heard()

    scene.listen("a")
    known = scene.heard()
    scene.server_sets("a", {"b": 1, "c": 2})

    assert known == [("a", "added", "b", None, 1)]
    assert scene.heard() == [("a", "added", "c", "b", 2), ("a", "value", {"b": 1, "c": 2})]


@pytest.mark.parametrize("value", [None, 7, {".value": 7, ".priority": 1}])
def test_a_query_on_a_leaf_or_nothing_shows_nothing_once(scene: Scene, value: Any) -> None:
    # I-17
    scene.listen("a", kinds=("value",))
    scene.server_sets("a", value)
    scene.heard()

    scene.listen("a", orderByKey=True, limitToFirst=2)
    scene.set("a", 8)

    limited = [event for event in scene.events if event.query.limit is not None]
    assert [(event.kind, event.value) for event in limited] == [("value", None)]


def test_a_change_of_the_places_own_priority_is_a_value_without_child_events(scene: Scene) -> None:
    # §3.4
    scene.listen("a")
    scene.server_sets("a", {"x": 1})
    scene.heard()

    scene.set_priority("a", 5)

    assert scene.heard() == [("a", "value", {"x": 1, ".priority": 5})]


def test_a_query_shows_no_priority_of_its_place(scene: Scene) -> None:
    # §2.5
    scene.listen("a", limitToFirst=2)

    scene.server_sets("a", {"x": 1, ".priority": 5}, tag=1)

    assert scene.value("a", limitToFirst=2) == {"x": 1}


def test_a_child_moves_only_when_its_own_order_key_changes(scene: Scene) -> None:
    # I-23, §3.3
    scene.listen("a", orderBy="v")
    scene.server_sets("a", {"x": {"v": 1}, "y": {"v": 2}})
    scene.heard()

    scene.server_sets("a/x", {"v": 3})

    assert scene.heard()[:-1] == [
        ("a", "moved", "x", "y", {"v": 3}),
        ("a", "changed", "x", "y", {"v": 3}),
    ]


def test_a_view_ordered_by_key_never_moves_a_child(scene: Scene) -> None:
    scene.listen("a", orderByKey=True)
    scene.server_sets("a", {"x": 1, "y": {".value": 2, ".priority": 1}})
    scene.heard()

    scene.server_sets("a/x", {".value": 5, ".priority": 9})

    assert [kind for _, kind, *_ in scene.heard()] == ["changed", "value"]


def test_the_default_order_is_by_priority(scene: Scene) -> None:
    scene.listen("a")

    scene.server_sets("a", {"x": {".value": 1, ".priority": 2}, "y": 1, "z": 1})
    first = [key for _, kind, key, *_ in scene.heard() if kind == "added"]
    scene.set_priority("a/y", 3)

    assert first == ["y", "z", "x"]
    assert scene.heard()[0] == ("a", "moved", "y", "x", {".value": 1, ".priority": 3})


def test_who_registers_twice_is_told_twice_and_leaves_twice() -> None:
    tree = SyncTree()
    path, who, other = Path.from_wire("/a"), object(), object()
    tree.add_registration(path, DEFAULT, who, KINDS["value"])
    tree.add_registration(path, DEFAULT, other, KINDS["value"])
    tree.add_registration(path, DEFAULT, who, KINDS["value"] | KINDS["child_added"])

    def told(number: int) -> list[tuple[object, str]]:
        events = tree.apply([Overwrite(path, from_export({"k": number}))])
        return [(event.registration, event.kind) for event in events]

    assert told(1) == [(who, "child_added"), (who, "value"), (other, "value"), (who, "value")]
    tree.remove_registration(path, DEFAULT, who)
    assert told(2) == [(other, "value"), (who, "value")]
    tree.remove_registration(path, DEFAULT, who)
    assert told(3) == [(other, "value")]
    assert tree.remove_registration(path, DEFAULT, who) == []
