"""Waiting for a client to see something."""

from collections.abc import Callable

from firekeep.reference import Reference
from firekeep.snapshot import Snapshot

__all__ = ["until"]


async def until(reference: Reference, predicate: Callable[[Snapshot], bool]) -> Snapshot:
    """Wait until what a client sees is as it should be; return it."""
    async with reference.values() as values:
        async for snapshot in values:
            if predicate(snapshot):
                return snapshot
    raise AssertionError("values end only with their database")
