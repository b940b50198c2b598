"""W2: one leaf of a large collection changes, a value listener hears it."""

import gc
import time

import anyio

from bench.client import connected
from bench.workloads import compact, leaf_trace, records
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.value import from_python

UPDATES, WARM_UP = 20_000, 3_000


async def update(size: int) -> dict[str, float]:
    """Push the leaf trace; microseconds of CPU per update."""
    data = records(size, keys="k")
    async with connected() as bench:
        bench.control("data", path="coll", json=compact(data))
        first = anyio.Event()
        count, last = 0, None

        def on_value(snapshot: object) -> None:
            nonlocal count, last
            count += 1
            last = snapshot
            if count == 1:
                first.set()

        with bench.db.reference("coll").on_value(on_value):
            await first.wait()
            await bench.push_trace("coll", leaf_trace(WARM_UP, size, 99))
            await bench.played()
            await bench.push_trace("coll", leaf_trace(UPDATES, size, 7))
            gc.collect()
            count = 0
            cpu, wall = time.process_time(), time.perf_counter()
            await bench.played()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        assert UPDATES - UPDATES // 100 <= count <= UPDATES, count  # a repeated value is no event
        for path, value in [*leaf_trace(WARM_UP, size, 99), *leaf_trace(UPDATES, size, 7)]:
            key, leaf = path.split("/")
            data[key][leaf] = value  # type: ignore[index]
        assert last is not None
        assert hash_v1(from_python(last.export())) == hash_v1(from_python(data))
    start = time.process_time()
    for _ in range(UPDATES):
        empty(last)
    peer = (time.process_time() - start) / UPDATES
    return {"cost": cpu / UPDATES * 1e6, "wall": wall / UPDATES * 1e6, "peer": peer * 1e6}


def empty(_: object) -> None:
    """Do nothing, as the cheapest callback does."""


def run(size: int) -> dict[str, float]:
    """Return cost (µs of CPU per update), wall (µs) and peer (an empty callback, µs)."""
    return anyio.run(update, size)
