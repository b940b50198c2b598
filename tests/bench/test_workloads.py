"""Benchmarks mean the same on every machine: their data depend on nothing but a seed."""

import json
from itertools import pairwise
from typing import Any

import pytest
from bench.workloads import apply_push, compact, mix, plain_key, push_key, record

from bench import workloads
from firekeep_core.snap.keys import compare_keys
from firekeep_core.snap.value import from_export


def test_bits_are_mixed_as_splitmix64_does() -> None:
    # splitmix64 of the state 0x632BE59BD9B4E019 - the increment, and of one with every term
    assert mix(0, 0, 0) == finalised(0x632BE59BD9B4E019)
    seed, i, j = 3, 5, 7
    state = seed * 0x9E3779B97F4A7C15 + i * 0xBF58476D1CE4E5B9 + j * 0x94D049BB133111EB
    assert mix(seed, i, j) == finalised((state + 0x632BE59BD9B4E019) % 2**64)


def finalised(z: int) -> int:
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def test_a_record_is_a_typical_one() -> None:
    sizes = [len(compact(record(1, i))) for i in range(200)]

    assert from_export(record(1, 0)).leaf_count == 10
    assert 205 < sum(sizes) / len(sizes) < 230
    assert record(1, 5) == record(1, 5)
    assert record(1, 5) != record(1, 5, 1)


def test_some_records_hold_what_is_hard_to_write() -> None:
    assert record(1, 3)["note"].endswith(" café 漢字 🔥 naïve")
    assert record(1, 11)["note"].endswith(' say "hi" \\ tab\there\nnew line')


def test_push_keys_are_in_the_order_of_their_numbers() -> None:
    keys = [push_key(7, i) for i in range(50)]

    assert all(len(key) == 20 for key in keys)
    assert all(compare_keys(a, b) < 0 for a, b in pairwise(keys))


def test_payloads_have_the_size_asked_for() -> None:
    assert len(workloads.records(30)) == 30
    assert list(workloads.records(2, keys="k")) == ["k0000000", "k0000001"]
    assert [len(bucket) for bucket in workloads.leaves(2500).values()] == [1000, 1000, 500]
    assert len(workloads.singles(10)) == 10
    assert workloads.window(5) == workloads.records(5)


@pytest.mark.parametrize(
    "trace",
    [
        workloads.leaf_trace("c", 50, 20, 7),
        workloads.record_trace("c", 50, 20, 7),
        workloads.merge_trace("c", 50, 20, 7),
    ],
)
def test_a_trace_changes_nothing_but_records_that_are_there(trace: Any) -> None:
    data = workloads.records(20, keys="k")

    changed = [apply_push(data, push) for push in trace]

    assert sum(changed) > 40
    assert set(data) == {plain_key(i) for i in range(20)}
    json.dumps(data, allow_nan=False)


def test_an_appended_message_drives_out_the_first() -> None:
    (_, entered, new), (_, left, gone), *_ = workloads.append_trace("chat", 3, 10)

    assert entered == f"chat/{push_key(1, 10)}"
    assert new == record(1, 10)
    assert (left, gone) == (f"chat/{push_key(1, 0)}", None)


def test_traces_of_a_leaf_and_of_all_leaves_change_what_they_name() -> None:
    assert list(workloads.same_trace("x", 2)) == [("d", "x", 1), ("d", "x", 2)]
    assert next(iter(workloads.single_trace("m", 1, 1, 7)))[1] == "m/k0000000/v"
    ((_, path, everything),) = workloads.all_trace("m", 3)
    assert (path, len(everything)) == ("m", 3)
    assert everything != workloads.singles(3)
