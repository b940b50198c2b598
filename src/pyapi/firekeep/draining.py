"""Waiting until the writes of a moment have their answers."""

from collections.abc import Mapping

import anyio

from firekeep.exceptions import DatabaseClosed, TimedOut
from firekeep.pending import Pending
from firekeep.write import Write

__all__ = ["Draining"]


class Draining:
    """Those who wait, each for the newest write that was pending when they began."""

    def __init__(self) -> None:
        self._waiters: list[tuple[int, Pending[None]]] = []

    async def wait(self, writes: Mapping[int, Write], timeout_s: float | None) -> None:
        """Wait until none of these writes is pending; later ones do not count.

        Raises:
            TimedOut: some are after `timeout_s`.
        """
        if not writes:
            return
        waiter: Pending[None] = Pending()
        entry = (max(writes), waiter)
        self._waiters.append(entry)
        try:
            with anyio.move_on_after(timeout_s):
                await waiter
                return
            raise TimedOut(f"writes are still pending after {timeout_s:g} s")
        finally:
            if entry in self._waiters:
                self._waiters.remove(entry)

    def completed(self, writes: Mapping[int, Write]) -> None:
        """Let go whoever has waited for what is no longer among these."""
        if not self._waiters:
            return
        # Ids only grow, so the first is the oldest.
        first_id = next(iter(writes), None)
        waiting: list[tuple[int, Pending[None]]] = []
        for last_id, waiter in self._waiters:
            if first_id is None or last_id < first_id:
                waiter.settle(None, None)
            else:
                waiting.append((last_id, waiter))
        self._waiters = waiting

    def end(self) -> None:
        """Tell everybody that there will be no more answers."""
        for _, waiter in self._waiters:
            waiter.settle(None, DatabaseClosed("the database was left with writes pending"))
