"""What can be asked of an engine without changing it."""

from firekeep.engine.exchange import Exchange
from firekeep.engine.journal import Journal
from firekeep.engine.kept import KeptQueries
from firekeep.engine.listens import Listens
from firekeep.engine.requests import Requests
from firekeep.engine.session import Session
from firekeep.status import CacheInfo, Status
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.sync.sync_tree import SyncTree

__all__ = ["Overview"]


class Overview:
    """Looks at the parts of one engine."""

    def __init__(
        self,
        tree: SyncTree,
        requests: Requests,
        listens: Listens,
        kept: KeptQueries,
        session: Session,
        exchange: Exchange,
        journal: Journal | None,
    ) -> None:
        self._tree = tree
        self._requests = requests
        self._listens = listens
        self._kept = kept
        self._session = session
        self._exchange = exchange
        self._journal = journal

    def status(self, wall_ms: int) -> Status:
        """Return what is known at this moment. Cost: the number of listens."""
        oldest = next(iter(self._requests.writes.values()), None)
        return Status(
            connection=self._session.connection_state,
            reason=self._session.reason,
            auth=self._session.auth_state,
            auth_reason=self._session.auth_reason,
            pending_writes=len(self._requests.writes),
            pending_bytes=self._requests.bytes,
            held_writes=len(self._requests.held),
            oldest_pending_ms=None if oldest is None else max(0, wall_ms - oldest.created_ms),
            last_synced_ms=self._exchange.last_synced_ms,
            clock_offset_ms=self._session.offset_ms,
            cache_bytes=self._listens.size_bytes(),
            disk_bytes=0,
            storage="memory",
            is_over_budget=False,
            last_error=self._exchange.last_error,
        )

    @property
    def offset_ms(self) -> int | None:
        """Server time minus local time; None before the first connection."""
        return self._session.offset_ms

    def server_time_ms(self, wall_ms: int) -> int:
        """Return the estimated time of the server."""
        return self._exchange.server_time_ms(wall_ms)

    def has_pending_writes(self, path: Path) -> bool:
        """Return whether a write at, above or below a path has no answer."""
        if self._tree.has_writes(path):
            return True
        if self._journal is None:
            return False
        return any(id in self._requests.writes for id in self._journal.overlapping(path))

    def is_confirmed(self, path: Path, params: QueryParams) -> bool:
        """Return whether the server has confirmed, on this connection, what a query shows."""
        return path.front == ".info" or self._listens.is_confirmed(path, params)

    def is_complete(self, path: Path, params: QueryParams) -> bool:
        """Return whether all of what a query selects is known."""
        if path.front == ".info":
            return True
        return self._tree.is_known(path, params)

    def kept_synced(self) -> list[tuple[Path, QueryParams]]:
        """Return the queries that are kept, in the order in which they were asked for."""
        return self._kept.queries()

    def cache_info(self) -> CacheInfo:
        """Return what is held in memory. Cost: the number of listens."""
        kept = self._kept.queries()
        return CacheInfo(
            queries=len(self._listens),
            kept=len(kept),
            size_bytes=self._listens.size_bytes(),
            kept_bytes=sum(self.size_bytes(path, params) for path, params in kept),
            disk_bytes=0,
        )

    def size_bytes(self, path: Path, params: QueryParams) -> int:
        """Return the estimated size of what a live query shows; 0 if not all of it is known."""
        node = self._tree.complete_value(path, params)
        return 0 if node is None else node.size_bytes
