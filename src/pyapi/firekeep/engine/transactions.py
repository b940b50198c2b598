"""Transactions: optimistic, guarded by a hash, re-run when their input changes."""

from typing import Final


class Abort:
    """The type of `ABORT`."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the public name."""
        return "firekeep.ABORT"


ABORT: Final = Abort()
"""Returned by a transaction's function to leave the value as it is."""
