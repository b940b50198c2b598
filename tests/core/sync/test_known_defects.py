"""Where the official engines are wrong (sync-engine, defect index) and this one is not."""

from tests.core.sync.scene import Scene


def test_rejecting_a_deeper_write_shows_the_earlier_one_above_at_once(scene: Scene) -> None:
    # D-1
    scene.listen("a")
    scene.server_sets("a", {"b": 0, "c": 0})
    scene.set("a", {"b": 1, "c": 2})
    deeper = scene.set("a/b", 99)
    scene.heard()

    scene.reject(deeper)

    assert scene.heard() == [("a", "changed", "b", None, 1), ("a", "value", {"b": 1, "c": 2})]


def test_accepting_a_deeper_write_first_leaves_the_one_above_on_show(scene: Scene) -> None:
    # D-1, answered out of order
    scene.listen("a")
    scene.server_sets("a", {"b": 0})
    scene.set("a", {"b": 1})
    deeper = scene.set("a/b", 99)

    scene.accept(deeper)

    assert scene.value("a") == {"b": 1}


def test_a_hidden_write_never_shows_whatever_comes_and_goes(scene: Scene) -> None:
    # D-2
    scene.listen("a")
    scene.server_sets("a", {"b": 0})
    scene.heard()
    hidden = scene.set("a/b", 7, visible=False)
    above = scene.set("a", {"b": 1})
    below = scene.set("a/b/c", 2)

    scene.reject(below)
    scene.reject(above)
    shown = scene.heard()[-1]
    scene.accept(hidden)

    assert shown == ("a", "value", {"b": 0})
    assert scene.heard() == []


def test_accepting_a_set_leaves_a_later_update_from_the_root_in_place(scene: Scene) -> None:
    # D-3, I-35
    scene.listen("a/b")
    scene.server_sets("a/b", None)
    set_id = scene.set("a/b", {"x": 1, "y": 1})
    update_id = scene.update("", {"a/b/x": 2})
    scene.heard()

    scene.server_sets("a/b", {"x": 1, "y": 1})
    scene.accept(set_id)

    assert scene.heard() == []
    assert scene.value("a/b") == {"x": 2, "y": 1}

    scene.server_sets("a/b/x", 2)
    scene.accept(update_id)

    assert scene.heard() == []


def test_a_window_refills_from_the_data_after_the_message(scene: Scene) -> None:
    # D-4, I-54
    scene.listen("", kinds=("value",))
    scene.server_sets("", {"b": {"v": 3}, "d": {"v": 1}, "e": {"v": 2}, "f": {"v": 5}})
    scene.listen("", orderBy="v", limitToFirst=2)
    scene.heard()

    scene.server_merges("", {"b": {"v": 5}, "d": {"v": 5}})

    assert scene.heard()[1:] == [
        ("", "removed", "d", {"v": 1}),
        ("", "added", "b", "e", {"v": 5}),
        ("", "value", {"e": {"v": 2}, "b": {"v": 5}}),
    ]


def test_a_pending_deletion_does_not_bring_back_a_leaf_that_is_gone(scene: Scene) -> None:
    # D-5
    scene.listen("m")
    scene.server_sets("m", 1)
    scene.set("m/d", None)
    scene.heard()

    scene.server_sets("m/d/v", 5)

    assert scene.heard() == [("m", "value", None)]


def test_a_child_set_and_deleted_over_a_leaf_leaves_nothing(scene: Scene) -> None:
    # D-5
    scene.listen("m")
    scene.server_sets("m", 1)

    scene.set("m/d", 2)
    scene.set("m/d", None)

    assert scene.value("m") is None


def test_added_and_moved_children_can_be_replayed_one_by_one(scene: Scene) -> None:
    # D-6
    scene.listen("", orderBy="v")
    scene.server_sets("", {"a": {"v": 1}, "b": {"v": 2}, "c": {"v": 3}})
    scene.heard()

    scene.server_merges("", {"a": {"v": 9}, "d": {"v": 10}})

    assert scene.heard()[:-1] == [
        ("", "moved", "a", "c", {"v": 9}),
        ("", "added", "d", "a", {"v": 10}),
        ("", "changed", "a", "c", {"v": 9}),
    ]
