"""The orders of children: by key, by value, by priority, by a child's value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.model import query_model
from tests.model.tree_model import from_export as model_of

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.value import from_export

DEFAULT = QueryParams.DEFAULT
ORDERS = {
    "key": DEFAULT.order_by_key(),
    "value": DEFAULT.order_by_value(),
    "priority": DEFAULT.order_by_priority(),
    "child:v": DEFAULT.order_by_child("v"),
    "child:v/w": DEFAULT.order_by_child("v/w"),
}
SPECIAL_KEYS = ["-5", "5", "05", "00", "-0", "2147483647", "2147483648", "-2147483648", "-", "1a"]
KEYS = st.one_of(
    st.sampled_from(
        [*SPECIAL_KEYS, "\U0001f525", "\ue000", "\uffff", "a", "a longer key", "a longer"]
    ),
    st.text(
        st.characters(exclude_characters=".#$/[]", exclude_categories=["Cs", "Cc"]), min_size=1
    ),
)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.integers(-2, 2),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=3),
    st.sampled_from(["\U0001f525", "\ue000"]),
)
PRIORITIES = st.one_of(st.none(), st.integers(-2, 2), st.floats(-2, 2), st.text("ab", max_size=2))
LEAVES = st.one_of(
    SCALARS, st.builds(lambda v, p: {".value": v, ".priority": p}, SCALARS, PRIORITIES)
)
CHILDREN = st.one_of(
    LEAVES,
    st.builds(
        lambda children, priority: {**children, "x": 1, ".priority": priority},
        st.fixed_dictionaries(
            {}, optional={"v": st.one_of(LEAVES, st.fixed_dictionaries({"w": LEAVES}))}
        ),
        PRIORITIES,
    ),
)


@pytest.mark.parametrize("order", ORDERS)
@given(items=st.dictionaries(KEYS, CHILDREN, max_size=8))
def test_an_order_is_that_of_the_model(order: str, items: dict[str, Any]) -> None:
    model = query_model.Query(order)

    sorted_items = ORDERS[order].sort([(key, from_export(child)) for key, child in items.items()])

    expected = model.window({key: model_of(child) for key, child in items.items()})
    assert [key for key, _ in sorted_items] == [key for key, _ in expected]


@pytest.mark.parametrize("order", ORDERS)
@given(children=st.lists(st.tuples(KEYS, CHILDREN), min_size=3, max_size=3))
def test_an_order_is_total(order: str, children: list[tuple[str, Any]]) -> None:
    params = ORDERS[order]
    (ka, a), (kb, b), (kc, c) = [(key, from_export(child)) for key, child in children]

    assert params.compare(ka, a, kb, b) == -params.compare(kb, b, ka, a)
    if params.compare(ka, a, kb, b) <= 0 and params.compare(kb, b, kc, c) <= 0:
        assert params.compare(ka, a, kc, c) <= 0
    if params.compare(ka, a, kb, b) == 0:
        assert ka == kb


@pytest.mark.parametrize("order", ["value", "child:v"])
def test_values_rank_by_type_before_anything_else(order: str) -> None:
    ranked: list[Any] = [None, {".sv": "timestamp"}, False, True, -1, 0.5, 2, "", "a", {"x": 0}]
    children = ranked[1:] if order == "value" else [{"v": value, "z": 1} for value in ranked]
    items = [(f"k{number}", from_export(child)) for number, child in enumerate(children)]

    for at, (key, child) in enumerate(items):
        for other_key, other in items[at + 1 :]:
            assert ORDERS[order].compare(key, child, other_key, other) == -1


def test_priorities_rank_null_before_numbers_before_text() -> None:
    items = [
        (key, from_export({".value": 1, ".priority": priority}))
        for key, priority in [("d", "1"), ("c", 7), ("b", -2.5), ("a", None)]
    ]

    assert [key for key, _ in ORDERS["priority"].sort(items)] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("order", ["value", "priority", "child:v", "child:v/w"])
def test_ties_are_resolved_by_key(order: str) -> None:
    items = [(key, from_export({"x": 1})) for key in ["b", "10", "9", "a", "-1"]]

    assert [key for key, _ in ORDERS[order].sort(items)] == ["-1", "9", "10", "a", "b"]


def test_integers_beyond_doubles_tie_with_the_doubles_next_to_them() -> None:
    large = 2**53
    items = [
        ("c", from_export(large)),
        ("b", from_export(float(large))),
        ("a", from_export(large + 1)),
    ]

    assert [key for key, _ in ORDERS["value"].sort(items)] == ["a", "b", "c"]


def test_a_leaf_has_no_child_to_be_ordered_by() -> None:
    assert ORDERS["child:v/w"].compare("a", from_export("text"), "b", from_export({"v": 1})) == -1
    assert ORDERS["child:v/w"].compare("b", from_export("text"), "a", from_export({"v": 1})) == 1
