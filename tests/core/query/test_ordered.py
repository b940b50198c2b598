"""An ordered set keeps its order through any insertions and removals."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firekeep_core.query.ordered import Ordered
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.value import from_export

BY_VALUE = QueryParams.DEFAULT.order_by_value()
KEYS = st.sampled_from(["1", "01", "2", "a", "b", "longer than a word", "\U0001f525", "\uffff"])
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-3, 3),
    st.text("ab", max_size=2),
    st.just({"x": 1}),
)


def in_order(held: set[tuple[str, Any]]) -> list[str]:
    items = [(key, from_export(value)) for key, value in held]
    return [key for key, _ in BY_VALUE.sort(items)]


@given(st.lists(st.tuples(st.booleans(), KEYS, VALUES), max_size=60))
def test_an_ordered_set_holds_each_position_once(
    changes: list[tuple[bool, str, Any]],
) -> None:
    ordered = Ordered(BY_VALUE.index)
    held: dict[tuple[str, str], tuple[str, Any]] = {}

    for adds, key, value in changes:
        # maps are all equal in this order, and so are 1 and 1.0, 0 and -0.0
        same = "map" if isinstance(value, dict) else f"{type(value) is bool}{value!r}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            same = repr(float(value) + 0.0)
        place = (key, same)
        if adds:
            assert ordered.add(key, from_export(value)) == (place not in held)
            held.setdefault(place, (key, value))
        else:
            assert ordered.discard(key, from_export(value)) == (place in held)
            held.pop(place, None)

        assert ordered.keys() == in_order(set_of(held))
        assert len(ordered) == len(held)


def set_of(held: dict[tuple[str, str], tuple[str, Any]]) -> Any:
    return list(held.values())


@pytest.mark.parametrize("arrival", ["ascending", "descending", "shuffled"])
@pytest.mark.parametrize("departure", ["ascending", "descending", "shuffled"])
def test_many_entries_come_and_go_in_any_order(arrival: str, departure: str) -> None:
    chance = random.Random(5)
    numbers = list(range(3000))

    def sequence(how: str) -> list[int]:
        if how == "shuffled":
            return chance.sample(numbers, len(numbers))
        return numbers if how == "ascending" else numbers[::-1]

    ordered = Ordered(BY_VALUE.index)
    for number in sequence(arrival):
        assert ordered.add(f"k{number}", from_export(number // 3))
    assert ordered.keys() == [
        key for key, _ in BY_VALUE.sort([(f"k{n}", from_export(n // 3)) for n in numbers])
    ]

    left = set(numbers)
    for number in sequence(departure):
        assert ordered.discard(f"k{number}", from_export(number // 3))
        left.discard(number)
        if len(left) % 500 == 3:
            expected = BY_VALUE.sort([(f"k{n}", from_export(n // 3)) for n in left])
            assert ordered.keys() == [key for key, _ in expected]
    assert ordered.keys() == []
    assert len(ordered) == 0


def test_neighbours_of_a_position_are_found_whether_it_is_held_or_not() -> None:
    ordered = Ordered(BY_VALUE.index)
    for number in range(0, 1000, 2):
        ordered.add(f"k{number:03}", from_export(number))

    for number in range(1000):
        before, after = ordered.neighbours(f"k{number:03}", from_export(number))

        low, high = (number - 1) // 2 * 2, (number + 2) // 2 * 2
        assert before == (f"k{low:03}" if low >= 0 else None)
        assert after == (f"k{high:03}" if high < 1000 else None)


def test_an_empty_set_has_no_neighbours() -> None:
    ordered = Ordered(BY_VALUE.index)

    assert ordered.neighbours("a", from_export(1)) == (None, None)
    assert not ordered.discard("a", from_export(1))
    assert ordered.keys() == []
