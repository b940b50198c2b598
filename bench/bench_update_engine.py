"""W2e: as W2, parsed messages handed straight to the sync tree."""

import gc
import time

from bench.workloads import leaf_trace, plain_key, records
from firekeep_core.operation.operation import Overwrite
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.node import from_scalar
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_python
from firekeep_core.sync.event import KINDS
from firekeep_core.sync.sync_tree import SyncTree

UPDATES, WARM_UP, TURN = 20_000, 3_000, 100


def run(size: int) -> dict[str, float]:
    """Return cost (µs of CPU per update) and peer (one path copy at this size, µs)."""
    data = records(size, keys="k")
    base = Path.parse("coll")
    tree = SyncTree()
    tree.add_registration(base, QueryParams.DEFAULT, "listener", KINDS["value"])
    tree.apply([Overwrite(base, from_python(data))])

    def play(count: int, seed: int) -> float:
        operations = [
            Overwrite(base.child(Path.parse(path)), from_scalar(value))
            for path, value in leaf_trace(count, size, seed)
        ]
        gc.collect()
        start = time.process_time()
        for at in range(0, count, TURN):
            for event in tree.apply(operations[at : at + TURN]):
                shown.append(event.node)
                shown.pop(0)
        return (time.process_time() - start) / count

    shown = [from_scalar(None)]
    play(WARM_UP, 99)
    cost = play(UPDATES, 7)
    for path, value in [*leaf_trace(WARM_UP, size, 99), *leaf_trace(UPDATES, size, 7)]:
        key, leaf = path.split("/")
        data[key][leaf] = value  # type: ignore[index]
    assert hash_v1(shown[0]) == hash_v1(from_python(data))

    node = tree.complete_value(base, QueryParams.DEFAULT)
    assert node is not None
    leaf = from_scalar(1)
    paths = [Path.from_keys([plain_key(i * 7919 % size)]) for i in range(5000)]
    start = time.process_time()
    for path in paths:
        node.update(path, leaf)
    return {"cost": cost * 1e6, "peer": (time.process_time() - start) / len(paths) * 1e6}
