"""When a token is replaced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firekeep.auth.refresh import offset_ms_of, refresh_at_ms, retry_at_ms

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
CHANCES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("lifetime_ms", "early_ms"),
    [(HOUR_MS, 5 * MINUTE_MS), (24 * HOUR_MS, 5 * MINUTE_MS), (5000, 500), (0, 0)],
)
def test_a_token_is_replaced_five_minutes_or_a_tenth_of_its_life_early(
    lifetime_ms: int, early_ms: int
) -> None:
    assert refresh_at_ms(0, lifetime_ms, 0.0) == lifetime_ms - early_ms


@given(st.integers(0, 2**50), st.integers(0, 100 * HOUR_MS), CHANCES)
def test_chance_makes_it_earlier_by_half_of_that_at_most(
    issued_ms: int, lifetime_ms: int, chance: float
) -> None:
    expires_ms = issued_ms + lifetime_ms
    latest_ms = refresh_at_ms(issued_ms, expires_ms, 0.0)

    at_ms = refresh_at_ms(issued_ms, expires_ms, chance)

    assert issued_ms <= at_ms <= latest_ms
    assert latest_ms - at_ms <= (expires_ms - latest_ms) / 2 + 1


def test_a_token_that_ended_before_it_began_is_replaced_at_once() -> None:
    assert refresh_at_ms(1000, 500, 1.0) == 500


def test_attempts_become_rare_and_no_rarer_than_every_16_minutes() -> None:
    delays_s = [retry_at_ms(failures, 0, None, 0.0) / 1000 for failures in range(1, 9)]

    assert delays_s == [30, 60, 120, 240, 480, 960, 960, 960]
    assert retry_at_ms(10_000, 0, None, 0.0) == 960_000


@given(st.integers(1, 100), st.integers(0, 2**50), CHANCES)
def test_chance_makes_an_attempt_earlier_by_a_third_at_most(
    failures: int, now_ms: int, chance: float
) -> None:
    longest_ms = retry_at_ms(failures, now_ms, None, 0.0) - now_ms

    delay_ms = retry_at_ms(failures, now_ms, None, chance) - now_ms

    assert longest_ms * 2 / 3 <= delay_ms <= longest_ms


@given(st.integers(1, 100), st.integers(2000, 10 * HOUR_MS), CHANCES)
def test_a_good_token_is_tried_again_before_it_ends(
    failures: int, left_ms: int, chance: float
) -> None:
    assert retry_at_ms(failures, 0, left_ms, chance) < left_ms


@given(st.integers(0, 2**40), st.integers(-HOUR_MS, HOUR_MS))
def test_a_token_tells_the_servers_clock_to_a_second(server_ms: int, offset_ms: int) -> None:
    guess_ms = offset_ms_of(server_ms // 1000, server_ms - offset_ms)

    assert abs(guess_ms - offset_ms) <= 500
