"""Placeholders inside a written value that the server fills in."""

from math import isfinite
from typing import Final

from firekeep.exceptions import InvalidValue
from firekeep.types import JSON

__all__ = ["TIMESTAMP", "increment"]

TIMESTAMP: Final[dict[str, JSON]] = {".sv": "timestamp"}
"""Becomes the server's time in ms since 1970, one instant for all of a write (wire §4.1).

Until the server has answered, the local estimate of that time is shown.

Example::

    reference.update({"text": "hello", "at": firekeep.TIMESTAMP})
"""


def increment(delta: float) -> dict[str, JSON]:
    """Return a placeholder that adds `delta` to the number at its place, on the server.

    What is not a number counts as 0. Two whole numbers give a whole number while 64 bits hold it
    (wire §4.1). A write that must be sent again after a broken connection may count twice.

    Raises:
        InvalidValue: `delta` is not a finite number, at once.

    Example::

        reference.child("likes").set(firekeep.increment(1))
    """
    if not isinstance(delta, int | float) or isinstance(delta, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidValue(f"increment by {delta!r}: not a number")
    if isinstance(delta, int):
        if not -(2**63) <= delta < 2**63:
            raise InvalidValue(f"increment by {delta!r}: more than 64 bits")
    elif not isfinite(delta):
        raise InvalidValue(f"increment by {delta!r}: not finite")
    return {".sv": {"increment": delta}}
