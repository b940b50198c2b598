"""The clock on the wall, which may be set at any time."""

import time

__all__ = ["wall_ms"]


def wall_ms() -> int:
    """Return ms since 1970."""
    return time.time_ns() // 1_000_000
