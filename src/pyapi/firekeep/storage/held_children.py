"""Which children of a place its windows hold: the queries there with bounds or a limit."""

from collections import Counter

from firekeep.storage.cache_rows import held_key, held_prefix
from firekeep.storage.staging import Staging
from firekeep_core.snap.path import Path
from firekeep_core.store.layout import path_from_bytes, range_end
from firekeep_core.store.record import seal
from firekeep_core.store.tracked import TrackedQueries, TrackedQuery

__all__ = ["HeldChildren"]

#: Where so many windows lie at one place, each of them is asked whether it holds a child.
_FEW_WINDOWS = 4


class HeldChildren:
    """One row for each child that a query holds, within a commit in the making.

    Where many windows lie at one place, as paging through a log leaves them, how many complete
    ones hold each child is counted once and kept up to date: whether one holds a child takes the
    same time however many there are.
    """

    def __init__(self, staging: Staging, queries: TrackedQueries) -> None:
        self._staging = staging
        self._queries = queries
        self._counts: dict[tuple[int, Path], Counter[str]] = {}

    def of(self, query: TrackedQuery) -> list[str]:
        """Return the keys of the children that a query holds."""
        prefix = held_prefix(query.id)
        rows = self._staging.scan(prefix, range_end(prefix))
        return [path_from_bytes(key[len(prefix) :]).keys[0] for key, _ in rows]

    def add(self, query: TrackedQuery, key: str) -> None:
        """Note that a query holds a child, which it may already."""
        row = held_key(query.id, key)
        if self._staging.get(row) is None:
            self._staging.put_new(row, seal(row, b""))
            self._count(query, key, 1)

    def remove(self, query: TrackedQuery, key: str) -> None:
        """Note that a query does not hold a child, which it may not anyway."""
        row = held_key(query.id, key)
        record = self._staging.get(row)
        if record is not None:
            self._staging.delete_known(row, record)
            self._count(query, key, -1)

    def note_complete(self, query: TrackedQuery) -> None:
        """Take into account that a query has become complete; one that ceases to be holds none."""
        if (query.owner, query.path) in self._counts:
            for key in self.of(query):
                self._count(query, key, 1)

    def is_held(self, owner: int, path: Path, key: str) -> bool:
        """Return whether a complete window at a place holds one of its children."""
        counts = self._counts.get((owner, path))
        if counts is None:
            windows = [
                query
                for query in self._queries.at(owner, path)
                if query.is_complete and not query.is_default
            ]
            if len(windows) <= _FEW_WINDOWS:
                return any(self._staging.get(held_key(q.id, key)) is not None for q in windows)
            counts = Counter(key for query in windows for key in self.of(query))
            self._counts[owner, path] = counts
        return key in counts

    def forget(self, queries: TrackedQueries) -> None:
        """Go on with what is on disk, of these queries: what was staged has been given up."""
        self._queries = queries
        self._counts.clear()

    def _count(self, query: TrackedQuery, key: str, change: int) -> None:
        if not query.is_complete:
            return
        counts = self._counts.get((query.owner, query.path))
        if counts is not None:
            counts[key] += change
            if not counts[key]:
                del counts[key]
                if not counts:
                    del self._counts[query.owner, query.path]
