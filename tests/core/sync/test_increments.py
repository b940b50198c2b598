"""Counters with long queues: one leaf, many pending increments (sync-engine §5.7)."""

import random

from firekeep_core.operation.operation import Overwrite
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node, from_scalar
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_export
from firekeep_core.sync.event import KINDS
from firekeep_core.sync.sync_tree import SyncTree

COUNTER = Path.parse("counter")
DEFAULT = QueryParams.DEFAULT
MANY = 20_000  # as many nested calls would overflow the stack


def increment(by: float) -> Node:
    return from_export({".sv": {"increment": by}})


def listening(value: object) -> SyncTree:
    tree = SyncTree()
    tree.add_registration(COUNTER, DEFAULT, "listener", KINDS["value"])
    tree.apply([Overwrite(COUNTER, from_scalar(value))])
    return tree


def shown(tree: SyncTree) -> object:
    value = tree.complete_value(COUNTER, DEFAULT)
    assert value is not None
    return value.value


def test_a_long_queue_of_increments_shows_their_sum() -> None:
    tree = listening(5)

    for write_id in range(MANY):
        tree.write(write_id, COUNTER, increment(2))

    assert shown(tree) == 5 + 2 * MANY


def test_a_long_queue_drains_without_a_value_that_was_not_shown() -> None:
    tree = listening(0)
    for write_id in range(MANY):
        tree.write(write_id, COUNTER, increment(1))
        tree.mark_sent(write_id)

    for write_id in range(MANY):
        push = tree.apply([Overwrite(COUNTER, from_scalar(write_id + 1))])
        assert push + tree.acknowledge(write_id) == []

    assert shown(tree) == MANY


def test_any_order_of_refusals_leaves_the_sum_of_the_others() -> None:
    tree = listening(100)
    choose = random.Random(1)
    pending = {}
    for write_id in range(300):
        pending[write_id] = choose.choice([1, -3, 2.5, 7])
        tree.write(write_id, COUNTER, increment(pending[write_id]))

    for write_id in choose.sample(sorted(pending), 290):
        tree.revert(write_id)
        del pending[write_id]

        assert shown(tree) == 100 + sum(pending.values())


def test_a_set_between_increments_is_where_the_later_ones_begin() -> None:
    tree = listening(100)
    tree.write(0, COUNTER, increment(1))
    tree.write(1, COUNTER, from_scalar(10))
    tree.write(2, COUNTER, increment(5))
    tree.write(3, COUNTER, increment(5))
    assert shown(tree) == 20

    tree.revert(1)

    assert shown(tree) == 111


def test_a_sum_beyond_64_bits_becomes_a_double() -> None:
    tree = listening(2**62)

    tree.write(0, COUNTER, from_export({".sv": {"increment": 2**53}}))
    for write_id in range(1, 1025):
        tree.write(write_id, COUNTER, increment(2**53))

    value = shown(tree)
    assert isinstance(value, float)
    assert value == float(2**62 + 1025 * 2**53)


def test_a_hidden_increment_between_others_is_not_counted() -> None:
    tree = listening(1)
    tree.write(0, COUNTER, increment(1))
    tree.write(1, COUNTER, increment(10), visible=False)
    tree.write(2, COUNTER, increment(1))
    tree.write(3, COUNTER, increment(1))

    assert shown(tree) == 4
    assert tree.latest_state(COUNTER).value == 14
