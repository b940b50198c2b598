"""Windows follow arbitrary changes of their candidates exactly as a complete evaluation would."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firekeep_core.query.params import QueryParams
from firekeep_core.query.window import Window
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.value import from_export

DEFAULT = QueryParams.DEFAULT


class Follower:
    """A window beside a complete evaluation of the same query, compared after each message."""

    def __init__(self, params: QueryParams) -> None:
        self.params = params
        self.window = Window(params)
        self.node: Node = EMPTY

    def follow(self, *changes: tuple[str, Any]) -> tuple[list[str], list[str]]:
        """Apply one message of several children; return who entered and left, sorted."""
        before = self.node
        steps = [(key, from_export(value)) for key, value in changes]
        for key, child in steps:
            self.node = self.node.update_child(key, child)
        entered, left = self.window.follow(before, steps)

        old, new = self.expected(before), self.expected(self.node)
        assert dict(self.window.shown(self.node)) == new
        assert len(self.window) == len(new)
        if not self.params.loads_all_data:
            assert sorted(entered) == sorted(new.keys() - old.keys())
            assert sorted(left) == sorted(old.keys() - new.keys())
        return sorted(entered), sorted(left)

    def expected(self, node: Node) -> dict[str, str | None]:
        """Evaluate everything: what is shown, and what stands before it."""
        keys = [key for key, _ in self.params.window(node)]
        return dict(zip(keys, [None, *keys], strict=False))


KEYS = st.sampled_from(["1", "01", "2", "-3", "a", "b", "b!", "longer than a word", "ü", "z"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.sampled_from(["", "a", "b"]), st.just(1.5)
)
CHILDREN = st.one_of(
    st.none(),
    SCALARS,
    st.fixed_dictionaries({}, optional={"v": SCALARS, "w": SCALARS}),
    st.builds(
        lambda value, priority: {".value": value, ".priority": priority},
        st.integers(0, 2),
        st.one_of(st.none(), st.integers(0, 2), st.just("p")),
    ),
    st.just({"v": {"deep": 1}}),
)
MESSAGES = st.lists(st.lists(st.tuples(KEYS, CHILDREN), max_size=8), max_size=10)


@st.composite
def queries(draw: st.DrawFn) -> QueryParams:
    """Any order with any bounds and any limit."""
    order = draw(st.sampled_from(["key", "value", "priority", "v", "v/deep"]))
    if order == "key":
        query = DEFAULT.order_by_key()
        bounds: st.SearchStrategy[Any] = KEYS.map(lambda key: (key, None))
    else:
        if order == "value":
            query = DEFAULT.order_by_value()
        elif order == "priority":
            query = DEFAULT.order_by_priority()
        else:
            query = DEFAULT.order_by_child(order)
        values = SCALARS.filter(lambda value: order != "priority" or not isinstance(value, bool))
        bounds = st.tuples(values, st.one_of(st.none(), KEYS))
    match draw(st.integers(0, 4)):
        case 0:
            query = query.equal_to(*draw(bounds))
        case 1:
            query = query.start_at(*draw(bounds)).end_before(*draw(bounds))
        case 2:
            query = query.start_after(*draw(bounds))
        case 3:
            query = query.end_at(*draw(bounds))
        case _:
            pass
    match draw(st.integers(0, 2)):
        case 0:
            query = query.limit_to_first(draw(st.integers(1, 4)))
        case 1:
            query = query.limit_to_last(draw(st.integers(1, 4)))
        case _:
            pass
    return query


@given(queries(), MESSAGES)
def test_a_window_shows_what_a_complete_evaluation_shows(
    query: QueryParams, messages: list[list[tuple[str, Any]]]
) -> None:
    follower = Follower(query)

    for message in messages:
        follower.follow(*message)


def test_a_window_of_everything_reports_nobody_and_keeps_the_order() -> None:
    follower = Follower(DEFAULT.order_by_value())

    assert follower.follow(("a", 2), ("b", 1)) == ([], [])
    assert dict(follower.window.shown(follower.node)) == {"a": "b", "b": None}


def test_a_slot_is_refilled_with_the_values_after_the_message() -> None:
    """D-4, I-54: b and d move behind e in one message."""
    follower = Follower(DEFAULT.order_by_child("v").limit_to_first(2))
    follower.follow(("b", {"v": 3}), ("d", {"v": 1}), ("e", {"v": 2}), ("f", {"v": 5}))

    entered, left = follower.follow(("b", {"v": 5}), ("d", {"v": 5}))

    assert (entered, left) == (["b"], ["d"])
    assert follower.window.shown(follower.node) == [("b", "e"), ("e", None)]


def test_a_child_that_leaves_and_comes_back_in_one_message_did_neither() -> None:
    follower = Follower(DEFAULT.order_by_value().limit_to_last(1))
    follower.follow(("a", 2), ("b", 1))

    assert follower.follow(("a", None), ("a", 0), ("a", 3)) == ([], [])


def test_a_child_that_comes_and_goes_in_one_message_was_never_there() -> None:
    follower = Follower(DEFAULT.order_by_value().limit_to_last(1))
    follower.follow(("a", 2), ("b", 1))

    assert follower.follow(("a long key of its own", 3), ("a long key of its own", None)) == (
        [],
        [],
    )


def test_a_child_may_change_without_leaving_its_place() -> None:
    follower = Follower(DEFAULT.order_by_child("v").limit_to_first(1))
    follower.follow(("a", {"v": 1}), ("b", {"v": 2}))

    assert follower.follow(("a", {"v": 1, "w": 2})) == ([], [])


def test_a_child_outside_the_range_never_enters_however_much_room_there_is() -> None:
    follower = Follower(DEFAULT.order_by_value().start_at(5).limit_to_first(3))

    assert follower.follow(("a", 4), ("b", 5), ("c", 6)) == (["b", "c"], [])


def test_a_list_without_priorities_gets_its_order_with_the_first_priority() -> None:
    follower = Follower(DEFAULT.limit_to_last(2))
    follower.follow(("a", 1), ("b", 2), ("c", 3))

    assert follower.follow(("a", {".value": 1, ".priority": 1})) == (["a"], ["b"])


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_chat_window_drops_the_oldest_of_many_messages(limit: int) -> None:
    follower = Follower(DEFAULT.limit_to_last(limit))

    for number in range(150):
        entered, left = follower.follow((f"m{number:03}", number))

        assert entered == [f"m{number:03}"]
        assert left == ([f"m{number - limit:03}"] if number >= limit else [])
