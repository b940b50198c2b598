"""Placeholders have the form of the wire, and only numbers can be added."""

import pytest

from firekeep.exceptions import InvalidValue
from firekeep.server_value import TIMESTAMP, increment


def test_placeholders_have_the_form_of_the_wire() -> None:
    assert TIMESTAMP == {".sv": "timestamp"}
    assert increment(3) == {".sv": {"increment": 3}}
    assert increment(-0.5) == {".sv": {"increment": -0.5}}


@pytest.mark.parametrize(
    "delta", [True, "1", None, float("nan"), float("inf"), 2**63, -(2**63) - 1]
)
def test_only_finite_numbers_can_be_added(delta: object) -> None:
    with pytest.raises(InvalidValue, match="increment by"):
        increment(delta)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
