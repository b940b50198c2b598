"""Compound hashes: the listed ones, and ranges that lead a peer to our tree."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.snap.strategies import EXPORTS, PLAIN

from firekeep_core.errors import ProtocolError
from firekeep_core.operation.range_merge import apply_range_merge
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.node import EMPTY
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export
from firekeep_core.wire.compound_hash import compound_hash, differing_ranges, range_hashes

SMALL_PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([1, 2, "x", True]),
    lambda children: st.dictionaries(
        st.sampled_from(["a", "b", "c", "0", "1", "10", "!", "é", "-"]),
        children,
        min_size=1,
        max_size=4,
    ),
    max_leaves=12,
)
THRESHOLDS = st.sampled_from([0, 0, 20, 60, 200])


# wire A.2
@pytest.mark.parametrize(
    ("value", "hashes", "paths"),
    [
        (None, [], []),
        ("leaf", ["VzY3K/KprOmpGGrk0qFm5kfIo0I="], ["/"]),
        ({"foo": "bar"}, ["LmKmJmXugtGlEGoulMbz86myDNw="], ["foo"]),
        (
            {"foo": {".value": "bar", ".priority": "baz"}},
            ["Pg7xV/cwDhcX65Z5lEn4rKdDmX0="],
            ["foo"],
        ),
        (
            {'"': "\\", '"\\"\\': '"\\"\\'},
            ["IMLSPGVfdnaX4ZxWRGflEMmGTUI="],
            ['"\\"\\'],
        ),
        (
            {"list": {"0": "a", "1": "b", ".priority": 7}},
            ["W13sWtZzrMk0EtgRh5FkoOnmIiU="],
            ["list/.priority"],
        ),
    ],
)
def test_small_trees_are_one_range(value: Any, hashes: list[str], paths: list[str]) -> None:
    assert compound_hash(from_export(value)) == ([*hashes, ""], paths)


def test_a_tree_is_cut_by_the_default_rule() -> None:
    node = from_export({f"k{i:02}": f"{i:02}" * 10 for i in range(40)})

    assert compound_hash(node) == (
        [
            "g8ov6Beao1TAM9rhEZH9v6aJjBk=",
            "8w0dKxuAlgpz0Nleva5t++pv8BM=",
            "t1sYtvy0PnrKHtk+lfqsijAGelc=",
            "",
        ],
        ["k13", "k27", "k39"],
    )


@pytest.mark.parametrize(
    ("value", "paths", "hashes"),
    [
        (
            {"1": "one", "2": "two", "10": "ten"},
            ["2", "10"],
            ["YkodEihR5l3UXCbbKSqqVp082GU=", "pfduDpANk3ljVHkUt4HdLwrlDao=", ""],
        ),
        (
            {
                "foo": {"!beforePriority": "before", ".priority": "prio", "afterPriority": "after"},
                "qux": "qux",
            },
            ["foo/.priority", "qux"],
            ["TNHQ1ppp/lp/iP3WA1GOUetV77U=", "eRF6PqPUdLcnQ/J24B4ofNFSH64=", ""],
        ),
        ({"b": 1}, ["a", "a/x", "c"], ["", "", range_hashes(from_export({"b": 1}), [])[0], ""]),
        (None, ["a"], ["", ""]),
    ],
)
def test_a_tree_is_hashed_in_given_ranges(value: Any, paths: list[str], hashes: list[str]) -> None:
    assert range_hashes(from_export(value), paths) == hashes


@given(EXPORTS, THRESHOLDS)
def test_the_ranges_of_a_tree_are_found_again(value: Any, threshold: int) -> None:
    node = from_export(value)
    hashes, paths = compound_hash(node, threshold)

    assert range_hashes(node, paths) == hashes


@given(st.one_of(st.none(), SMALL_PLAIN), st.one_of(st.none(), SMALL_PLAIN), THRESHOLDS)
def test_differing_ranges_lead_a_peer_to_our_tree(held: Any, ours: Any, threshold: int) -> None:
    theirs, node = from_export(held), from_export(ours)

    ranges = differing_ranges(node, *compound_hash(theirs, threshold))

    if ranges is not None:
        merged = apply_range_merge(theirs, ranges)
        assert export(merged) == export(node)
        assert hash_v1(merged) == hash_v1(node)
    if theirs == node:
        assert ranges == []


def test_a_change_costs_its_range_and_no_more() -> None:
    held = {f"k{i:03}": {"x": i, "text": "t" * 50} for i in range(500)}
    ours = {**held, "k250": {"x": -1}}

    ranges = differing_ranges(from_export(ours), *compound_hash(from_export(held)))

    assert ranges is not None
    ((start, end, node),) = ranges
    assert start is not None
    assert end is not None
    assert start < Path.parse("k250/x") < end
    assert len(node) < 50


def test_where_all_differs_nothing_is_saved() -> None:
    hashes, paths = compound_hash(from_export({"a": 1, "b": 2}), 0)

    assert len(paths) == 2
    assert differing_ranges(EMPTY, hashes, paths) is None
    assert differing_ranges(from_export({"a": 1}), hashes, paths) == [
        (Path.parse("a"), Path.parse("b"), EMPTY)
    ]


@given(PLAIN)
def test_a_tree_with_a_priority_is_sent_whole(value: Any) -> None:
    node = from_export({"a": {"b": value}}).with_priority("p")

    assert differing_ranges(node, *compound_hash(node)) is None


@pytest.mark.parametrize(
    ("hashes", "paths"),
    [
        ([], []),
        (["", ""], []),
        ([""], ["a"]),
        (["x", "y", ""], ["b", "a"]),
        (["x", "y", ""], ["a", "a"]),
    ],
)
def test_what_is_no_compound_hash_is_refused(hashes: list[str], paths: list[str]) -> None:
    with pytest.raises(ProtocolError):
        differing_ranges(from_export({"a": 1}), hashes, paths)
