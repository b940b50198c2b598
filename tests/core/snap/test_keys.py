"""Keys: which there may be, which are integers, and their order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.snap.strategies import KEYS
from tests.model.tree_model import key_rank

from firekeep_core.snap.keys import (
    MAX_KEY,
    MIN_KEY,
    compare_keys,
    integer_key,
    is_valid_key,
    is_valid_path,
)

# wire A.4
IN_ORDER = [
    *("-5", "0", "00", "1", "01", "2", "10", "2147483647", "!", "-", "-x", ".priority"),
    *("2147483648", "B", "_", "a", "é", "😀", "\uffff"),
]


def test_keys_sort_as_the_protocol_lists_them() -> None:
    for i, a in enumerate(IN_ORDER):
        for j, b in enumerate(IN_ORDER):
            assert compare_keys(a, b) == (i > j) - (i < j), (a, b)


@given(KEYS, KEYS)
def test_the_order_is_by_integers_then_by_utf16(a: str, b: str) -> None:
    x, y = key_rank(a), key_rank(b)

    assert compare_keys(a, b) == (x > y) - (x < y)


@given(KEYS)
def test_the_sentinels_embrace_every_key(key: str) -> None:
    assert compare_keys(MIN_KEY, key) == -1
    assert compare_keys(key, MAX_KEY) == -1
    assert compare_keys(MAX_KEY, MIN_KEY) == 1


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-0", 0),
        ("007", 7),
        ("-2147483648", -(2**31)),
        ("2147483647", 2**31 - 1),
        ("2147483648", None),
        ("-2147483649", None),
        ("1a", None),
        ("-", None),
        ("", None),
        ("٣", None),
        ("1.0", None),
    ],
)
def test_integer_keys_are_those_of_32_bits(text: str, number: int | None) -> None:
    assert integer_key(text) == number


@given(st.sampled_from(list(".#$/[]\x00\x1f\x7f")), st.text(max_size=5), st.text(max_size=5))
def test_a_forbidden_character_makes_a_key_invalid(bad: str, before: str, after: str) -> None:
    assert not is_valid_key(before + bad + after)


def test_a_key_has_at_most_768_bytes_and_at_least_one() -> None:
    assert is_valid_key("é" * 384)
    assert not is_valid_key("é" * 384 + "a")
    assert not is_valid_key("")


def test_a_path_is_valid_if_its_keys_are() -> None:
    assert is_valid_path("/a/b c/")
    assert not is_valid_path("a/b.c")
    assert not is_valid_path("")
