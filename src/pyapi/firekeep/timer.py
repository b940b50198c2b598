"""One timer that only ever moves closer until it has rung."""

from collections.abc import Callable

import anyio

from firekeep.clock import Clock

__all__ = ["NEVER", "Timer"]

NEVER = float("inf")


class Timer:
    """Rings at the earliest time it was given, then waits for the next."""

    def __init__(self, clock: Clock, ring: Callable[[float], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._at_s = NEVER
        self._sleep: anyio.CancelScope | None = None

    def set(self, at_s: float) -> None:
        """Ring at this time of the monotonic clock, unless it rings earlier anyway."""
        if at_s < self._at_s:
            self._at_s = at_s
            if self._sleep is not None:
                self._sleep.cancel()

    async def run(self) -> None:
        """Ring for ever."""
        while True:
            with anyio.CancelScope() as self._sleep:
                await self._clock.sleep_until(self._at_s)
            now_s = self._clock.monotonic_s()
            if now_s >= self._at_s:
                self._at_s = NEVER
                self._ring(now_s)
