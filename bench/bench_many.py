"""What is done once for each of many: it must cost the same for the last as for the first."""

import gc
import time
from functools import partial

import anyio

import firekeep
from bench.client import connected
from firekeep.listener import Listener


async def take(size: int) -> float:
    """Take that many folded events from a stream; seconds of CPU."""
    async with connected() as bench:
        bench.db.go_offline()
        bench.db.reference().set({f"k{number:06}": number for number in range(size)})
        stream = bench.db.reference().events(overflow="conflate", buffer=1)
        gc.collect()
        start = time.process_time()
        keys = [(await anext(stream)).snapshot.key for _ in range(size)]
        elapsed = time.process_time() - start
        assert keys == [f"k{number:06}" for number in range(size)]
        await stream.aclose()
        bench.db.purge_outstanding_writes()
    return elapsed


async def close(size: int) -> float:
    """Have that many listeners close themselves in their callbacks; seconds of CPU."""
    async with connected() as bench:
        bench.db.go_offline()
        place = bench.db.reference("place")
        place.set(0)
        listeners: list[Listener] = []
        called = 0

        def on_value(number: int, snapshot: firekeep.Snapshot) -> None:
            nonlocal called
            if snapshot.value == 1:
                called += 1
                listeners[number].close()

        listeners += [place.on_value(partial(on_value, number)) for number in range(size)]
        gc.collect()
        start = time.process_time()
        place.set(1)
        elapsed = time.process_time() - start
        place.set(1)
        assert called == size
        bench.db.purge_outstanding_writes()
    return elapsed


def run(size: int, variant: str) -> dict[str, float]:
    """Return cost (µs of CPU for each of them)."""
    elapsed = anyio.run({"take": take, "close": close}[variant], size)
    return {"cost": elapsed / size * 1e6}
