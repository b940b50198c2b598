"""W8: a queue of writes goes out; each is echoed and answered in messages of its own."""

import gc
import time

import anyio

import firekeep
from bench.client import connected
from bench.workloads import compact, plain_key, records
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.value import from_export

RECORDS = 1000


async def drain(size: int, variant: str) -> dict[str, float]:
    """Drain that many writes; microseconds of CPU per write."""
    data = records(RECORDS, keys="k")
    async with connected() as bench:
        bench.control("data", path="coll", json=compact(data))
        base = bench.db.reference("coll")
        first = anyio.Event()
        count, last = 0, None

        def on_value(snapshot: firekeep.Snapshot) -> None:
            nonlocal count, last
            count += 1
            last = snapshot
            first.set()

        with base.on_value(on_value):
            await first.wait()
            bench.db.go_offline()
            write = base.child("done").set(True)
            for i in range(size):
                write = base.child(f"{plain_key(i)}/score").set(i)
                place = plain_key(i)
                data[place] = {**data.get(place, {}), "score": i}
            data["done"] = True
            gc.collect()
            count = 0
            cpu, wall = time.process_time(), time.perf_counter()
            bench.db.go_online()
            await (bench.db.wait_for_pending_writes() if variant == "waited" else write)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        assert not bench.db.pending_writes()
        assert bench.control("stats")["answered"] == size + 1
        assert last is not None
        assert hash_v1(from_export(last.export())) == hash_v1(from_export(data))
        assert count <= 1, count  # echoes and answers tell nothing new
    return {"cost": cpu / size * 1e6, "wall": wall / size * 1e6}


def run(size: int, variant: str = "") -> dict[str, float]:
    """Return cost (µs of CPU per write, echo and answer included) and wall (µs)."""
    return anyio.run(drain, size, variant)
