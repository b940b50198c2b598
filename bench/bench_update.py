"""W2: something in a large collection changes at the server, a value listener hears it."""

import gc
import time
from collections.abc import Iterator

import anyio

import firekeep
from bench.client import connected
from bench.workloads import (
    Push,
    apply_push,
    compact,
    leaf_trace,
    merge_trace,
    record_trace,
    records,
)
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.value import from_export

WARM_UP, SEED, WARM_UP_SEED = 3_000, 7, 99
TRACES = {
    "leaf": (leaf_trace, 20_000),
    "record": (record_trace, 10_000),
    "merge10": (merge_trace, 2_000),
}


async def update(size: int, variant: str) -> dict[str, float]:
    """Push the trace; microseconds of CPU per message."""
    make, messages = TRACES[variant]
    data = records(size, keys="k")
    text = compact(data)

    def trace(count: int, seed: int) -> Iterator[Push]:
        return make("coll", count, size, seed)

    expected = 0
    for push in trace(WARM_UP, WARM_UP_SEED):
        apply_push(data, push)
    for push in trace(messages, SEED):
        expected += apply_push(data, push)  # what changes nothing is no event

    async with connected() as bench:
        bench.control("data", path="coll", json=text)
        first = anyio.Event()
        count, last = 0, None

        def on_value(snapshot: firekeep.Snapshot) -> None:
            nonlocal count, last
            count += 1
            last = snapshot
            first.set()

        with bench.db.reference("coll").on_value(on_value):
            await first.wait()
            await bench.prepare(trace(WARM_UP, WARM_UP_SEED))
            await bench.played()
            await bench.prepare(trace(messages, SEED))
            gc.collect()
            gc.freeze()  # the expected value is not the library's
            count = 0
            cpu, wall = time.process_time(), time.perf_counter()
            await bench.played()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        assert count == expected, (count, expected)
        assert last is not None
        assert hash_v1(from_export(last.export())) == hash_v1(from_export(data))
    start = time.process_time()
    for _ in range(messages):
        empty(last)
    peer = (time.process_time() - start) / messages
    return {"cost": cpu / messages * 1e6, "wall": wall / messages * 1e6, "peer": peer * 1e6}


def empty(_: object) -> None:
    """Do nothing, as the cheapest callback does."""


def run(size: int, variant: str) -> dict[str, float]:
    """Return cost (µs of CPU per message), wall (µs) and peer (an empty callback, µs)."""
    return anyio.run(update, size, variant)
