"""What makes one value of another."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.core.snap.strategies import EXPORTS

from firekeep_core.operation.difference import differences
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.snap.value import from_export

BASE = Path.parse("/x/y")
LONG = "z" * 300


def replaced(node: Node, path: Path, value: Node) -> Node:
    """Put a value at a path, a priority only where there is something that can have it."""
    if path.key == ".priority" and path.parent is not None and node.get(path.parent).is_empty:
        return node
    return node.update(path, value)


@given(EXPORTS, EXPORTS)
def test_they_make_one_value_of_any_other(old: Any, new: Any) -> None:
    before, after = from_export(old), from_export(new)
    node = before
    for place, value in differences(ROOT, before, after):
        node = replaced(node, place, value)
    assert node == after


#: Enough of them make a node too large to be handed over whole.
KEYS = [f"k{number}" for number in range(40)]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.sampled_from([None, *KEYS[:3], ".priority"]),
        st.sampled_from([None, 1, "x", LONG, {"a": 1, "b": LONG}]),
    ),
    min_size=1,
    max_size=6,
)


@given(CHANGES)
def test_in_a_large_value_they_are_what_was_changed_and_no_more(
    changes: list[tuple[str, str | None, Any]],
) -> None:
    large = from_export({key: dict.fromkeys(KEYS, LONG) for key in KEYS})
    changed = large
    for key, inner, value in changes:
        if inner == ".priority" and isinstance(value, dict):
            continue
        keys = [key] if inner is None else [key, inner]
        changed = replaced(changed, Path.from_keys(keys), from_export(value))

    found = differences(BASE, large, changed)

    node = EMPTY.update(BASE, large)
    for place, value in found:
        node = replaced(node, place, value)
    assert node.get(BASE) == changed
    assert len(found) <= len({(key, inner) for key, inner, _ in changes})
    assert all(BASE.contains(place) and len(place) > len(BASE) for place, _ in found)


def test_they_are_in_key_order_and_none_is_inside_another() -> None:
    old = from_export(dict.fromkeys(KEYS, LONG))
    new = from_export({key: LONG + key for key in KEYS})
    places = [place for place, _ in differences(ROOT, old, new)]
    assert places == sorted(places)
    assert not any(above.contains(below) for above, below in pairwise(places))


def test_equal_values_have_none() -> None:
    assert differences(BASE, EMPTY, EMPTY) == []
    value = from_export({"a": LONG * 20, "b": 1})
    again = from_export({"a": LONG * 20, "b": 1})
    assert differences(BASE, value, value) == []
    assert differences(BASE, value, again) == []
