"""W8: a queue of writes goes out; each is echoed and answered in messages of its own."""

import time

import anyio

from bench.client import connected
from bench.workloads import compact, plain_key, records

RECORDS = 1000


async def drain(size: int) -> dict[str, float]:
    """Drain that many writes; microseconds of CPU per write."""
    async with connected() as bench:
        bench.control("data", path="coll", json=compact(records(RECORDS, keys="k")))
        base = bench.db.reference("coll")
        first = anyio.Event()
        with base.on_value(lambda _: first.set()):
            await first.wait()
            bench.db.go_offline()
            for i in range(size):
                base.child(f"{plain_key(i)}/score").set(i)
            last = base.child("done").set(True)
            cpu, wall = time.process_time(), time.perf_counter()
            bench.db.go_online()
            await last
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            assert not bench.db.pending_writes()
            assert bench.control("stats")["answered"] == size + 1
            snapshot = await base.child(f"{plain_key(size - 1)}/score").get(source="cache")
            assert snapshot.value == size - 1
    return {"cost": cpu / size * 1e6, "wall": wall / size * 1e6}


def run(size: int) -> dict[str, float]:
    """Return cost (µs of CPU per write, echo and answer included) and wall (µs)."""
    return anyio.run(drain, size)
