"""Queries that are kept synced without a listener."""

from collections import Counter

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path

__all__ = ["KeptQueries", "KeptQuery", "pinned_as"]


class KeptQuery:
    """The registration of one of them: it is told only that the server ended it."""

    __slots__ = ("is_restored", "params", "path")

    def __init__(self, path: Path, params: QueryParams, *, is_restored: bool) -> None:
        self.path = path
        self.params = params
        self.is_restored = is_restored
        """Whether only the disk has said so: it knows a whole location without its order."""


def pinned_as(params: QueryParams) -> QueryParams:
    """Return the query as the disk keeps it: a whole location has no order there."""
    return QueryParams.DEFAULT if params.loads_all_data else params


class KeptQueries:
    """An exact set: each query is kept by itself, however often that was asked for (I-72)."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Path, QueryParams], KeptQuery] = {}
        self._pinned: Counter[tuple[Path, QueryParams]] = Counter()
        """How many of them have the same data on disk."""

    def add(
        self, path: Path, params: QueryParams, *, is_restored: bool = False
    ) -> KeptQuery | None:
        """Return a registration to be added, or None if the query is kept already."""
        key = (path, params)
        present = self._kept.get(key)
        if present is not None:
            present.is_restored &= is_restored
            return None
        kept = self._kept[key] = KeptQuery(path, params, is_restored=is_restored)
        self._pinned[path, pinned_as(params)] += 1
        return kept

    def remove(self, path: Path, params: QueryParams) -> KeptQuery | None:
        """Return the registration to be removed, or None if the query was not kept."""
        kept = self._kept.pop((path, params), None)
        if kept is None:
            restored = self._kept.get((path, pinned_as(params)))
            if restored is not None and restored.is_restored:
                kept = self._kept.pop((path, restored.params))
        if kept is not None:
            key = (path, pinned_as(params))
            self._pinned[key] -= 1
            if not self._pinned[key]:
                del self._pinned[key]
        return kept

    def ended(self, kept: KeptQuery) -> None:
        """Forget one that the server has ended: it can be asked for again."""
        self.remove(kept.path, kept.params)

    def is_pinned(self, path: Path, params: QueryParams) -> bool:
        """Return whether one of them has the same data as this query."""
        return (path, pinned_as(params)) in self._pinned

    def queries(self) -> list[tuple[Path, QueryParams]]:
        """Return all, in the order in which they were asked for."""
        return list(self._kept)
