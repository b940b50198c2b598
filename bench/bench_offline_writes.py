"""W7: writes queued without a connection, under a value listener."""

import time

import anyio

from bench.client import connected
from bench.workloads import compact, plain_key, records

RECORDS, EDGE = 1000, 500


async def queue(size: int) -> dict[str, float]:
    """Queue that many sets; microseconds of CPU per set, at the start and at the end too."""
    async with connected() as bench:
        bench.control("data", path="coll", json=compact(records(RECORDS, keys="k")))
        base = bench.db.reference("coll")
        first, count = anyio.Event(), 0

        def on_value(_: object) -> None:
            nonlocal count
            count += 1
            first.set()

        with base.on_value(on_value):
            await first.wait()
            bench.db.go_offline()
            count = 0
            targets = [base.child(f"{plain_key(i)}/score") for i in range(size)]
            marks = [time.process_time()]
            for i, target in enumerate(targets):
                target.set(i)
                if i + 1 in (EDGE, size - EDGE):
                    marks.append(time.process_time())
            marks.append(time.process_time())
        assert count == size, count
        assert len(bench.db.pending_writes()) == size
        bench.db.purge_outstanding_writes()
    return {
        "cost": (marks[-1] - marks[0]) / size * 1e6,
        "first": (marks[1] - marks[0]) / EDGE * 1e6,
        "last": (marks[-1] - marks[-2]) / EDGE * 1e6,
    }


def run(size: int) -> dict[str, float]:
    """Return cost, first and last (µs of CPU per set: all, the first 500, the last 500)."""
    return anyio.run(queue, size)
