"""Values of users and peers: what is taken, what is refused, and what comes back."""

from collections import OrderedDict, UserDict
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.snap.strategies import EXPORTS, JSON_VALUES, PLAIN
from tests.model import tree_model as model

from firekeep_core.errors import InvalidArgument, InvalidKey, InvalidValue
from firekeep_core.snap.node import EMPTY, from_scalar
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import (
    export,
    from_export,
    from_python,
    to_python,
    validate_priority,
)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@given(EXPORTS)
def test_an_export_is_read_back_as_it_was(value: Any) -> None:
    node = from_export(value)

    assert from_export(export(node)) == node
    assert export(node) == value


@given(PLAIN)
def test_a_plain_value_is_read_back_lists_included(value: Any) -> None:
    node = from_export(value)

    assert from_export(to_python(node)) == node
    assert from_python(to_python(node)) == node or -0.0 in [value]
    assert to_python(node, arrays="never") == value


@given(JSON_VALUES)
def test_no_empty_child_ever_remains(value: Any) -> None:
    def check(exported: Any) -> None:
        for child in model.children_of(exported).values():
            assert child is not None
            check(child)

    exported = export(from_export(value))

    assert exported != {}
    check(exported)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"0": "a", "1": "b", "3": "c"}, ["a", "b", None, "c"]),
        ({"1": "x"}, [None, "x"]),
        ({"2": "x"}, {"2": "x"}),
        ({"0": "a", "6": "b"}, {"0": "a", "6": "b"}),
        ({"00": "a"}, {"00": "a"}),
        ({"01": "a"}, {"01": "a"}),
        ({"-1": "a", "0": "b"}, {"-1": "a", "0": "b"}),
        ({"-0": "a"}, {"-0": "a"}),
        ({"0": "a", "b": "c"}, {"0": "a", "b": "c"}),
        ({"a": {"0": {"0": 1}}}, {"a": [[1]]}),
    ],
)
def test_lists_are_made_of_dense_indexes_alone(value: Any, plain: Any) -> None:
    assert to_python(from_export(value)) == plain
    assert to_python(from_export(value), arrays="never") == value
    assert export(from_export(value)) == value


def test_priorities_are_in_the_export_and_not_in_the_plain_value() -> None:
    value = {"a": {".value": 1, ".priority": "p"}, ".priority": 2}

    assert export(from_export(value)) == value
    assert to_python(from_export(value)) == {"a": 1}


@pytest.mark.parametrize(
    ("value", "exported"),
    [
        ({"a": {}, "b": None, "c": []}, None),
        ([None, "x", None, "z"], {"1": "x", "3": "z"}),
        ({".priority": 1}, None),
        ({".value": None, ".priority": 1, "a": 2}, {"a": 2, ".priority": 1}),
        ({".value": 1, "a": 2}, 1),
        ({".value": {"a": 1}, ".priority": 2}, {"a": 1, ".priority": 2}),
        ({".other": 1, "a": 2}, {"a": 2}),
        ({"a": 1, ".priority": True}, {"a": 1}),
        ({"a": 1, ".priority": {"b": 1}}, {"a": 1}),
        ({"a": 1, ".priority": {".value": 3}}, {"a": 1, ".priority": 3}),
        ({".sv": "timestamp", "a": 1}, {".sv": "timestamp"}),
        ({".sv": {"increment": 1.5}}, {".sv": {"increment": 1.5}}),
        ({".sv": {"new": 1}}, {".sv": {"new": 1}}),
        ({".sv": None}, {".sv": None}),
    ],
)
def test_a_peers_value_is_read_leniently(value: Any, exported: Any) -> None:
    assert export(from_export(value)) == exported


def test_minus_zero_is_kept_from_peers_and_dropped_from_users() -> None:
    assert str(from_export(-0.0).value) == "-0.0"
    assert str(from_python({"a": -0.0}).child("a").value) == "0.0"


def test_kinds_of_numbers_are_kept() -> None:
    values = [1, 1.0, True, 2**63 - 1, -(2**63), 2**63]

    plain = to_python(from_python(values))

    assert [*map(type, plain)] == [int, float, bool, int, int, float]
    assert plain == values


def test_mappings_tuples_and_subclasses_are_values() -> None:
    class Colour(IntEnum):
        RED = 3

    class Name(str):
        pass

    value = UserDict[str, Any](
        {"a": OrderedDict[str, Any](b=(1, 2)), Name("c"): Colour.RED, "d": Name("e")}
    )

    assert to_python(from_python(value)) == {"a": {"b": [1, 2]}, "c": 3, "d": "e"}


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ({"a.b": 1}, InvalidKey, "invalid key 'a.b' at /x: '.' is not allowed"),
        ({"a": {"": 1}}, InvalidKey, "invalid key '' at /x/a: a key is not empty"),
        ({"a": {5: 1}}, InvalidKey, "at /x/a: keys are text, not int: 5"),
        ({"a": [1, {"\x7f": 1}]}, InvalidKey, "at /x/a/1"),
        ({".foo": 1}, InvalidKey, "invalid key '.foo' at /x"),
        ({"a": float("nan")}, InvalidValue, "at /x/a: numbers are finite, unlike nan"),
        ([0, float("-inf")], InvalidValue, "at /x/1: numbers are finite"),
        (10**400, InvalidValue, "at /x: an integer of 1329 bits"),
        ({"a": {1, 2}}, InvalidValue, "at /x/a: set is no JSON value"),
        (b"x", InvalidValue, "bytes is no JSON value"),
        ({".value": 1, "a": 2}, InvalidValue, "at /x: .value beside children"),
        ({".sv": "timestamp", "a": 2}, InvalidValue, "at /x: .sv beside children"),
        ({".sv": "timestamp", ".value": 2}, InvalidValue, "both .value and .sv"),
        ({".value": {"a": 1}}, InvalidValue, ".value is a scalar or a server value"),
        ({".value": [1]}, InvalidValue, ".value is a scalar or a server value"),
        ({".sv": "now"}, InvalidValue, "no such server value: 'now'"),
        ({".sv": {"increment": True}}, InvalidValue, "no such server value"),
        ({".sv": {"increment": float("inf")}}, InvalidValue, "numbers are finite"),
        ({"a": 1, ".priority": True}, InvalidValue, "invalid priority at /x/.priority"),
        ({"a": 1, ".priority": [1]}, InvalidValue, "a number, text or None, not [1]"),
        ({"k" * 769: 1}, InvalidValue, "a path longer than 768 bytes"),
        ({"é" * 200: {"é" * 200: 1}}, InvalidValue, "a path longer than 768 bytes"),
    ],
)
def test_what_users_may_not_write_is_refused_with_its_place(
    value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        from_python(value, path=Path.parse("x"))

    assert message in str(raised.value)
    assert len(str(raised.value)) < 400


def test_the_path_counts_towards_the_depth() -> None:
    thirty = Path.from_keys("k" * 30)

    assert from_python(nested(2), path=thirty).leaf_count == 1
    with pytest.raises(InvalidValue, match="deeper than 32 keys"):
        from_python(nested(3), path=thirty)
    with pytest.raises(InvalidValue, match="deeper than 32 keys"):
        from_python(1, path=Path.from_keys("k" * 33))
    with pytest.raises(InvalidValue, match="768 bytes"):
        from_python(1, path=Path.from_keys(["k" * 768]))


def test_special_keys_count_for_nothing() -> None:
    value = nested(31)
    bottom = value
    while isinstance(bottom["a"], dict):
        bottom = bottom["a"]
    bottom["a"] = {"b": {".value": {".sv": "timestamp"}, ".priority": {".sv": "timestamp"}}}

    assert from_python(value).leaf_count == 1


def test_text_has_at_most_ten_mebibytes() -> None:
    limit = 10 * 1024 * 1024

    assert from_python("é" * (limit // 2)).is_leaf
    with pytest.raises(InvalidValue, match=f"text of {limit + 2} bytes"):
        from_python({"a": "é" * (limit // 2 + 1)})


def test_a_value_that_holds_itself_is_too_deep() -> None:
    mapping: dict[str, Any] = {}
    mapping["again"] = mapping
    items: list[Any] = []
    items.extend([items, items])

    for value in (mapping, items):
        with pytest.raises(InvalidValue, match="deeper than 32"):
            from_python(value)
        with pytest.raises(InvalidValue, match="deeper than 256"):
            from_export(value)


def test_containers_that_misbehave_raise_and_do_no_harm() -> None:
    class Failing(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError("not now")

    class Shrinking(UserDict[str, Any]):
        def items(self) -> Any:
            victim.clear()
            return {"c": 1}.items()

    class Unshowable:
        def __repr__(self) -> str:
            raise ValueError("no")

    victim: dict[str, Any] = {"a": Shrinking(), "b": 1, "d": 2}

    with pytest.raises(InvalidValue, match=r"at /b: Failing cannot be read: .*not now") as caught:
        from_python({"a": 1, "b": Failing()})
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(RuntimeError, match="changed size"):
        from_python(victim)
    with pytest.raises(InvalidValue, match="Unshowable is no JSON value"):
        from_python({"a": Unshowable()})


def test_a_separate_priority_overrides_the_one_inside() -> None:
    value = {".value": 1, ".priority": 2}

    assert from_python(value).priority == 2
    assert from_python(value, 3).priority == 3
    assert from_python(value, None).priority is None
    assert from_python({"a": 1}, "p").priority == "p"
    assert from_python(None, 3).is_empty
    with pytest.raises(InvalidValue, match=r"invalid priority at /\.priority"):
        from_python({"a": 1}, True)


def test_server_values_stay_unresolved() -> None:
    value = {"a": {".sv": {"increment": 2}}, "b": {".value": {".sv": "timestamp"}, ".priority": 1}}

    assert export(from_python(value)) == value
    assert from_python(1, {".sv": "timestamp"}).priority == {".sv": "timestamp"}


def test_a_priority_is_validated_by_itself() -> None:
    assert validate_priority(None).same(EMPTY)
    assert validate_priority("p") == from_scalar("p")
    assert str(validate_priority(-0.0).value) == "0.0"
    assert validate_priority({".sv": "timestamp"}).value == {".sv": "timestamp"}
    with pytest.raises(InvalidValue, match=r"at /a/\.priority"):
        validate_priority({"a": 1}, path=Path.parse("a"))


@given(st.text(st.characters(codec=None), max_size=8))
def test_any_text_comes_back_lone_surrogates_included(text: str) -> None:
    assert to_python(from_python(text)) == text
    if text and not any(c in ".#$/[]" or ord(c) < 32 or ord(c) == 127 for c in text):
        assert to_python(from_python({text: 1}), arrays="never") == {text: 1}


def test_only_two_ways_with_arrays_are_known() -> None:
    with pytest.raises(InvalidArgument, match="'always'"):
        to_python(EMPTY, arrays="always")  # type: ignore[arg-type]  # pyright: ignore
