"""W2e: as W2, parsed messages handed straight to the sync tree, beside one path copy."""

import gc
import time

from bench.workloads import apply_push, leaf_trace, plain_key, records
from firekeep_core.operation.operation import Overwrite
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.node import from_scalar
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_export
from firekeep_core.sync.event import KINDS
from firekeep_core.sync.sync_tree import SyncTree

UPDATES, WARM_UP, TURN, COPIES = 20_000, 3_000, 100, 20_000


def run(size: int) -> dict[str, float]:
    """Return cost (µs of CPU per update) and peer (one path copy at this size, µs)."""
    data = records(size, keys="k")
    base = Path.parse("coll")
    tree = SyncTree()
    tree.add_registration(base, QueryParams.DEFAULT, "listener", KINDS["value"])
    tree.apply([Overwrite(base, from_export(data))])
    shown = from_scalar(None)

    def play(count: int, seed: int) -> float:
        """Give the tree a trace in turns of a hundred; seconds of CPU per update."""
        nonlocal shown
        expected = sum(apply_push(data, push) for push in leaf_trace("coll", count, size, seed))
        operations = [
            Overwrite(Path.parse(path), from_scalar(value))
            for _, path, value in leaf_trace("coll", count, size, seed)
        ]
        events = 0
        gc.collect()
        start = time.process_time()
        for at in range(0, count, TURN):
            for event in tree.apply(operations[at : at + TURN]):
                shown = event.node
                events += 1
        elapsed = time.process_time() - start
        assert events == expected, (events, expected)
        return elapsed / count

    play(WARM_UP, 99)
    cost = play(UPDATES, 7)
    assert hash_v1(shown) == hash_v1(from_export(data))

    leaf = from_scalar(1)
    paths = [Path.from_keys([plain_key(i * 7919 % size), "score"]) for i in range(COPIES)]
    gc.collect()
    start = time.process_time()
    for path in paths:
        shown.update(path, leaf)
    return {"cost": cost * 1e6, "peer": (time.process_time() - start) / COPIES * 1e6}
