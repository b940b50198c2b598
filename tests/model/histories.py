"""What random histories are made of; the simple comes first, for shrinking."""

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from tests.model.query_model import DEFAULT, Bound, Query
from tests.model.tree_model import PRIORITY, Keys, Tree, keys_of, with_priority

KEYS = ["a", "b", "c", "1"]
SCALARS: list[Tree] = [1, 2, 3, 2.5, 10, True, False, "x", "y"]
PRIORITIES = [None, 1, 2, "p"]

shuffle = random.Random(20)


def random_tree(depth: int) -> Tree:
    """Make a value: a leaf, or some children of which a few have priorities."""
    value: Tree = None
    if depth == 0 or shuffle.random() < 0.3:
        value = shuffle.choice(SCALARS)
    else:
        keys = shuffle.sample(KEYS, shuffle.randint(1, 3))
        value = {key: random_tree(depth - 1) for key in keys}
    if shuffle.random() < 0.2:
        value = with_priority(value, shuffle.choice(PRIORITIES))
    return value


def random_path(shortest: int, longest: int) -> Keys:
    """Make a path, deep ones less often."""
    return tuple(shuffle.choice(KEYS) for _ in range(shuffle.randint(shortest, longest)))


def random_entries() -> list[tuple[Keys, Tree]]:
    """Make the entries of a multi-path write: none lies above another."""
    entries: dict[Keys, Tree] = {}
    for _ in range(shuffle.randint(1, 4)):
        path = random_path(1, 3)
        if not any(path[: len(key)] == key or key[: len(path)] == path for key in entries):
            entries[path] = random_tree(shuffle.randint(0, 1)) if shuffle.random() < 0.8 else None
    if shuffle.random() < 0.1 and not any(path[0] == PRIORITY for path in entries):
        entries[(PRIORITY,)] = shuffle.choice(PRIORITIES)
    return list(entries.items())


def random_query() -> Query:
    """Make a query with a range, a limit or both."""
    order = shuffle.choice(["priority", "key", "value", "child:a", "child:a", "child:b/a"])
    bounds: list[Any] = KEYS if order == "key" else [None, 1, 2, "x"]
    if order in ("value", "child:a"):
        bounds = [*bounds, False, True]

    def bound() -> Bound | None:
        if shuffle.random() < 0.6:
            return None
        key = shuffle.choice([None, *KEYS]) if order != "key" else None
        return Bound(shuffle.choice(bounds), key, shuffle.random() < 0.3)

    limit = shuffle.choice([None, 1, 2, 2, 3])
    start, end = bound(), bound()
    if start is None and end is None and limit is None:
        limit = 2
    return Query(order, start, end, limit, limit is not None and shuffle.random() < 0.5)


def pool(values: Sequence[Any]) -> SearchStrategy[Any]:
    """Draw from a fixed list: one cheap choice that shrinks towards its start."""
    return st.sampled_from(list(values))


# Few places, so that they meet; the shallow ones more often.
places = ["", "", "", "a", "a", "b", "1", "c", "a/b", "a/1", "a/c", "b/a", "a/b/c", "b/a/1"]
paths = pool([keys_of(place) for place in places])
trees = pool(
    [
        None,
        *sorted(
            (random_tree(shuffle.randint(0, 3)) for _ in range(120)), key=lambda v: len(str(v))
        ),
    ]
)
priorities = pool(PRIORITIES)
entries = pool(sorted((random_entries() for _ in range(80)), key=lambda v: len(str(v))))
orders = [Query(order) for order in ("key", "value", "child:a", "child:b/a")]
queries = pool([DEFAULT] * 20 + orders + [random_query() for _ in range(50)])
deltas = pool([1, 1, 2, -1, 2.5])
indexes = st.integers(0, 30)
kinds = pool([63] * 6 + [1, 33, 62, 0])
ranges = pool(
    [
        [(None, None, None)],
        *(
            [(shuffle.choice([None, random_path(1, 2)]), random_path(1, 2), random_tree(2))]
            for _ in range(30)
        ),
        *([(random_path(1, 2), None, random_tree(2))] for _ in range(10)),
    ]
)
mostly = pool([True, True, True, False])
