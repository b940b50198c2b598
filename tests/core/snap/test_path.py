"""Paths: made from text, taken apart, and ordered like the tree."""

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.snap.strategies import KEYS
from tests.model.tree_model import key_rank

from firekeep_core.errors import InvalidPath
from firekeep_core.snap.path import ROOT, Path

PATHS = st.lists(KEYS, max_size=5).map(Path.from_keys)


@pytest.mark.parametrize("text", ["", "/", "//"])
def test_an_empty_path_is_the_root(text: str) -> None:
    path = Path.parse(text)

    assert path == ROOT
    assert not path
    assert path.key is None
    assert path.parent is None
    assert str(path) == "/"


def test_doubled_and_outer_slashes_do_not_count() -> None:
    assert Path.parse("a//b/").keys == ("a", "b")


@pytest.mark.parametrize(
    "text", ["a.b", "a/#", "$", "[x", "a\x00", ".priority", "a/.info", "x" * 769]
)
def test_a_user_may_not_name_an_impossible_key(text: str) -> None:
    with pytest.raises(InvalidPath, match="invalid key"):
        Path.parse(text)


def test_info_may_be_the_first_key() -> None:
    assert Path.parse(".info/connected").keys == (".info", "connected")


def test_a_peer_may_name_any_key() -> None:
    assert Path.from_wire("/a.b//[x]/.priority").keys == ("a.b", "[x]", ".priority")


@given(PATHS)
def test_the_text_of_a_path_is_its_wire_form(path: Path) -> None:
    assert Path.from_wire(str(path)) == path
    assert hash(Path.from_wire(str(path))) == hash(path)


@given(st.lists(KEYS, min_size=1, max_size=5))
def test_both_ends_of_a_path_come_off(keys: list[str]) -> None:
    path = Path.from_keys(keys)

    assert path.front == keys[0]
    assert path.key == keys[-1]
    assert path.pop_front().keys == tuple(keys[1:])
    assert path.parent == Path.from_keys(keys[:-1])
    assert list(path) == keys
    assert len(path) == len(keys)


@given(PATHS, PATHS)
def test_a_path_below_is_contained_and_relative(above: Path, below: Path) -> None:
    whole = above.child(below)

    assert above.contains(whole)
    assert whole.relative_to(above) == below
    assert not below or not whole.contains(above)


def test_what_is_not_below_has_no_relative_path() -> None:
    with pytest.raises(InvalidPath, match="/b is not below /a"):
        Path.parse("b").relative_to(Path.parse("a"))


def test_a_single_key_is_not_split() -> None:
    assert Path.parse("a").child("b/c").keys == ("a", "b/c")


@given(PATHS, PATHS)
def test_paths_sort_key_by_key_and_prefixes_first(a: Path, b: Path) -> None:
    x, y = [key_rank(key) for key in a.keys], [key_rank(key) for key in b.keys]

    assert (a < b, a <= b, a > b, a >= b, a == b) == (x < y, x <= y, x > y, x >= y, x == y)


def test_a_path_is_equal_to_nothing_but_paths() -> None:
    assert Path.parse("a") != "/a"
    with pytest.raises(TypeError):
        sorted([Path.parse("a"), "/a"])  # type: ignore[type-var]  # pyright: ignore


def test_a_member_of_a_text_enumeration_is_a_path_and_a_key() -> None:
    class Room(StrEnum):
        LOBBY = "lobby"

    assert Path.parse(Room.LOBBY).keys == ("lobby",)
    assert Path.parse("rooms").child(Room.LOBBY) == Path.from_keys(["rooms", Room.LOBBY])


def test_what_is_no_text_is_no_path() -> None:
    with pytest.raises(InvalidPath, match="a path is text, not int: 5"):
        Path.parse(5)  # type: ignore[arg-type]  # pyright: ignore
