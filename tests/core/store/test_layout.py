"""Row keys: the order of their bytes, ranges of sub-trees, and bytes that are no path."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.core.snap.strategies import KEYS

from firekeep_core.errors import CorruptRecord
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.store.layout import path_bytes, path_from_bytes, range_end

#: Whatever a hostile server may send: control characters, lone surrogates, an empty key.
ANY_KEYS = st.one_of(
    KEYS,
    st.text(st.characters(codec=None), max_size=12),
    st.text(st.sampled_from("\0\1\2a/.\x7f\ud800"), max_size=4),
)
PATHS = st.lists(ANY_KEYS, max_size=5)


def components(keys: Sequence[str]) -> list[bytes]:
    return [key.encode("utf-8", "surrogatepass") for key in keys]


@given(PATHS)
@example(["\0", "\1", "\2", ""])
@example(["\ud83d\ude00", "😀"])
@example(["0" * 1000, "-1", "k" * 2000])
def test_a_path_is_read_back(keys: list[str]) -> None:
    path = Path.from_keys(keys)

    assert path_from_bytes(path_bytes(path)) == path


@given(PATHS, PATHS)
@example(["a"], ["a\0"])
@example(["a", "b"], ["a\0b"])
@example(["a", ""], ["a\1"])
@example(["a", "b"], ["ab"])
@example(["a!"], ["a", "b"])
def test_bytes_compare_as_the_paths_do_key_by_key(a: list[str], b: list[str]) -> None:
    first, second = path_bytes(Path.from_keys(a)), path_bytes(Path.from_keys(b))

    assert (first < second) == (components(a) < components(b))
    assert (first == second) == (a == b)


@given(st.lists(PATHS, max_size=30), PATHS)
def test_a_range_holds_a_location_and_what_is_below_and_nothing_else(
    rows: list[list[str]], top: list[str]
) -> None:
    prefix = path_bytes(Path.from_keys(top))
    rows += [top, [*top, "a"], [*top, "\0"], [*top[:-1], (top[-1] if top else "") + "b"]]

    for keys in rows:
        row = path_bytes(Path.from_keys(keys))
        assert (prefix <= row < range_end(prefix)) == (keys[: len(top)] == top)


@given(st.binary(max_size=6), st.binary(max_size=6))
@example(b"a\xff", b"b")
@example(b"a\xff", b"a\xff\xff")
def test_the_end_of_a_range_is_the_smallest_above_all_that_begin_so(
    prefix: bytes, other: bytes
) -> None:
    end = range_end(prefix)

    if prefix.strip(b"\xff"):
        assert (prefix <= other < end) == other.startswith(prefix)


def test_the_root_is_empty_and_its_range_holds_every_path() -> None:
    assert path_bytes(ROOT) == b""
    assert path_from_bytes(b"") == ROOT
    assert path_bytes(Path.from_keys(["\U0010ffff", "\uffff"])) < range_end(b"")


def test_similar_siblings_lie_outside_of_each_others_ranges() -> None:
    prefix = path_bytes(Path.parse("a"))

    for sibling in ("ab", "a0", "a!", "a b"):
        assert not prefix <= path_bytes(Path.parse(sibling)) < range_end(prefix)
    assert prefix <= path_bytes(Path.parse("a/b")) < range_end(prefix)


@pytest.mark.parametrize(
    "data",
    [b"a", b"a\0b", b"\1\0", b"\1\3\0", b"a\1\0", b"\xff\0", b"\xc3\0", b"a\0\x80\0", b"\1\1"],
)
def test_bytes_that_are_no_path_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptRecord, match="no path"):
        path_from_bytes(data)


@given(st.binary(max_size=20))
def test_any_bytes_are_a_path_or_refused(data: bytes) -> None:
    try:
        path = path_from_bytes(data)
    except CorruptRecord:
        return
    assert path_bytes(path) == data
