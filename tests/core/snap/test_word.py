"""The native tree gives back all that it took."""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from firekeep_core.errors import FirekeepError
from firekeep_core.snap import word
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.json import dump, parse
from firekeep_core.snap.node import EMPTY
from firekeep_core.snap.path import Path
from firekeep_core.snap.server_value import resolve
from firekeep_core.snap.value import export, from_export, from_python, to_python
from firekeep_core.wire.compound_hash import compound_hash, differing_ranges
from firekeep_core.wire.message import decode, encode_request

VALUE: dict[str, Any] = {
    "a rather long key": {"nested": {str(i): f"text {i}" for i in range(100)}, ".priority": 3},
    "big": 2**60,
    "leaf": {".value": 1.5, ".priority": "priority"},
    "when": {".sv": "timestamp"},
    "count": {".sv": {"increment": 2**60}},
    "odd": {".sv": {"unheard": "of"}},
    **{f"key number {i}": {"x": i} for i in range(500)},
}


def held() -> dict[str, int]:
    gc.collect()
    word.collect()
    counted = word.statistics()
    # The key table shrinks late, and its size is part of the bytes.
    return {
        "objects": counted["objects"],
        "keys": counted["keys"],
        "pending": counted["pending"],
        "bytes": counted["bytes"] - 8 * counted["key_slots"],
    }


def change() -> None:
    node = from_export(VALUE)
    for i in range(200):
        node = node.update(Path.parse(f"key number {i * 7 % 300}/y/{i}"), node.child("leaf"))
        node = node.update_child(f"key number {i}", EMPTY)
    node.with_priority("p").update(Path.from_wire("leaf/.priority"), EMPTY)


def fail(function: Callable[..., object], *arguments: object) -> Callable[[], None]:
    def run() -> None:
        with pytest.raises((FirekeepError, RuntimeError)):
            function(*arguments)

    return run


class Shrinking(dict[str, Any]):
    """A mapping that fails halfway."""

    def items(self) -> Any:
        yield "a long key of it", {"b": "some text"}
        raise RuntimeError("no more")


TEXT = dump(from_export(VALUE))
UNFINISHED = {"a long key": {"b" * 20: "text", "c": {".value": 1, ".priority": "p"}}}


@pytest.mark.parametrize(
    "work",
    [
        change,
        lambda: export(from_export(VALUE)),
        lambda: to_python(parse(TEXT)),
        lambda: dump(parse(TEXT), export=False),
        lambda: hash_v1(parse(TEXT)),
        lambda: parse('{"the same key":{"x":"y"},"the same key":{".value":"z","k":{"l":1}}}'),
        lambda: resolve(
            from_export({"n": {".sv": {"increment": 2**60}}}), from_export({"n": 2**60}), 1
        ),
        lambda: compound_hash(parse(TEXT)),
        lambda: differing_ranges(
            from_python({"a": 1, "b": "text"}), *compound_hash(from_python({"a": 2, "c": 3}))
        ),
        lambda: decode([encode_request(1, "p", {"p": "/long key", "d": from_export(VALUE)})]),
        fail(parse, TEXT[:-1]),
        fail(parse, TEXT[:9000]),
        fail(parse, '{".priority":"text","a long key":"text","b":{".value":"x","c":tru}}'),
        fail(from_python, {**UNFINISHED, "x.y": 1}),
        fail(from_python, {**UNFINISHED, "x": {".value": 1, ".priority": []}}),
        fail(from_python, {**UNFINISHED, "x": {"y": "z", ".value": "a", ".priority": "b"}}),
        fail(from_python, {**UNFINISHED, "x": Shrinking()}),
        fail(from_export, {**UNFINISHED, "x": {".priority": "text", "y": Shrinking()}}),
        fail(resolve, from_export(UNFINISHED | {"x": {".sv": "?"}}), EMPTY, 1),
        fail(decode, ['{"t":"d","d":{"a":"m","b":{"p":"long key","d":{"a long key":"x","b":}}}}']),
        fail(decode, ['{"t":"d","d":{"a":"d","b":{"p":"long key","d":{"a long key":"x"}']),
    ],
)
def test_nothing_is_held_afterwards(work: Callable[[], object]) -> None:
    before = held()

    work()

    assert held() == before


def test_a_dropped_tree_is_freed_in_slices() -> None:
    node = from_export(VALUE)
    before = word.statistics()["objects"]
    assert before > 600

    del node
    left = word.collect(10)

    assert left > 0
    assert word.collect() == 0
    assert word.statistics()["objects"] < before - 600


def test_equal_parts_are_shared_between_versions() -> None:
    node = parse(TEXT)
    before = word.statistics()["objects"]

    changed = node.update(Path.parse("key number 1/x"), EMPTY)

    assert word.statistics()["objects"] - before < 10
    assert changed.child("key number 2").same(node.child("key number 2"))
