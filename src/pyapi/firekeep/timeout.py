"""How long a call may take: what users may say, and what is made of it."""

from typing import Literal, TypeAlias

from firekeep.exceptions import InvalidArgument

__all__ = ["Timeout", "check_timeout"]

Timeout: TypeAlias = float | Literal["default"] | None
"""Seconds; None for as long as it takes; "default" for what the method says."""


def check_timeout(timeout: object) -> float | None:
    """Return a number of seconds, or None.

    Raises:
        InvalidArgument: it is neither, or a time that no clock can tell.
    """
    if timeout is None:
        return None
    if isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout >= 0:
        try:
            return float(timeout)
        except OverflowError:
            pass
    raise InvalidArgument(f"timeout is a number of seconds or None, not {timeout!r:.40}")
