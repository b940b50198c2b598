"""Which listens the server is asked for, and which data they bring (sync-engine §4)."""

from typing import Any

import pytest
from tests.core.sync.scene import Scene


def test_one_listen_serves_all_orders_of_a_location(scene: Scene) -> None:
    # I-19
    _, first = scene.listen("a", orderBy="v")
    _, second = scene.listen("a")
    _, third = scene.listen("a", orderByKey=True)
    scene.server_sets("a", {"x": {"v": 2}, "y": {"v": 1}})

    added = [key for _, kind, key, *_ in scene.heard() if kind == "added"]
    assert (first, second, third) == (["+/a"], [], [])
    assert added == ["y", "x", "x", "y", "x", "y"]


def test_each_query_with_a_range_or_limit_has_a_listen_and_a_tag(scene: Scene) -> None:
    _, first = scene.listen("a", limitToFirst=2)
    _, same = scene.listen("a", limitToFirst=2)
    _, other = scene.listen("a", limitToLast=2)

    assert (first, same, other) == (["+/a#1"], [], ["+/a#2"])


def test_a_listen_above_replaces_those_at_and_below(scene: Scene) -> None:
    # I-48, I-49: the new one first
    scene.listen("a", limitToFirst=2)
    scene.listen("a/b")
    scene.listen("a/b/c")
    scene.listen("a/10")
    scene.listen("z")

    _, listens = scene.listen("a")

    assert listens == ["+/a", "-/a#1", "-/a/10", "-/a/b"]


def test_taking_it_off_restores_the_listens_before(scene: Scene) -> None:
    # I-49
    scene.listen("a", limitToFirst=2)
    scene.listen("a/b")
    scene.listen("a/b/c")
    above, _ = scene.listen("a")

    listens = scene.unlisten(above)

    assert listens == ["+/a#1", "+/a/b", "-/a"]


def test_the_worked_example_of_taking_off_a_listener(scene: Scene) -> None:
    # §4.8
    root, _ = scene.listen("")
    scene.listen("b/x")

    assert scene.unlisten(root) == ["+/b/x", "-/"]


def test_a_listener_below_complete_data_is_served_at_once(scene: Scene) -> None:
    # I-50, I-51
    scene.listen("a")
    scene.server_sets("a", {"b": {"x": 1, "y": 2, "z": 3}})
    scene.heard()

    child, first = scene.listen("a/b/x")
    query, second = scene.listen("a/b", limitToLast=2)
    told = scene.heard()

    assert (first, second) == ([], [])
    assert told[0] == ("a/b/x", "value", 1)
    assert told[-1] == ("a/b", "value", {"y": 2, "z": 3})
    assert (scene.unlisten(child), scene.unlisten(query)) == ([], [])


def test_the_last_of_several_listeners_ends_the_listen(scene: Scene) -> None:
    first, _ = scene.listen("a")
    second, _ = scene.listen("a")

    assert (scene.unlisten(first), scene.unlisten(second)) == ([], ["-/a"])
    assert scene.engine.is_empty


def test_taking_off_a_listener_that_is_not_there_does_nothing(scene: Scene) -> None:
    listener, _ = scene.listen("a")
    scene.unlisten(listener)

    assert scene.unlisten(listener) == []


def test_a_tag_is_never_used_again(scene: Scene) -> None:
    # I-52
    listener, _ = scene.listen("a", limitToFirst=2)
    scene.unlisten(listener)
    _, listens = scene.listen("a", limitToFirst=2)
    scene.server_sets("a", {"b": 1}, tag=1)

    assert listens == ["+/a#2"]
    assert scene.heard() == []


def test_a_message_with_a_tag_is_for_its_query_alone(scene: Scene) -> None:
    scene.listen("a", limitToFirst=1)
    scene.listen("a", limitToLast=1)
    scene.listen("a/b")

    scene.server_sets("a", {"b": 1}, tag=2)

    assert [event.query.from_end for event in scene.events] == [True, True]


def test_a_merge_into_nothing_known_is_ignored(scene: Scene) -> None:
    # I-53
    scene.listen("a")

    scene.server_merges("a", {"b": 1})

    assert scene.heard() == []


def test_deep_data_below_an_unknown_child_are_ignored_and_a_whole_child_is_kept(
    scene: Scene,
) -> None:
    # I-53
    scene.listen("a")
    scene.server_sets("a/b/c", 1)
    ignored = scene.heard()

    scene.server_sets("a/d", {"e": 1})

    assert ignored == []
    assert scene.heard() == [("a", "added", "d", None, {"e": 1})]


def test_deep_data_as_the_first_message_of_a_query_are_ignored(scene: Scene) -> None:
    # Found by the model: half a child must not show.
    scene.listen("a", limitToFirst=2)

    scene.server_sets("a/b/c", 1, tag=1)
    scene.server_merges("a", {"b/c": 1}, tag=1)

    assert scene.heard() == []


def test_a_merge_over_all_of_a_listeners_place_is_its_data(scene: Scene) -> None:
    scene.listen("a/b")

    scene.server_merges("a", {"b": 1})

    assert scene.heard() == [("a/b", "value", 1)]


def test_data_for_nobody_are_ignored(scene: Scene) -> None:
    # I-106
    listener, _ = scene.listen("a")
    scene.unlisten(listener)

    scene.server_sets("a", 1)
    scene.server_sets("a", 1, tag=9)
    scene.answer_listen("a")

    assert scene.heard() == []


def test_an_answer_to_a_listen_completes_what_is_held(scene: Scene) -> None:
    # §4.6: the hash was the same
    scene.listen("a/b")
    scene.server_sets("a/b", 1)
    scene.listen("a")
    scene.heard()

    scene.answer_listen("a")

    assert scene.heard() == [("a", "value", {"b": 1})]


def test_a_query_keeps_its_data_when_the_listen_above_goes(scene: Scene) -> None:
    above, _ = scene.listen("a")
    scene.server_sets("a", {"x": 1, "y": 2, "z": 3})
    scene.listen("a", limitToFirst=2)
    scene.heard()

    listens = scene.unlisten(above)
    scene.set("a/x", None)

    assert listens == ["+/a#1", "-/a"]
    assert scene.heard() == [
        ("a", "removed", "x", 1),
        ("a", "added", "z", "y", 3),
        ("a", "value", {"y": 2, "z": 3}),
    ]


def test_ranges_for_a_query_replace_parts_of_its_window(scene: Scene) -> None:
    # Found by the model: what lay beyond the window came back.
    above, _ = scene.listen("a")
    scene.server_sets("a", {"x": 1, "y": 2, "z": 3})
    scene.listen("a", limitToFirst=2)
    scene.unlisten(above)
    scene.heard()

    scene.server_sends_ranges("a", [(None, "x", None)], tag=1, limitToFirst=2)

    assert scene.heard() == [("a", "removed", "x", 1), ("a", "value", {"y": 2})]


def test_data_taken_over_from_a_window_tell_nobody_else(scene: Scene) -> None:
    # I-25: what a new listener learns from a query is no message for others
    scene.listen("", limitToFirst=2)
    scene.listen("a/b")
    scene.server_sets("", {"a": {"b": 1}}, tag=1)
    scene.heard()

    scene.listen("a")

    assert scene.heard() == [("a", "added", "b", None, 1), ("a", "value", {"b": 1})]
    assert not scene.is_complete("a/b")


def test_a_refused_listen_is_told_once_to_each_who_asked_and_others_go_on(scene: Scene) -> None:
    # I-56
    scene.listen("a", kinds=("value", "cancel"))
    scene.listen("a", kinds=("value",))
    scene.listen("a", kinds=("cancel",), limitToFirst=1)
    scene.listen("a/b")
    scene.listen("c")

    listens = scene.refuse("a")

    assert scene.heard() == [("a", "cancel", "refused"), ("a", "cancel", "refused")]
    assert listens == ["+/a/b"]

    scene.server_sets("a/b", 1)
    scene.server_sets("c", 1)

    assert scene.heard() == [("a/b", "value", 1), ("c", "value", 1)]


def test_a_refused_query_leaves_its_neighbours(scene: Scene) -> None:
    # I-56
    scene.listen("a", limitToFirst=1)
    scene.listen("a", limitToLast=1)

    listens = scene.refuse("a", limitToFirst=1)
    scene.server_sets("a", {"b": 1}, tag=2)

    assert listens == []
    assert [kind for _, kind, *_ in scene.heard()] == ["cancel", "added", "value"]


@pytest.mark.parametrize(
    ("limit", "shown"), [({"limitToFirst": 2}, "ef"), ({"limitToLast": 2}, "ab")]
)
def test_a_window_follows_several_children_across_its_edge(
    scene: Scene, limit: dict[str, Any], shown: str
) -> None:
    # I-54
    scene.listen("", kinds=("value",))
    scene.server_sets("", {key: {"v": order} for order, key in enumerate("abcdef")})
    scene.listen("", orderBy="v", **limit)
    flipped = {key: {"v": -order} for order, key in enumerate("abcdef")}

    scene.server_merges("", flipped)

    assert scene.value("", orderBy="v", **limit) == {key: flipped[key] for key in shown}
