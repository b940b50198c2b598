"""W11: resident memory per leaf of a location under a value listener."""

import gc
import os
from pathlib import Path as File

import anyio

from bench.client import connected
from bench.workloads import compact, leaves, records

#: Sizes are leaves; a negative one stands for integers instead of records.
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return the resident set size of this process."""
    return int(File("/proc/self/statm").read_text().split()[1]) * PAGE


async def hold(size: int) -> dict[str, float]:
    """Hold that many leaves; bytes of RSS each."""
    async with connected() as bench:
        path = File(f"/proc/{os.getpid()}/statm")
        assert path.exists(), "resident memory is read from /proc"
        count = abs(size)

        def provide() -> None:
            text = compact(leaves(count) if size < 0 else records(count // 10))
            bench.control("data", path="bulk", json=text)

        # a child makes the text, so that this process never holds it
        child = os.fork()
        if child == 0:
            provide()
            os._exit(0)
        os.waitpid(child, 0)
        gc.collect()
        before = resident_bytes()
        arrived, held = anyio.Event(), [0]

        def on_value(snapshot: object) -> None:
            held[0] = len(snapshot)  # type: ignore[arg-type]
            arrived.set()

        with bench.db.reference("bulk").on_value(on_value):
            await arrived.wait()
            gc.collect()
            after = resident_bytes()
        assert held[0] == (count // 1000 if size < 0 else count // 10)
    return {"cost": (after - before) / count}


def run(size: int) -> dict[str, float]:
    """Return cost: bytes of resident memory per leaf."""
    return anyio.run(hold, size)
