"""W1: from ``listen`` to the first value of a large location, beside ``orjson.loads``."""

import time

import anyio
import orjson

from bench.client import connected
from bench.workloads import compact, records


async def load(size: int) -> dict[str, float]:
    """Load that many records; milliseconds of CPU and of wall time."""
    text = compact(records(size))
    async with connected() as bench:
        bench.control("data", path="bulk", json=text)
        arrived = anyio.Event()
        got: list[int] = []

        def on_value(snapshot: object) -> None:
            got.append(len(snapshot))  # type: ignore[arg-type]
            arrived.set()

        cpu, wall = time.process_time(), time.perf_counter()
        with bench.db.reference("bulk").on_value(on_value):
            await arrived.wait()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        assert got == [size], got
    data = text.encode()
    start = time.process_time()
    orjson.loads(data)
    peer = time.process_time() - start
    return {
        "cost": cpu * 1e3,
        "wall": wall * 1e3,
        "peer": peer * 1e3,
        "megabytes": len(data) / 1e6,
    }


def run(size: int) -> dict[str, float]:
    """Return cost (ms of CPU), wall (ms) and peer (``orjson.loads``, ms of CPU)."""
    return anyio.run(load, size)
