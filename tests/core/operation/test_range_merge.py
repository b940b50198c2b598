"""Range merges: the listed ones, and that a peer's ranges lead to its tree."""

from typing import Any

import pytest

from firekeep_core.operation.range_merge import apply_range_merge
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export

THREE = {"bar": 1, "foo": 2, "quu": 3}


# wire A.3
@pytest.mark.parametrize(
    ("held", "start", "end", "update", "result"),
    [
        (THREE, "bar", "foo", {"foo": 9}, {"bar": 1, "foo": 9, "quu": 3}),
        (
            THREE,
            "bar",
            "foo",
            {"bar": {"c": 5}, "foo": 9},
            {"bar": {"c": 5}, "foo": 9, "quu": 3},
        ),
        (THREE, "bar", "foo", {"baz": 7}, {"bar": 1, "baz": 7, "quu": 3}),
        (
            {"bar": 1, "foo": {"x": 2}, "quu": 3},
            "bar",
            "foo",
            {"baz": 7},
            {"bar": 1, "baz": 7, "foo": {"x": 2}, "quu": 3},
        ),
        ("leaf", None, "foo", {"bar": 1}, {"bar": 1}),
        ("leaf", None, "/", "new", "new"),
        ({"foo": {"bar": 1}}, "foo", "foo/bar/deep", {"foo": {"bar": 2}}, {"foo": {"bar": 2}}),
        ({"foo": {"bar": 1}}, "foo/bar", "foo/bar/deep", {"foo": {"bar": 2}}, {"foo": {"bar": 1}}),
        ({"bar": 1, "foo": 2, ".priority": "p"}, None, "bar", {"bar": 9}, {"bar": 9, "foo": 2}),
    ],
)
def test_a_range_is_replaced_as_listed(
    held: Any, start: str | None, end: str | None, update: Any, result: Any
) -> None:
    node = from_export(held)
    edges = [None if edge is None else Path.from_wire(edge) for edge in (start, end)]

    merged = apply_range_merge(node, [(edges[0], edges[1], from_export(update))])

    assert export(merged) == result
    assert export(node) == held


def test_a_range_without_edges_replaces_everything() -> None:
    node = from_export({"a": 1})

    assert export(apply_range_merge(node, [(None, None, from_export({"b": 2}))])) == {"b": 2}
    assert apply_range_merge(node, [(None, None, from_export(None))]).is_empty
    assert apply_range_merge(node, []).same(node)


def test_ranges_apply_one_after_the_other() -> None:
    held = from_export({key: {"x": 1, "y": 2} for key in "abcdef"})
    ranges: list[tuple[Path | None, Path | None, Node]] = [
        (None, Path.parse("b/x"), from_export({"a": {"x": 5}})),
        (Path.parse("e/x"), None, from_export({"g": 1})),
    ]

    merged = apply_range_merge(held, ranges)

    kept = {key: {"x": 1, "y": 2} for key in "cd"}
    assert export(merged) == {"a": {"x": 5}, "b": {"y": 2}, **kept, "e": {"x": 1}, "g": 1}
