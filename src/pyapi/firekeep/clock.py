"""The two clocks of a client: one that never jumps, and the one on the wall."""

import time
from typing import Protocol

import anyio

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Where the time comes from; tests have one that stands still."""

    def monotonic_s(self) -> float:
        """Return seconds since some moment; never goes back."""
        ...

    def wall_ms(self) -> int:
        """Return ms since 1970 by the local clock, which may be set at any time."""
        ...

    async def sleep_until(self, at_s: float) -> None:
        """Return when `monotonic_s` has reached a time; infinity is never."""
        ...


class SystemClock:
    """The clocks of this machine."""

    monotonic_s = staticmethod(time.monotonic)

    def wall_ms(self) -> int:
        """Return ms since 1970."""
        return time.time_ns() // 1_000_000

    async def sleep_until(self, at_s: float) -> None:
        """Sleep until a time; infinity is for ever."""
        if at_s == float("inf"):
            await anyio.sleep_forever()
        await anyio.sleep(max(0.0, at_s - time.monotonic()))
