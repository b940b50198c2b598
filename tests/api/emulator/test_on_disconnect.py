"""What waits to be written when a client goes (wire §3.3, sync-engine §7.1)."""

from typing import Any

from firekeep.emulator.on_disconnect import OnDisconnect
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export


def waiting(*calls: tuple[Any, ...]) -> dict[str, Any]:
    """Return the writes that are left after these calls, by path."""
    on_disconnect = OnDisconnect()
    for name, path, *value in calls:
        place = Path.parse(path)
        if name == "cancel":
            on_disconnect.cancel(place)
        elif name == "set":
            on_disconnect.set(place, from_export(value[0]))
        else:
            children = [(place.child(key), from_export(item)) for key, item in value[0].items()]
            on_disconnect.update(children)
    writes = {str(path): export(node) for path, node in on_disconnect.take()}
    assert on_disconnect.take() == []
    return writes


def test_a_later_write_replaces_what_waits_there_and_below() -> None:
    assert waiting(("set", "a/b", 1), ("set", "a", 2)) == {"/a": 2}
    assert waiting(("set", "a", 1), ("set", "a", None)) == {"/a": None}


def test_a_write_below_another_becomes_part_of_it() -> None:
    assert waiting(("set", "a", {"b": 1}), ("set", "a/c", 2)) == {"/a": {"b": 1, "c": 2}}
    assert waiting(("set", "a", {"b": 1}), ("set", "a/b", None)) == {"/a": None}


def test_an_update_keeps_what_waits_beside_it() -> None:
    calls = (("set", "a/x", 1), ("update", "a", {"y": 2, "z": 3}))
    assert waiting(*calls) == {"/a/x": 1, "/a/y": 2, "/a/z": 3}


def test_cancelling_forgets_what_waits_there_and_below() -> None:
    assert waiting(("set", "a/b", 1), ("set", "c", 2), ("cancel", "a")) == {"/c": 2}
    assert waiting(("set", "a", 1), ("cancel", "")) == {}
    assert waiting(("set", "a", 1), ("cancel", "b")) == {"/a": 1}


def test_cancelling_a_part_leaves_a_write_for_each_other_child() -> None:
    calls = (("set", "a", {"b": 1, "c": {"d": 2, "e": 3}}), ("cancel", "a/c/d"))
    assert waiting(*calls) == {"/a/b": 1, "/a/c/e": 3}


def test_there_is_no_part_of_a_leaf_to_cancel() -> None:
    assert waiting(("set", "a", 1), ("cancel", "a/b")) == {"/a": 1}


def test_server_values_wait_unresolved() -> None:
    stamp = {".sv": "timestamp"}
    assert waiting(("set", "a", stamp)) == {"/a": stamp}
