"""The clock on the wall, which may be set at any time."""

import time
from typing import TypeGuard

__all__ = ["is_time_ms", "wall_ms"]

LATEST_MS = 2**53
"""Beyond this, which is in 285 000 years, not every millisecond is a float."""


def wall_ms() -> int:
    """Return ms since 1970."""
    return time.time_ns() // 1_000_000


def is_time_ms(value: object) -> TypeGuard[int]:
    """Return whether something is a time in ms since 1970 that one can count with."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LATEST_MS
