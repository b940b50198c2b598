"""Server values: found anywhere, resolved against a clock and what is there."""

from typing import Any

import pytest

from firekeep_core.errors import InvalidValue
from firekeep_core.snap.node import EMPTY, from_scalar
from firekeep_core.snap.server_value import contains_server_value, resolve, resolve_timestamps
from firekeep_core.snap.value import export, from_export

NOW_MS = 1_700_000_000_000
TIMESTAMP = {".sv": "timestamp"}


def increment(by: float) -> dict[str, Any]:
    return {".sv": {"increment": by}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, False),
        (1, False),
        ({"a": {"b": "timestamp"}}, False),
        (TIMESTAMP, True),
        ({"a": {"b": increment(1)}}, True),
        ({"a": 1, ".priority": TIMESTAMP}, True),
        ({"a": {".value": 1, ".priority": TIMESTAMP}}, True),
    ],
)
def test_server_values_are_found_anywhere(value: Any, expected: bool) -> None:
    assert contains_server_value(from_export(value)) is expected


@pytest.mark.parametrize(
    ("existing", "by", "total"),
    [
        (5, 1, 6),
        (5, -7, -2),
        (5, 0.5, 5.5),
        (0.5, 1, 1.5),
        (None, 3, 3),
        ("5", 3, 3),
        (True, 3, 3),
        ({"a": 1}, 3, 3),
        (2**63 - 1, 1, 2.0**63),
        (-(2**63), -1, -(2.0**63)),
        (2**63 - 2, 1, 2**63 - 1),
        (1e308, 1e308, 1.7976931348623157e308),
        (-1e308, -1e308, -1.7976931348623157e308),
        ({".value": 5, ".priority": 1}, 1, 6),
    ],
)
def test_an_increment_adds_to_a_number_and_replaces_all_else(
    existing: Any, by: float, total: float
) -> None:
    result = resolve(from_export({"a": increment(by)}), from_export({"a": existing}), NOW_MS)

    assert result.child("a").value == total
    assert type(result.child("a").value) is type(total)


def test_all_timestamps_of_a_value_are_one_instant() -> None:
    value = {"a": TIMESTAMP, "b": {"c": {".value": TIMESTAMP, ".priority": TIMESTAMP}}, "d": "x"}

    resolved = export(resolve(from_export(value), EMPTY, NOW_MS))

    leaf = {".value": NOW_MS, ".priority": NOW_MS}
    assert resolved == {"a": NOW_MS, "b": {"c": leaf}, "d": "x"}


def test_a_priority_adds_to_the_priority_that_is_there() -> None:
    node = from_export({"a": 1, ".priority": increment(2)})

    assert resolve(node, from_export({"b": 1, ".priority": 5}), NOW_MS).priority == 7
    assert resolve(node, from_scalar(5), NOW_MS).priority == 2


def test_a_leaf_keeps_its_own_priority() -> None:
    node = from_export({".value": increment(1), ".priority": "p"})

    resolved = resolve(node, from_scalar(1), NOW_MS)

    assert export(resolved) == {".value": 2, ".priority": "p"}


def test_increments_can_stay_symbolic() -> None:
    value = {"a": TIMESTAMP, "b": {"c": increment(1)}}

    resolved = resolve_timestamps(from_export(value), NOW_MS)

    assert export(resolved) == {"a": NOW_MS, "b": {"c": increment(1)}}


def test_what_holds_no_server_value_is_given_back() -> None:
    node = from_export({"a": {"b": 1}})

    assert resolve(node, EMPTY, NOW_MS).same(node)


def test_an_unknown_server_value_is_refused() -> None:
    node = from_export({"a": {"b": {".sv": "tomorrow"}, "c": TIMESTAMP}})

    with pytest.raises(InvalidValue):
        resolve(node, EMPTY, NOW_MS)
    with pytest.raises(InvalidValue):
        resolve_timestamps(node, NOW_MS)
