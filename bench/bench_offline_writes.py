"""W7: writes queued without a connection, with a value listener above them or without."""

import gc
import time
from itertools import pairwise

import anyio

import firekeep
from bench.client import connected
from bench.workloads import compact, plain_key, records
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.value import from_export

RECORDS, EDGE, READS, HOT = 1000, 500, 500, 10


async def queue(size: int, variant: str) -> dict[str, float]:
    """Queue that many sets; microseconds of CPU per set, at the start and at the end too."""
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

        listener = base.on_value(on_value)
        await first.wait()
        if variant == "unheard":
            listener.close()
        bench.db.go_offline()
        places = [plain_key(i % HOT if variant == "hot" else i) for i in range(size)]
        targets = [base.child(f"{place}/score") for place in places]
        marks = [0] * (size + 1)
        gc.collect()
        count = 0
        started = time.process_time()
        marks[0] = time.perf_counter_ns()
        for i, target in enumerate(targets):
            target.set(i)
            marks[i + 1] = time.perf_counter_ns()
        cost = time.process_time() - started
        assert len(bench.db.pending_writes()) == size
        if variant != "unheard":
            assert last is not None
            assert count == size, count
            for i, place in enumerate(places):
                data[place] = {**data.get(place, {}), "score": i}
            assert hash_v1(from_export(last.export())) == hash_v1(from_export(data))
        reads = await merged_reads(targets)
        listener.close()
        bench.db.purge_outstanding_writes()
    each = sorted(after - before for before, after in pairwise(marks))
    return {
        "cost": cost / size * 1e6,
        "first": (marks[EDGE] - marks[0]) / EDGE / 1e3,
        "last": (marks[-1] - marks[-1 - EDGE]) / EDGE / 1e3,
        "p99": each[size * 99 // 100] / 1e3,
        "read": reads,
    }


async def merged_reads(targets: list[firekeep.Reference]) -> float:
    """Attach, take the value, detach, at places all over the queue; µs of CPU each."""
    taken: list[object] = []
    step = max(1, len(targets) // READS)
    chosen = targets[::step][:READS]
    start = time.process_time()
    for target in chosen:
        target.on_value(lambda snapshot: taken.append(snapshot.value)).close()
    elapsed = time.process_time() - start
    assert len(taken) == len(chosen)
    assert all(isinstance(value, int) for value in taken)
    return elapsed / len(chosen) * 1e6


def run(size: int, variant: str) -> dict[str, float]:
    """Return cost (µs of CPU per set); first, last, p99 (µs of wall time); read (µs of CPU)."""
    return anyio.run(queue, size, variant)
