"""W11: memory per leaf of a location under a value listener."""

import gc

import anyio

import firekeep
from bench.client import connected
from bench.memory import forget_peak, peak_bytes, resident_bytes
from bench.workloads import leaves, records
from firekeep_core.snap.word import statistics

LEAVES_OF_A_RECORD = 10


async def hold(count: int, variant: str) -> dict[str, float]:
    """Hold that many leaves; bytes each."""
    async with connected() as bench:
        bench.control.provide(
            "bulk",
            lambda: (
                leaves(count) if variant == "integers" else records(count // LEAVES_OF_A_RECORD)
            ),
        )
        gc.collect()
        forget_peak()
        before, accounted = resident_bytes(), statistics()["bytes"]
        arrived = anyio.Event()
        children = 0

        def on_value(snapshot: firekeep.Snapshot) -> None:
            nonlocal children
            children = len(snapshot)
            arrived.set()

        with bench.db.reference("bulk").on_value(on_value):
            await arrived.wait()
            gc.collect()
            after, peak = resident_bytes(), peak_bytes()
            accounted = statistics()["bytes"] - accounted
        assert children == count // (1000 if variant == "integers" else LEAVES_OF_A_RECORD)
    return {
        "cost": (after - before) / count,
        "peak": (peak - before) / count,
        "accounted": accounted / count,
    }


def run(size: int, variant: str) -> dict[str, float]:
    """Return cost, peak (bytes of RSS per leaf) and accounted (the allocator's own count)."""
    return anyio.run(hold, size, variant)
