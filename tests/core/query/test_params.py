"""Queries: what may be combined, how they are written, and which children they show."""

import math
from collections.abc import Callable
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.model import query_model
from tests.model.tree_model import from_export as model_of

from firekeep_core.errors import InvalidQuery, ProtocolError
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import EMPTY
from firekeep_core.snap.value import export, from_export

Q = QueryParams.DEFAULT
Build = Callable[[], QueryParams]


# What makes no sense.

REFUSED: dict[str, Build] = {
    "two orders": lambda: Q.order_by_key().order_by_value(),
    "the same order twice": lambda: Q.order_by_priority().order_by_priority(),
    "order by an empty path": lambda: Q.order_by_child(""),
    "order by the root": lambda: Q.order_by_child("/"),
    "order by a pseudo-child": lambda: Q.order_by_child("$key"),
    "order by a dotted name": lambda: Q.order_by_child(".priority"),
    "order by an invalid path": lambda: Q.order_by_child("a/b#c"),
    "order by something else": lambda: Q.order_by_child(1),  # type: ignore[arg-type]
    "two starts": lambda: Q.start_at(1).start_after(2),
    "a start and equal_to": lambda: Q.start_at(1).equal_to(2),
    "equal_to and a start": lambda: Q.equal_to(1).start_at(2),
    "two ends": lambda: Q.end_at(1).end_before(2),
    "an end and equal_to": lambda: Q.end_at(1).equal_to(2),
    "equal_to and an end": lambda: Q.equal_to(1).end_at(2),
    "two limits": lambda: Q.limit_to_first(1).limit_to_last(1),
    "no limit at all": lambda: Q.limit_to_first(0),
    "a negative limit": lambda: Q.limit_to_last(-1),
    "a fractional limit": lambda: Q.limit_to_last(1.0),  # type: ignore[arg-type]
    "a boolean limit": lambda: Q.limit_to_last(True),
    "a limit of 32 bits": lambda: Q.limit_to_last(2**31),
    "a number as a key": lambda: Q.order_by_key().start_at(1),
    "null as a key": lambda: Q.order_by_key().equal_to(None),
    "a second key": lambda: Q.order_by_key().start_at("a", "b"),
    "a number, then by key": lambda: Q.start_at(1).order_by_key(),
    "a second key, then by key": lambda: Q.end_at("a", "b").order_by_key(),
    "a boolean as priority": lambda: Q.start_at(True),
    "a boolean, then by priority": lambda: Q.order_by_priority().end_at(False),
    "an object as a bound": lambda: Q.order_by_value().start_at({"a": 1}),
    "a list as a bound": lambda: Q.order_by_value().start_at([1]),
    "bytes as a bound": lambda: Q.order_by_value().start_at(b"a"),
    "NaN": lambda: Q.order_by_value().start_at(math.nan),
    "infinity": lambda: Q.order_by_value().end_at(-math.inf),
    "an integer that is too large": lambda: Q.order_by_value().end_at(10**5000),
    "an invalid key": lambda: Q.order_by_value().start_at(1, "a.b"),
    "an empty key": lambda: Q.order_by_value().end_at(1, ""),
    "a key that is no text": lambda: Q.order_by_value().end_at(1, 2),  # type: ignore[arg-type]
    "a sentinel as a key": lambda: Q.order_by_value().start_at(1, "[MAX_NAME]"),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_at_once(build: Build) -> None:
    with pytest.raises(InvalidQuery):
        build()


def test_a_refusal_changes_nothing() -> None:
    query = Q.order_by_value().start_at(1)
    before = query.identifier

    with pytest.raises(InvalidQuery, match="start already"):
        query.start_at(2)

    assert query.identifier == before


# How a query is written.


def test_the_default_query_asks_for_everything() -> None:
    assert Q.is_default
    assert Q.loads_all_data
    assert Q.identifier == "default"
    assert Q.wire() == {}
    assert Q.rest_parameters() == {}
    assert (Q.order, Q.limit, Q.anchored) == ("priority", None, "l")


def test_an_order_alone_loads_everything_but_is_not_the_default() -> None:
    query = Q.order_by_child("a/b")

    assert query.loads_all_data
    assert not query.is_default
    assert query.order == "a/b"


def test_ordering_by_priority_is_what_is_done_anyway() -> None:
    assert Q.order_by_priority() == Q
    assert Q.order_by_priority().is_default


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Q.order_by_value().start_at(1), Q.start_at(1.0).order_by_value()),
        (Q.order_by_value().end_at(0.0), Q.order_by_value().end_at(-0.0)),
        (Q.order_by_value().end_at(2**60), Q.order_by_value().end_at(2.0**60)),
        (
            Q.limit_to_last(2).start_at("a").order_by_key(),
            Q.order_by_key().start_at("a").limit_to_last(2),
        ),
        (Q.order_by_child("/a//b/"), Q.order_by_child("a/b")),
        (Q.order_by_value().equal_to(3), Q.end_at(3).order_by_value().start_at(3)),
    ],
)
def test_queries_that_mean_the_same_are_the_same(one: QueryParams, other: QueryParams) -> None:
    assert one == other
    assert hash(one) == hash(other)
    assert one.identifier == other.identifier


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Q.order_by_value().start_at(1), Q.order_by_value().start_at("1")),
        (Q.order_by_value().start_at(1), Q.order_by_value().start_at(True)),
        (Q.order_by_value().start_at(1), Q.order_by_value().start_after(1)),
        (Q.order_by_value().start_at(None), Q.order_by_value()),
        (Q.limit_to_first(1), Q.limit_to_last(1)),
        (Q, 1),
    ],
)
def test_queries_that_differ_are_not_the_same(one: QueryParams, other: object) -> None:
    assert one != other


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5, "1.5"),
        (-2.0, "-2"),
        (2**60, "1152921504606847000"),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(number: float, text: str) -> None:
    query = Q.order_by_value().end_at(number)

    assert query.identifier == f'{{"ein":true,"ep":{text},"i":".value"}}'


def test_bounds_of_a_subclass_are_written_as_plain_values() -> None:
    class Level(IntEnum):
        HIGH = 3

    class Name(StrEnum):
        A = "a"

    query = Q.order_by_value().start_at(Level.HIGH).end_at(Name.A)

    assert query == Q.order_by_value().start_at(3).end_at("a")
    assert [type(bound) for bound in (query.wire()["sp"], query.wire()["ep"])] == [int, str]


@pytest.mark.parametrize(
    ("form", "query"),
    [
        ({}, Q),
        ({"i": ".priority"}, Q),
        ({"sp": 18, "ep": 30, "i": "age"}, Q.order_by_child("age").start_at(18).end_at(30)),
        ({"sp": None, "i": "a"}, Q.order_by_child("a").start_at(None)),
        ({"sp": 5, "sn": "[MAX_NAME]", "i": ".value"}, Q.order_by_value().start_after(5)),
        ({"sp": 5, "sn": "[MAX_KEY]", "i": ".value"}, Q.order_by_value().start_after(5)),
        ({"sp": 5, "sn": "[MIN_NAME]", "i": ".value"}, Q.order_by_value().start_at(5)),
        ({"ep": 5, "en": "[MIN_NAME]", "i": ".value"}, Q.order_by_value().end_before(5)),
        ({"ep": 5, "en": "[MAX_KEY]", "i": ".value"}, Q.order_by_value().end_at(5)),
        ({"sp": "k1", "sin": False, "i": ".key"}, Q.order_by_key().start_after("k1")),
        ({"sp": "k1", "sn": "[MAX_NAME]", "i": ".key"}, Q.order_by_key().start_at("k1")),
        ({"sp": 5, "sn": "k", "sin": False}, Q.start_after(5, "k")),
        ({"l": 10, "vf": "r"}, Q.limit_to_last(10)),
        ({"l": 10}, Q.limit_to_last(10)),
        ({"l": 10, "sp": 1}, Q.start_at(1).limit_to_first(10)),
    ],
)
def test_every_client_is_understood(form: dict[str, Any], query: QueryParams) -> None:
    assert QueryParams.from_wire(form) == query


@pytest.mark.parametrize(
    "form",
    [
        None,
        [],
        {"i": 5},
        {"i": ""},
        {"i": "a.b"},
        {"sp": {}},
        {"sp": 1, "sn": 2},
        {"sp": 1, "sn": "a/b"},
        {"sp": 1, "i": ".key"},
        {"l": "10"},
        {"l": 0},
        {"l": None},
    ],
)
def test_a_broken_query_of_a_client_is_a_protocol_error(form: object) -> None:
    with pytest.raises(ProtocolError):
        QueryParams.from_wire(form)


@pytest.mark.parametrize(
    ("form", "query"),
    [
        ({}, Q),
        ({"orderBy": '"$key"', "startAt": '"a"'}, Q.order_by_key().start_at("a")),
        ({"orderBy": '"$value"', "startAfter": "5"}, Q.order_by_value().start_after(5)),
        ({"orderBy": '"$priority"', "endBefore": '"x"'}, Q.end_before("x")),
        ({"orderBy": '"a/b"', "equalTo": 'null,"k"'}, Q.order_by_child("a/b").equal_to(None, "k")),
        ({"orderBy": '"a"', "startAt": '1,"[MAX_NAME]"'}, Q.order_by_child("a").start_after(1)),
        ({"orderBy": '"a"', "endAt": '1,"[MIN_NAME]"'}, Q.order_by_child("a").end_before(1)),
        ({"orderBy": '"a"', "limitToFirst": "3"}, Q.order_by_child("a").limit_to_first(3)),
        ({"print": "pretty"}, Q),
    ],
)
def test_rest_parameters_are_understood(form: dict[str, str], query: QueryParams) -> None:
    assert QueryParams.from_rest(form) == query


@pytest.mark.parametrize(
    "form",
    [
        {"limitToFirst": "3"},
        {"orderBy": "age"},
        {"orderBy": "5"},
        {"orderBy": '"age"', "startAt": "x"},
        {"orderBy": '"age"', "startAt": "1,2"},
        {"orderBy": '"age"', "startAt": '1 "k"'},
        {"orderBy": '"age"', "limitToFirst": "x"},
        {"orderBy": '"age"', "limitToFirst": "3", "limitToLast": "3"},
        {"orderBy": '"age"', "equalTo": "1", "endAt": "2"},
    ],
)
def test_broken_rest_parameters_are_refused(form: dict[str, str]) -> None:
    with pytest.raises(InvalidQuery):
        QueryParams.from_rest(form)


# Which children a query shows.


def keys_shown(query: QueryParams, value: Any) -> list[str]:
    return [key for key, _ in query.window(from_export(value))]


def test_a_bound_takes_in_all_ties_and_an_exclusive_one_none() -> None:
    data = {"a": 1, "b": 2, "c": 2, "d": 3}
    query = Q.order_by_value()

    assert keys_shown(query.start_at(2), data) == ["b", "c", "d"]
    assert keys_shown(query.start_after(2), data) == ["d"]
    assert keys_shown(query.end_at(2), data) == ["a", "b", "c"]
    assert keys_shown(query.end_before(2), data) == ["a"]


def test_a_bound_with_a_key_cuts_between_ties() -> None:
    data = {"a": 1, "b": 2, "c": 2, "d": 2}
    query = Q.order_by_value()

    assert keys_shown(query.start_at(2, "c"), data) == ["c", "d"]
    assert keys_shown(query.start_after(2, "c"), data) == ["d"]
    assert keys_shown(query.end_at(2, "c"), data) == ["a", "b", "c"]
    assert keys_shown(query.end_before(2, "c"), data) == ["a", "b"]
    assert keys_shown(query.equal_to(2, "c"), data) == ["c"]


def test_equal_to_null_shows_the_children_that_lack_the_child() -> None:
    data = {"a": {"x": 1}, "b": {"y": 1}, "c": 5, "d": {"x": False}}

    assert keys_shown(Q.order_by_child("x").equal_to(None), data) == ["b", "c"]


def test_a_child_outside_the_range_is_not_shown_though_there_is_room() -> None:
    data = {"a": 1, "b": 2, "c": 3}

    assert keys_shown(Q.order_by_value().end_at(2).limit_to_last(5), data) == ["a", "b"]
    assert keys_shown(Q.order_by_value().start_at(2).limit_to_first(1), data) == ["b"]


def test_the_names_beyond_all_keys_are_bounds_of_a_key_order() -> None:
    data = {"1": 1, "a": 1, "é": 1}
    query = Q.order_by_key()

    assert keys_shown(query.start_at("[MIN_NAME]").end_at("[MAX_NAME]"), data) == ["1", "a", "é"]
    assert keys_shown(query.start_at("[MAX_NAME]"), data) == []


@pytest.mark.parametrize("value", [None, "a leaf", {".value": 1, ".priority": 2}])
def test_a_filtered_query_shows_nothing_of_a_leaf(value: object) -> None:
    query = Q.limit_to_first(1)

    assert query.window(from_export(value)) == []
    assert query.filter(from_export(value)) == EMPTY


def test_a_filtered_value_has_no_priority_of_its_own() -> None:
    node = from_export({"a": 1, "b": 2, ".priority": 5})

    assert Q.limit_to_first(2).filter(node).priority is None
    assert export(Q.limit_to_first(1).filter(node)) == {"a": 1}


def test_a_query_of_everything_filters_nothing() -> None:
    node = from_export({"a": 1, ".priority": 5})

    assert Q.order_by_value().filter(node).same(node)


BOUNDS = st.tuples(
    st.sampled_from(["at", "exclusive", "none"]),
    st.one_of(st.none(), st.integers(-1, 3), st.sampled_from(["", "a", "b"]), st.just(0.5)),
    st.sampled_from([None, "1", "a", "k5", "z"]),
)
CHILDREN = st.one_of(
    st.integers(-1, 3),
    st.sampled_from([True, False, "a", "b", 0.5]),
    st.fixed_dictionaries({"x": st.integers(0, 1)}, optional={"v": st.integers(-1, 3)}),
    st.builds(
        lambda value, priority: {".value": value, ".priority": priority},
        st.integers(0, 1),
        st.sampled_from([None, 0, 1, 2, "a"]),
    ),
)


@given(
    order=st.sampled_from(["key", "value", "priority", "child:v"]),
    start=BOUNDS,
    end=BOUNDS,
    limit=st.one_of(st.none(), st.integers(1, 5)),
    from_end=st.booleans(),
    data=st.dictionaries(
        st.one_of(st.sampled_from(["1", "01", "a", "z"]), st.integers(0, 60).map("k{}".format)),
        CHILDREN,
        max_size=40,
    ),
)
def test_a_query_shows_what_the_model_shows(
    order: str,
    start: tuple[str, Any, str | None],
    end: tuple[str, Any, str | None],
    limit: int | None,
    from_end: bool,
    data: dict[str, Any],
) -> None:
    query = {
        "key": Q.order_by_key,
        "value": Q.order_by_value,
        "priority": Q.order_by_priority,
        "child:v": lambda: Q.order_by_child("v"),
    }[order]()
    model_bounds: list[query_model.Bound | None] = [None, None]
    for side, (kind, value, key) in enumerate([start, end]):
        if kind == "none":
            continue
        if order == "key":
            value, key = key or "k3", None
        exclusive = kind == "exclusive"
        build = [query.start_at, query.start_after, query.end_at, query.end_before]
        query = build[2 * side + exclusive](value, key)
        model_bounds[side] = query_model.Bound(value, key, exclusive)
    if limit is not None:
        query = query.limit_to_last(limit) if from_end else query.limit_to_first(limit)
    model = query_model.Query(order, model_bounds[0], model_bounds[1], limit, from_end)

    expected = [key for key, _ in model.window(model_of(data))]

    assert keys_shown(query, data) == expected
    for key, child in data.items():
        assert query.matches(key, from_export(child)) == model.matches(key, model_of(child))
    assert QueryParams.from_wire(query.wire()) == query
    assert QueryParams.from_rest({k: str(v) for k, v in query.rest_parameters().items()}) == query


@given(
    st.dictionaries(st.text("abc", min_size=1), st.integers(0, 5), min_size=1),
    st.integers(1, 5),
)
def test_a_limit_from_either_side_is_a_part_of_the_same_order(
    data: dict[str, int], limit: int
) -> None:
    everything = keys_shown(Q.order_by_value(), data)

    assert keys_shown(Q.order_by_value().limit_to_first(limit), data) == everything[:limit]
    assert keys_shown(Q.order_by_value().limit_to_last(limit), data) == everything[-limit:]
