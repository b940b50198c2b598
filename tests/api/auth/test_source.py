"""What a credential may hold."""

import math
from typing import Any

import pytest

from firekeep.auth import Credential
from firekeep.exceptions import InvalidArgument


@pytest.mark.parametrize("value", [None, 0, -1, 1_700_003_600_000])
def test_a_time_is_one_in_ms_or_unknown(value: int | None) -> None:
    credential = Credential("token", "ada", value, value)

    assert (credential.expires_ms, credential.refresh_ms) == (value, value)


@pytest.mark.parametrize(
    "value",
    [
        10**400,
        pytest.param(-(10**5000), id="more digits than can be written"),
        math.nan,
        math.inf,
        1.5,
        "soon",
        True,
    ],
)
@pytest.mark.parametrize("name", ["expires_ms", "refresh_ms"])
def test_what_is_no_time_is_refused_at_once(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"^{name} is an integer of ms"):
        Credential("token", **{name: value})


def test_a_token_that_is_no_text_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidArgument, match="not bytes") as caught:
        Credential(b"secret")  # type: ignore[arg-type]

    assert "secret" not in str(caught.value)


def test_a_uid_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="not int"):
        Credential("token", 5)  # type: ignore[arg-type]
