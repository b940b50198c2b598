"""What is done once for each of many costs the same for the first of them as for the last.

Most of the steps that must not be taken are those of C code: only the processor's time tells.
"""

import time
from collections.abc import Callable
from functools import partial

import anyio
import pytest
from tests.api.driven import settle
from tests.api.offline import offline

import firekeep
from firekeep.draining import Draining
from firekeep.listener import Listener

pytestmark = pytest.mark.anyio

# What is quadratic would be a hundred times as dear at one end as at the other.
MARGIN = 10


class Meter:
    """Notes what was used of the processor between its marks."""

    def __init__(self) -> None:
        self._last = time.process_time()
        self._costs: list[float] = []

    def mark(self) -> None:
        now = time.process_time()
        self._costs.append(now - self._last)
        self._last = now

    @property
    def growth(self) -> float:
        """How much dearer one end is than the other; the least of each says what it takes."""
        tenth = len(self._costs) // 10
        ends = min(self._costs[:tenth]), min(self._costs[-tenth:])
        return max(ends) / max(min(ends), 1e-6)


def metered(count: int, step: Callable[[int], object]) -> float:
    """Return how the cost of a step grows over a number of them."""
    meter = Meter()
    for number in range(count):
        step(number)
        if number % (count // 100) == count // 100 - 1:
            meter.mark()
    return meter.growth


async def test_taking_a_folded_event_costs_the_same_however_many_were_taken() -> None:
    async with offline({f"k{number:06}": number for number in range(50_000)}) as db:
        stream = db.reference().events(overflow="conflate", buffer=1)
        meter = Meter()
        for number in range(50_000):
            await anext(stream)
            if number % 500 == 499:
                meter.mark()

        assert meter.growth < MARGIN


async def test_a_completed_write_costs_the_same_however_many_were_before_it() -> None:
    async with offline() as db, anyio.create_task_group() as group:
        write = db.reference("a").set(1)
        writes = dict.fromkeys(range(1, 50_001), write)
        draining = Draining()
        group.start_soon(draining.wait, writes, None)
        await settle()

        def complete(number: int) -> None:
            del writes[number + 1]
            draining.completed(writes)

        assert metered(50_000, complete) < MARGIN


async def test_a_completed_write_costs_the_same_however_many_wait() -> None:
    async with offline() as db, anyio.create_task_group() as group:
        write = db.reference("a").set(1)
        writes: dict[int, firekeep.Write] = {}
        draining = Draining()
        for id in range(1, 5001):
            writes[id] = write
            group.start_soon(draining.wait, writes, None)
            await anyio.lowlevel.checkpoint()
        await settle()

        def complete(number: int) -> None:
            del writes[number + 1]
            draining.completed(writes)

        assert metered(5000, complete) < MARGIN


async def test_closing_in_a_callback_costs_the_same_however_many_are_still_to_be_called() -> None:
    async with offline() as db:
        listeners: list[Listener] = []
        meter = Meter()

        def close(number: int, snapshot: firekeep.Snapshot) -> None:
            if snapshot.exists():
                listeners[number].close()
                if number % 100 == 99:
                    meter.mark()

        listeners += [db.reference("a").on_value(partial(close, n)) for n in range(10_000)]
        db.reference("a").set(1)

        assert meter.growth < MARGIN
