"""W1: from ``listen`` to the first value of a large location, beside ``orjson.loads``."""

import gc
import time

import anyio
import orjson

import firekeep
from bench.client import connected
from bench.memory import forget_peak, peak_bytes, resident_bytes
from bench.workloads import compact, records
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.value import from_export

MEGABYTE = 1e6


async def load(size: int) -> dict[str, float]:
    """Load that many records; milliseconds of CPU and of wall time, and megabytes."""
    async with connected() as bench:
        bench.control.provide("bulk", lambda: records(size))
        arrived = anyio.Event()
        got: list[firekeep.Snapshot] = []

        def on_value(snapshot: firekeep.Snapshot) -> None:
            got.append(snapshot)
            arrived.set()

        gc.collect()
        forget_peak()
        before = resident_bytes()
        cpu, wall = time.process_time(), time.perf_counter()
        with bench.db.reference("bulk").on_value(on_value):
            await arrived.wait()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            gc.collect()
            after, peak = resident_bytes(), peak_bytes()
        assert len(got) == 1
        data = compact(records(size)).encode()
        assert hash_v1(from_export(got[0].export())) == hash_v1(from_export(orjson.loads(data)))
    gc.collect()
    start = time.process_time()
    orjson.loads(data)
    peer = time.process_time() - start
    return {
        "cost": cpu * 1e3,
        "wall": wall * 1e3,
        "peer": peer * 1e3,
        "input_mb": len(data) / MEGABYTE,
        "held_mb": (after - before) / MEGABYTE,
        "peak_mb": (peak - before) / MEGABYTE,
    }


def run(size: int) -> dict[str, float]:
    """Return cost (ms of CPU), wall (ms), peer (``orjson.loads``, ms of CPU) and memory."""
    return anyio.run(load, size)
