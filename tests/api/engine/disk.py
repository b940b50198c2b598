"""What a `Dialogue` asks of a disk."""

from typing import Protocol

from firekeep_core.operation.cache_change import CacheChange, CachedQuery
from firekeep_core.operation.queued_write import QueuedWrite, WriteEnvelope
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path


class Disk(Protocol):
    """A queue and a cache that do at once what they are told."""

    def open(
        self, uid: str | None = None
    ) -> tuple[list[WriteEnvelope], int, list[tuple[Path, QueryParams]]]:
        """Return the queue, the next write id, and the queries that a user keeps synced."""
        ...

    def switch_owner(
        self, changes: list[CacheChange], uid: str | None, cleared_uid: str | None
    ) -> list[tuple[Path, QueryParams]]:
        """Go on with another user's cache; return the queries that this one keeps synced."""
        ...

    def apply(self, changes: list[CacheChange]) -> None:
        """Bring the cache up to date."""
        ...

    def load(self, path: Path, params: QueryParams) -> CachedQuery:
        """Return what the cache knows of a query."""
        ...

    def store_writes(
        self, added: list[QueuedWrite], removed: list[int], sent_through: int
    ) -> list[int]:
        """Bring the queue up to date; return which of `removed` the cache has marked."""
        ...

    def load_writes(self, write_ids: list[int]) -> list[QueuedWrite]:
        """Return queued writes with their payload."""
        ...
