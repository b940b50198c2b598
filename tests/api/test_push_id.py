"""Push ids sort by time, never repeat, and are those of the official clients."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firekeep.exceptions import InvalidArgument
from firekeep.push_id import ALPHABET, RANDOM_BITS, PushIdGenerator

LAST_MS = 2**48 - 1

times = st.integers(0, LAST_MS - 1)
chances = st.integers(0, 2**RANDOM_BITS - 1) | st.just(2**RANDOM_BITS - 1)


@given(
    calls=st.lists(st.tuples(times, chances), max_size=20)
    | st.lists(st.tuples(st.integers(1000, 1003), chances), max_size=20)
)
def test_ids_strictly_increase_whatever_the_clock_does(calls: list[tuple[int, int]]) -> None:
    """I-12: also within one millisecond, and when the clock goes back."""
    generator = PushIdGenerator()

    ids = [generator.next_id(now_ms, chance) for now_ms, chance in calls]

    assert all(one < next_one for one, next_one in itertools.pairwise(ids))
    assert all(len(made) == 20 and set(made) <= set(ALPHABET) for made in ids)


@pytest.mark.parametrize(
    ("now_ms", "time_part"),
    [
        (0, "--------"),
        (1, "-------0"),
        (1371427920000, "-IxETKX-"),
        (1700000000000, "-NjEtLV-"),
        (1759691083390, "-Oapkkty"),
        (LAST_MS, "zzzzzzzz"),
    ],
)
def test_the_first_eight_characters_are_the_time(now_ms: int, time_part: str) -> None:
    assert PushIdGenerator().next_id(now_ms, 0) == time_part + "-" * 12


def test_a_second_id_in_one_millisecond_is_the_first_plus_one() -> None:
    generator = PushIdGenerator()

    first = generator.next_id(1000, 63)
    second = generator.next_id(1000, 5)

    assert (first[8:], second[8:]) == ("-" * 11 + "z", "-" * 10 + "0-")


def test_a_clock_that_goes_back_is_clamped_to_the_last_millisecond() -> None:
    generator = PushIdGenerator()

    first = generator.next_id(1000, 7)
    second = generator.next_id(400, 9)

    assert second[:8] == first[:8]
    assert second > first


def test_a_used_up_random_part_borrows_the_next_millisecond() -> None:
    generator = PushIdGenerator()

    last = generator.next_id(1000, 2**RANDOM_BITS - 1)
    borrowed = generator.next_id(1000, 3)
    after = generator.next_id(1001, 3)

    assert last < borrowed < after
    assert borrowed == PushIdGenerator().next_id(1001, 0)


@pytest.mark.parametrize(("now_ms", "chance"), [(-1, 0), (2**48, 0), (0, -1), (0, 2**72)])
def test_numbers_that_do_not_fit_are_refused(now_ms: int, chance: int) -> None:
    with pytest.raises(InvalidArgument, match="push id"):
        PushIdGenerator().next_id(now_ms, chance)


def test_the_end_of_time_is_an_error_not_a_repetition() -> None:
    generator = PushIdGenerator()
    generator.next_id(LAST_MS, 2**RANDOM_BITS - 1)

    with pytest.raises(InvalidArgument, match="no millisecond is left"):
        generator.next_id(LAST_MS, 0)
